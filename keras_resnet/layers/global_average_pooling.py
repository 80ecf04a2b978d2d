"""The mean over the whole map, without a float32 copy of it."""

from typing import Any

import keras

from keras_resnet import backend


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
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=inputs.dtype)
