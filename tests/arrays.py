"""Numbers to test with, and the way from a framework's tensors to NumPy."""

from typing import Any

import keras
import numpy as np


def normal(*shape: int, seed: int = 0, mean: float = 0.0, deviation: float = 1.0) -> np.ndarray:
    """Normal numbers, float32, the same on every machine and backend."""
    generator = np.random.Generator(np.random.PCG64([seed, *shape]))
    return (mean + deviation * generator.standard_normal(shape)).astype("float32")


def as_numpy(tensor: Any) -> np.ndarray:
    """A copy of any tensor or variable as NumPy; bfloat16 and float16 as float32, as NumPy has no arithmetic for the former.

    Not by `keras.ops.convert_to_numpy`: Keras 3.15 calls PyTorch's and TensorFlow's `__array__` in a way that NumPy 2 warns of.
    """
    tensor = tensor.value if isinstance(tensor, keras.Variable) else tensor
    if keras.backend.standardize_dtype(tensor.dtype) in ("bfloat16", "float16"):
        tensor = keras.ops.cast(tensor, "float32")
    if keras.backend.backend() == "torch":
        tensor = tensor.detach().cpu()
    return np.array(tensor.numpy() if hasattr(tensor, "numpy") else tensor)


def values(layer: Any) -> dict[str, np.ndarray]:
    """A copy of every variable of a layer or a model, by its path."""
    return {f"{i} {variable.path}": as_numpy(variable) for i, variable in enumerate(layer.variables)}


def assert_unchanged(before: dict[str, np.ndarray], layer: Any) -> None:
    """Fails if a single bit of a variable is another one than when `values` copied it."""
    after = values(layer)
    assert before.keys() == after.keys()
    changed = [path for path, value in before.items() if value.tobytes() != after[path].tobytes()]
    assert not changed, f"changed: {changed}"
