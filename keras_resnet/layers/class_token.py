"""The token that a transformer's classifier looks at."""

from typing import Any

import keras

from keras_resnet.layers.configured import ConfiguredLayer


@keras.saving.register_keras_serializable("keras_resnet")
class ClassToken(ConfiguredLayer):
    """The first token, which stands for the whole image: `ClassToken()(tokens)`.

    Input shape: `(n, tokens, dim)`. Output shape: `(n, dim)`.

    Source: Dosovitskiy et al. 2020, arXiv:2010.11929, equation 4.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def call(self, inputs: Any) -> Any:
        return inputs[:, 0]

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (input_shape[0], input_shape[2])
