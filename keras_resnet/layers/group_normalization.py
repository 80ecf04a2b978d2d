"""Group normalization: each sample by the statistics of its own groups of channels."""

import math
from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.backend import reference


@keras.saving.register_keras_serializable("keras_resnet")
class GroupNormalization(keras.layers.GroupNormalization):
    """Keras's `GroupNormalization`, without its copies of the activations.

    `y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`, mean and biased variance over a group's channels and all pixels of a sample.

    Args: those of `keras.layers.GroupNormalization`; `groups=-1` is instance normalization.

    Input and output shape: any, batch first, with the channels on `axis`. The output has the layer's compute type; statistics are float32
    inside.

    Source: Wu and He 2018, arXiv:1803.08494.
    """

    def call(self, inputs: Any) -> Any:
        gamma = None if self.gamma is None else self.gamma.value
        beta = None if self.beta is None else self.beta.value
        # PyTorch's own raises, also in inference, where there is one number in all for each group.
        single = None not in inputs.shape and math.prod(inputs.shape) == self.groups
        group_norm = reference.group_norm if single else backend.group_norm
        return keras.ops.cast(group_norm(inputs, gamma, beta, self.groups, self.epsilon, self.axis), self.compute_dtype)

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)
