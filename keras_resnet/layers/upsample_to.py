"""A map enlarged to the size of another, whatever that is."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.backend import reference
from keras_resnet.layers.configured import ConfiguredLayer, check_choice

METHODS = ("bilinear", "aligned", "nearest")


@keras.saving.register_keras_serializable("keras_resnet")
class UpsampleTo(ConfiguredLayer):
    """`UpsampleTo()([x, like])` is `x` at the height and width of `like`.

    Args:
        method: `"bilinear"`, which weighs by the distance of the pixels' centres; `"aligned"`, bilinear with the centres of the outermost
            pixels in the same places before and behind; or `"nearest"`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: two batches of images, `(n, height, width, channels)`, or channels first. Output shape: height and width of the second,
    the channels of the first.

    Raises:
        ValueError: at an argument outside what is listed, or inputs of another rank.
    """

    def __init__(self, method: str = "bilinear", data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        check_choice("method", method, METHODS)
        self.keep(locals())

    def build(self, input_shape: Any) -> None:
        if len(input_shape) != 2 or not all(isinstance(shape, (tuple, list)) and len(shape) == 4 for shape in input_shape):
            raise ValueError(f"UpsampleTo takes two batches of images, [x, like]. Received: shape={input_shape}.")
        self.built = True

    def call(self, inputs: Any) -> Any:
        x, like = inputs
        height, width = reference.spatial_axes(self.data_format, 4)
        shape = keras.ops.shape(like)
        return backend.upsample2d(x, (shape[height], shape[width]), self.method, self.data_format)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        x, like = input_shape
        shape = list(like)
        shape[0], shape[self.channel_axis] = x[0], x[self.channel_axis]
        return tuple(shape)
