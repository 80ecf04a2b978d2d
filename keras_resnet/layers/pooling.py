"""What maximum and average pooling share: symmetric padding by whole pixels, and the shape of the output."""

from typing import Any

import keras

from keras_resnet.backend import geometry


class WindowPooling(keras.layers.Layer):
    """Integer padding for a pooling layer of Keras's, which a subclass names after this one."""

    def __init__(self, pool_size: Any = (2, 2), strides: Any = None, padding: Any = "valid", **kwargs: Any):
        pixels = geometry.standardize_padding(padding)
        super().__init__(pool_size, strides, pixels if isinstance(pixels, str) else "valid", **kwargs)
        self.padding = pixels

    def settings(self) -> tuple:
        return self.pool_size, self.strides, self.padding, self.data_format

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return geometry.window_output_shape(input_shape, None, *self.settings())

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=inputs.dtype)

    def get_config(self) -> dict:
        return {**super().get_config(), "padding": self.padding}
