"""Starting values, drawn by NumPy: the same on every backend from the same seed, and without a compilation a shape."""

import keras
import numpy as np


@keras.saving.register_keras_serializable("keras_resnet")
class HeNormal(keras.initializers.VarianceScaling):
    """Normal numbers of variance `2 / fan_out`, what ResNets start from.

    After `keras.utils.set_random_seed(s)` a network starts from the same numbers on TensorFlow, JAX and PyTorch. On JAX, Keras's own
    initializers compile once a shape: most of the seconds it takes to build a large network.

    Args:
        scale: factor of the variance; 2 for ReLU.
        mode: `"fan_out"` (keeps the gradient's variance; the default, as torchvision), `"fan_in"` or `"fan_avg"`.
        distribution: `"untruncated_normal"`, `"truncated_normal"` (cut at two standard deviations) or `"uniform"`.
        seed: integer, or `None` for one drawn from Python's `random`, which `keras.utils.set_random_seed` seeds.

    Source: He et al. 2015, "Delving deep into rectifiers", arXiv:1502.01852.
    """

    def __init__(
        self,
        scale: float = 2.0,
        mode: str = "fan_out",
        distribution: str = "untruncated_normal",
        seed: int | None = None,
    ):
        if seed is not None and not (isinstance(seed, int) and seed >= 0):
            raise ValueError(f"`seed` must be an integer of at least 0, or None. Received: seed={seed!r}.")
        super().__init__(scale=scale, mode=mode, distribution=distribution, seed=seed)

    def __call__(self, shape, dtype=None):
        receptive = int(np.prod(shape[:-2]))
        fan_in, fan_out = (shape[-2] * receptive, shape[-1] * receptive) if len(shape) > 1 else (shape[0], shape[0])
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        deviation = float(np.sqrt(self.scale / max(1.0, fan)))
        # With the shape in the seed, kernels of different shapes do not share the beginnings of their numbers.
        generator = np.random.Generator(np.random.SFC64([self.seed, *shape]))
        if self.distribution == "uniform":
            values = generator.uniform(-np.sqrt(3) * deviation, np.sqrt(3) * deviation, shape).astype("float32")
        else:
            values = generator.standard_normal(shape, dtype="float32")
            if self.distribution == "truncated_normal":
                outside = np.abs(values) > 2
                while outside.any():
                    values[outside] = generator.standard_normal(int(outside.sum()), dtype="float32")
                    outside = np.abs(values) > 2
                deviation /= 0.87962566103423978  # the standard deviation that cutting at two leaves
            values *= np.float32(deviation)
        return keras.ops.convert_to_tensor(values, dtype=dtype)

    def get_config(self) -> dict:
        # Keras's own lists more, such as axes, which the constructor here does not take.
        config = super().get_config()
        return {name: config[name] for name in ("scale", "mode", "distribution", "seed")}
