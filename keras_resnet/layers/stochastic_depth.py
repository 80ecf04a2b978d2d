"""Stochastic depth: whole branches left out at random during training."""

from typing import Any

import keras

from keras_resnet.layers.configured import check_number


@keras.saving.register_keras_serializable("keras_resnet")
class StochasticDepth(keras.layers.Layer):
    """Sets the branch of a random share of the samples to zero in training, and divides the rest by the share that survives.

    Args:
        rate: probability that a sample's branch is dropped, from 0 to below 1.
        seed: integer, or `None` for one from Keras's global seed.

    Input and output shape: any, batch first. In inference the input itself.

    Raises:
        ValueError: if `rate` is outside [0, 1).

    Source: Huang et al. 2016, arXiv:1603.09382 (scaled in training, not in inference, as timm and torchvision do).
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        check_number("rate", rate, 0, 1)
        self.rate = rate
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if not training or self.rate == 0:
            return inputs
        shape = (keras.ops.shape(inputs)[0],) + (1,) * (len(inputs.shape) - 1)
        # Uniform numbers in float32: bfloat16 has 8 bits, too coarse for a small rate.
        keep = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator) >= self.rate
        return inputs * (keras.ops.cast(keep, inputs.dtype) / (1 - self.rate))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)

    def get_config(self) -> dict:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
