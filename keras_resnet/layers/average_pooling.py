"""The mean of each window, over the pixels that exist."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.layers.pooling import WindowPooling


@keras.saving.register_keras_serializable("keras_resnet")
class AveragePooling2D(WindowPooling, keras.layers.AveragePooling2D):
    """Keras's `AveragePooling2D` with integer padding, which does not count in the mean: `AveragePooling2D(3, strides=2, padding=1)`.

    Args and shapes: as `MaxPooling2D`.
    """

    def call(self, inputs: Any) -> Any:
        return backend.average_pool2d(inputs, *self.settings())
