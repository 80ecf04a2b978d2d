"""Layer normalization over the last axis, as transformers have it."""

from typing import Any

import keras

from keras_resnet import backend


@keras.saving.register_keras_serializable("keras_resnet")
class LayerNormalization(keras.layers.LayerNormalization):
    """Keras's `LayerNormalization` over the channels, by an operation of ours, so that `profile` counts it.

    `y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`, mean and variance over the last axis, in float32.

    Args:
        epsilon: added to the variance; the published transformers have 1e-6.
        **kwargs: the rest of `keras.layers.LayerNormalization`, but for the axis.

    Input and output shape: any, the channels last.

    Source: Ba, Kiros and Hinton 2016, arXiv:1607.06450.
    """

    def __init__(self, epsilon: float = 1e-6, **kwargs: Any):
        super().__init__(epsilon=epsilon, **kwargs)

    def call(self, inputs: Any) -> Any:
        if keras.backend.standardize_dtype(inputs.dtype) != self.compute_dtype:
            inputs = keras.ops.cast(inputs, self.compute_dtype)
        gamma, beta = (None if vector is None else vector.value for vector in (self.gamma, self.beta))
        return backend.layer_norm(inputs, gamma, beta, self.epsilon)

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict:
        config = super().get_config()
        return {name: value for name, value in config.items() if name not in ("axis", "rms_scaling")}
