"""The other end of `PadToMultiple`: a map cut to the size that the image had."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet.backend import reference
from keras_resnet.layers.configured import ConfiguredLayer
from keras_resnet.layers.pad_to_multiple import check_rank


@keras.saving.register_keras_serializable("keras_resnet")
class CropTo(ConfiguredLayer):
    """`CropTo()([x, like])` is `x`, cut at the far sides to the height and width (and depth) of `like`.

    Args:
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: two batches of images, or of volumes, `(n, height, width, channels)`, of which the first is nowhere smaller; or channels
    first. Output shape: the sides of the second, the channels of the first.

    Raises:
        ValueError: at an argument outside what is listed, inputs of another rank, or where the first is known to be smaller.
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.keep(locals())

    def build(self, input_shape: Any) -> None:
        if len(input_shape) != 2 or not all(isinstance(shape, (tuple, list)) for shape in input_shape):
            raise ValueError(f"CropTo takes two inputs, [x, like]. Received: shape={input_shape}.")
        x, like = input_shape
        check_rank(self, x)
        axes = reference.spatial_axes(self.data_format, len(x))
        if len(x) != len(like) or any(None not in (x[axis], like[axis]) and x[axis] < like[axis] for axis in axes):
            raise ValueError(f"The first input of CropTo must be nowhere smaller than the second. Received: shapes {x} and {like}.")
        self.built = True

    def call(self, inputs: Any) -> Any:
        x, like = inputs
        return cut(x, keras.ops.shape(like), reference.spatial_axes(self.data_format, len(x.shape)))

    def compute_output_shape(self, input_shape: Any) -> tuple:
        x, like = input_shape
        shape = list(like)
        for axis in {0, 1 if self.data_format == "channels_first" else len(shape) - 1}:
            shape[axis] = x[axis]
        return tuple(shape)


def cut(x: Any, shape: Sequence, axes: Sequence[int]) -> Any:
    """`x`, of whose `axes` the first numbers are kept, as many as `shape` has there."""
    whole = keras.ops.shape(x)
    if all(isinstance(whole[axis], int) and whole[axis] == shape[axis] for axis in axes):
        return x
    return x[tuple(slice(shape[axis]) if axis in axes else slice(None) for axis in range(len(x.shape)))]
