"""timm's layers, as `make_layers` wrote them down, beside ours."""

import pathlib
from typing import Any

import keras
import numpy as np

from tests import tolerances
from tests.arrays import as_numpy

FILE = pathlib.Path(__file__).with_name("layers.npz")


def recorded(case: str) -> dict[str, np.ndarray]:
    """The arrays of one case: `x`, `y` (channels first) and what else timm's module has."""
    with np.load(FILE) as file:
        found = {key.removeprefix(f"{case}."): file[key] for key in file.files if key.startswith(f"{case}.")}
    assert {"x", "y"} <= found.keys(), f"no case {case}"
    return found


def check(layer: Any, case: str, keys: dict[str, str], dtype: str = "float32") -> None:
    """`layer`, channels last, gives what timm's gave.

    Args:
        keys: the end of our variable's path to timm's key.
    """
    arrays = recorded(case)
    x = arrays["x"].transpose(0, 2, 3, 1)
    layer.build(x.shape)
    assert len(layer.variables) == len(keys) == len(arrays) - 2
    for variable in layer.variables:
        value = arrays[next(key for end, key in keys.items() if variable.path.endswith(end))]
        if len(variable.shape) > 1:
            value = value.transpose(*range(2, value.ndim), 1, 0)
        variable.assign(value.reshape(variable.shape))
    y = as_numpy(layer(keras.ops.convert_to_tensor(x)))
    assert tolerances.difference(y.transpose(0, 3, 1, 2), arrays["y"]) < GOLDEN[dtype]


# Our float32 beside timm's float64, relative to the largest number.
GOLDEN = {"float32": 1e-6, "bfloat16": 2e-2}
