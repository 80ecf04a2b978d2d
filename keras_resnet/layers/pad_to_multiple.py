"""Images of any size for a network that halves them: enlarged at the far sides until each halving comes out even."""

from typing import Any

import keras

from keras_resnet.backend import geometry, reference
from keras_resnet.layers.configured import ConfiguredLayer, check_count


@keras.saving.register_keras_serializable("keras_resnet")
class PadToMultiple(ConfiguredLayer):
    """Repeats the last pixels at the far sides of images or volumes until every side is a multiple of `multiple`.

    The edge is repeated, not zero: a border of zeros would be an edge that the picture does not have. `CropTo` takes it off again.

    Args:
        multiple: in pixels, at least 1; one integer, or one an axis.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: `(n, height, width, channels)` or `(n, depth, height, width, channels)`, or channels first; sides of at least 1.
    Output shape: the same with each side rounded up.

    Raises:
        ValueError: at an argument outside what is listed, or an input of another rank.
    """

    def __init__(self, multiple: Any, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        if isinstance(multiple, (tuple, list)):
            geometry.numbers(multiple, "multiple", len(multiple), 1)
        else:
            check_count("multiple", multiple)
        self.keep(locals())

    def build(self, input_shape: tuple) -> None:
        check_rank(self, input_shape)
        self._multiples(len(input_shape))
        self.built = True

    def _multiples(self, ndim: int) -> geometry.Numbers:
        return geometry.numbers(self.multiple, "multiple", ndim - 2, 1)

    def call(self, inputs: Any) -> Any:
        x = inputs
        for axis, multiple in zip(reference.spatial_axes(self.data_format, len(x.shape)), self._multiples(len(x.shape)), strict=True):
            old = keras.ops.shape(x)[axis]
            if isinstance(old, int) and old % multiple == 0:
                continue
            new = -(-old // multiple) * multiple
            x = keras.ops.take(x, keras.ops.minimum(keras.ops.arange(new), old - 1), axis)
        return x

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        shape = list(input_shape)
        for axis, multiple in zip(reference.spatial_axes(self.data_format, len(shape)), self._multiples(len(shape)), strict=True):
            shape[axis] = None if shape[axis] is None else -(-shape[axis] // multiple) * multiple
        return tuple(shape)


def check_rank(layer: keras.layers.Layer, shape: tuple) -> None:
    """Raises unless this is the shape of a batch of images or of volumes."""
    if len(shape) not in (4, 5):
        raise ValueError(
            f"{type(layer).__name__} takes images, (n, height, width, channels), or volumes, (n, depth, height, width, channels), or "
            f"either with the channels first. Received: shape={tuple(shape)}."
        )
