"""The largest value of each window, without the layout copies of Keras's on PyTorch."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.layers.pooling import WindowPooling


@keras.saving.register_keras_serializable("keras_resnet")
class MaxPooling2D(WindowPooling, keras.layers.MaxPooling2D):
    """Keras's `MaxPooling2D` with integer padding, which never wins: `MaxPooling2D(3, strides=2, padding=1)`.

    Args:
        pool_size, strides: in pixels, one integer or (height, width); `strides=None` means `pool_size`.
        padding: `"valid"`, `"same"` (Keras's), or pixels a side: one integer or (height, width).
        **kwargs: `data_format`, and what every layer takes.

    Input shape: `(n, height, width, channels)`, or channels first. Output shape: `(size + 2 * padding - pool_size) // stride + 1` a side.
    """

    def call(self, inputs: Any) -> Any:
        return backend.max_pool2d(inputs, *self.settings())
