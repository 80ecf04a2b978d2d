"""The factor of a residual branch, and its probability of being left out: what all blocks call by the same names."""

import math
from typing import Any

import keras

from keras_resnet.layers.configured import check_count, check_number


def check_branch(residual_scale: Any, num_blocks: Any, stochastic_depth: Any) -> None:
    """Raises unless these are settings of a residual branch."""
    check_number("residual_scale", residual_scale, also=("1/sqrt(N)", "learned"))
    check_number("stochastic_depth", stochastic_depth, 0, 1)
    if residual_scale == "1/sqrt(N)":
        check_count("num_blocks", num_blocks)


def scaled(y: Any, residual_scale: float | str, num_blocks: int | None, gain: Any) -> Any:
    """The branch's output `y` by its factor: a number, `"1/sqrt(N)"`, or `"learned"`: the variable `gain`."""
    if residual_scale == "learned":
        return y * keras.ops.cast(gain.value, y.dtype)
    if residual_scale == "1/sqrt(N)":
        return y * (1 / math.sqrt(num_blocks or 1))
    return y if residual_scale == 1 else y * residual_scale
