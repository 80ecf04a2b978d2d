"""What a judgement of the whole image does to the map of its pixels."""

from typing import Any

import keras

from keras_resnet.layers.configured import ConfiguredLayer


@keras.saving.register_keras_serializable("keras_resnet")
class PresenceGate(ConfiguredLayer):
    """`PresenceGate()([x, presence])` is `x` for images that are judged to show something, and zeros for the others.

    `y = x * argmax(presence)`: no gradient reaches the judgement from here. Zeros are background: of probabilities, of logits beside a
    threshold that must be passed, and by the largest of several classes, which is then the first.

    Args:
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: a map `(n, height, width, channels)`, or channels first, and `(n, 2)`, the scores of nothing and of something.
    Output shape: that of the map.

    Raises:
        ValueError: at inputs of another shape.

    Source: Huang et al. 2020, arXiv:2004.08790, section 2.3.
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.keep(locals())

    def build(self, input_shape: Any) -> None:
        if len(input_shape) != 2 or len(input_shape[0]) != 4 or tuple(input_shape[1][1:]) != (2,):
            raise ValueError(f"PresenceGate takes a map and two scores an image, [x, presence]. Received: shape={input_shape}.")
        self.built = True

    def call(self, inputs: Any) -> Any:
        x, presence = inputs
        shows = keras.ops.cast(keras.ops.argmax(presence, -1), x.dtype)
        return x * keras.ops.reshape(shows, (-1, 1, 1, 1))

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return tuple(input_shape[0])

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> keras.KerasTensor:
        return keras.KerasTensor(inputs[0].shape, dtype=self.compute_dtype)
