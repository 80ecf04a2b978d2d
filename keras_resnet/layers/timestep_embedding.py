"""What a diffusion network knows of the time: sines and cosines of the step, and two dense layers behind them."""

import math
from typing import Any

import keras
import numpy as np

from keras_resnet.layers.configured import ConfiguredLayer, check_choice, check_count, get_activation
from keras_resnet.layers.initializer import HeNormal
from keras_resnet.layers.projection import project

CONVENTIONS = ("ddpm", "adm")
PERIOD = 10_000  # of the slowest wave, in steps and times 2 pi


def diffusion_start(scale: float = 1.0) -> HeNormal:
    """What diffusion networks start from: uniform numbers of variance `scale / fan_avg`; with `NEAR_ZERO` at the end of a branch."""
    return HeNormal(scale=scale, mode="fan_avg", distribution="uniform")


# Of the last kernel of every branch. So small that each block starts as its shortcut, and not zero, so that no gradient is.
NEAR_ZERO = 1e-10


def waves(timesteps: Any, dim: int, convention: str) -> Any:
    """Sines and cosines of `timesteps`, `(n,)`, to `(n, dim)`, in float32.

    `sin(t w_i), cos(t w_i)` with `w_i = 10000 ** (-i / (dim / 2 - 1))` for `"ddpm"`; cosines first and `w_i = 10000 ** (-i / (dim / 2))`
    for `"adm"`. An odd `dim` ends in a zero.
    """
    half = dim // 2
    last = max(half - 1, 1) if convention == "ddpm" else half
    frequencies = keras.ops.convert_to_tensor(np.exp(-math.log(PERIOD) / last * np.arange(half)).astype("float32"))
    angles = keras.ops.expand_dims(keras.ops.cast(timesteps, "float32"), -1) * frequencies
    parts = [keras.ops.sin(angles), keras.ops.cos(angles)]
    parts = parts if convention == "ddpm" else parts[::-1]
    if dim % 2:
        parts.append(keras.ops.zeros_like(angles[:, :1]))
    return keras.ops.concatenate(parts, -1)


@keras.saving.register_keras_serializable("keras_resnet")
class TimestepEmbedding(ConfiguredLayer):
    """A vector of `units` numbers for each sample's step of a diffusion.

    ```
    t -- sines and cosines, dim -- dense, units -- silu -- dense, units
    ```

    Args:
        dim: how many sines and cosines, at least 2.
        units: numbers of the vector.
        convention: `"ddpm"`, sines first and the slowest wave at exactly 10,000 steps, or `"adm"`, cosines first and slightly faster.
            Weights trained with one are useless with the other.
        activation: any Keras activation, by name or function.

    Input shape: `(n,)`, whole numbers or fractions. They are float32 inside: bfloat16 cannot tell 999 from 1000.
    Output shape: `(n, units)`.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.5; for diffusion Ho et al. 2020, arXiv:2006.11239, appendix B, and with the
    cosines first Dhariwal and Nichol 2021, arXiv:2105.05233.
    """

    def __init__(self, dim: int, units: int, convention: str = "ddpm", activation: Any = "silu", **kwargs: Any):
        super().__init__(autocast=False, **kwargs)
        check_count("dim", dim)
        if dim < 2:
            raise ValueError(f"`dim` must be an integer of at least 2: a sine and a cosine. Received: dim={dim!r}.")
        check_count("units", units)
        check_choice("convention", convention, CONVENTIONS)
        get_activation("activation", activation)
        self.keep(locals())

    def build(self, input_shape: tuple) -> None:
        if len(input_shape) != 1:
            raise ValueError(f"{type(self).__name__} takes a step for each sample, (n,). Received: shape={tuple(input_shape)}.")
        self.dense1 = self._dense("dense1", self.dim)
        self.dense2 = self._dense("dense2", self.units)
        self.finish_build()

    def _dense(self, name: str, channels: int) -> keras.layers.Dense:
        dense = keras.layers.Dense(self.units, kernel_initializer=diffusion_start(), dtype=self.dtype_policy, name=name)
        dense.build((None, channels))
        return dense

    def call(self, inputs: Any) -> Any:
        x = keras.ops.cast(waves(inputs, self.dim, self.convention), self.compute_dtype)
        return project(self.activation(project(x, self.dense1)), self.dense2)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (input_shape[0], self.units)

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)
