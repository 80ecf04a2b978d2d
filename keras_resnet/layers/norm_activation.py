"""A norm and an activation on their own: what stands behind the last block of a pre-activation network."""

from typing import Any

import keras

from keras_resnet.layers.configured import ConfiguredLayer
from keras_resnet.layers.conv_norm import norm_activation
from keras_resnet.layers.normalization import check_norm, create_norm


@keras.saving.register_keras_serializable("keras_resnet")
class NormActivation(ConfiguredLayer):
    """`activation(norm(x))`.

    ```
    x -- norm -- relu
    ```

    Args:
        norm: `"batch"`, `"group"`, `"instance"`, `"layer"`, or `None`: the activation alone.
            `"layer"` goes over an image's channels and pixels together, so that flat regions are not stretched to the contrast of others.
        norm_momentum, norm_epsilon: of the norm.
        activation: any Keras activation, or `None`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: `(n, height, width, channels)`, or channels first. Output shape: the same.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: He et al. 2016, arXiv:1603.05027, section 4 (the activation behind the last block's addition).
    """

    def __init__(
        self,
        norm: str | None = "batch",
        norm_momentum: float = 0.9,
        norm_epsilon: float = 1e-5,
        activation: Any = "relu",
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_norm(norm, norm_momentum, norm_epsilon)
        self.keep(locals())

    def build(self, input_shape: tuple) -> None:
        self.norm_layer = create_norm(self, "norm", self.expect(input_shape))
        self.finish_build()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.leave(norm_activation(self.enter(inputs), self.norm_layer, training, self.activation))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape)
