"""From any framework's tensors to arrays in host memory."""

from typing import Any

import keras
import numpy as np


def as_host_array(value: Any, name: str = "value") -> np.ndarray:
    """A tensor of any backend, or an array, as NumPy's; bfloat16, which NumPy lacks, as float32. Raises, with its `name`, at what is none.

    Not by `keras.ops.convert_to_numpy`: Keras 3.15 calls PyTorch's and TensorFlow's `__array__` in a way that NumPy 2 warns of.
    """
    if isinstance(value, (np.ndarray, list, tuple, int, float)):
        return np.asarray(value)
    if not hasattr(value, "dtype"):
        raise ValueError(f"`{name}` must be an array or a tensor; of anything else np.asarray makes one. Received: {type(value).__name__}.")
    if keras.backend.standardize_dtype(value.dtype) == "bfloat16":
        value = keras.ops.cast(value, "float32")
    value = value.detach().cpu() if hasattr(value, "detach") else value
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value)
