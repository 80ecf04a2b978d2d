"""Pooling with symmetric padding by whole pixels, and the global mean, without the layout copies of Keras's on PyTorch."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.backend import geometry


def _spec(layer: keras.layers.Layer, inputs: Any) -> keras.KerasTensor:
    return keras.KerasTensor(layer.compute_output_shape(inputs.shape), dtype=inputs.dtype)


class _WindowPooling(keras.layers.Layer):
    """What maximum and average share: integer padding and the shape of the output."""

    def __init__(self, pool_size: Any = (2, 2), strides: Any = None, padding: Any = "valid", **kwargs: Any):
        pixels = geometry.standardize_padding(padding)
        super().__init__(pool_size, strides, pixels if isinstance(pixels, str) else "valid", **kwargs)
        self.padding = pixels

    def settings(self) -> tuple:
        return self.pool_size, self.strides, self.padding, self.data_format

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return geometry.window_output_shape(input_shape, None, *self.settings())

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        return _spec(self, inputs)

    def get_config(self) -> dict:
        return {**super().get_config(), "padding": self.padding}


@keras.saving.register_keras_serializable("keras_resnet")
class MaxPooling2D(_WindowPooling, keras.layers.MaxPooling2D):
    """Keras's `MaxPooling2D` with integer padding, which never wins: `MaxPooling2D(3, strides=2, padding=1)`.

    Args:
        pool_size, strides: in pixels, one integer or (height, width); `strides=None` means `pool_size`.
        padding: `"valid"`, `"same"` (Keras's), or pixels a side: one integer or (height, width).
        **kwargs: `data_format`, and what every layer takes.

    Input shape: `(n, height, width, channels)`, or channels first. Output shape: `(size + 2 * padding - pool_size) // stride + 1` a side.
    """

    def call(self, inputs: Any) -> Any:
        return backend.max_pool2d(inputs, *self.settings())


@keras.saving.register_keras_serializable("keras_resnet")
class AveragePooling2D(_WindowPooling, keras.layers.AveragePooling2D):
    """Keras's `AveragePooling2D` with integer padding, which does not count in the mean: `AveragePooling2D(3, strides=2, padding=1)`.

    Args and shapes: as `MaxPooling2D`.
    """

    def call(self, inputs: Any) -> Any:
        return backend.average_pool2d(inputs, *self.settings())


@keras.saving.register_keras_serializable("keras_resnet")
class GlobalAveragePooling2D(keras.layers.GlobalAveragePooling2D):
    """Keras's `GlobalAveragePooling2D`, summed in float32 whatever the type of the map.

    Input shape: `(n, height, width, channels)`, or channels first. Output shape: `(n, channels)`.
    """

    def call(self, inputs: Any) -> Any:
        if self.keepdims:
            return super().call(inputs)
        return backend.global_average_pool2d(inputs, self.data_format)

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        return _spec(self, inputs)
