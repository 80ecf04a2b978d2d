"""From any framework's tensors to arrays in host memory."""

from typing import Any

import keras
import numpy as np


def as_host_array(value: Any) -> np.ndarray:
    """A tensor of any backend, or an array, as NumPy's; bfloat16, which NumPy lacks, as float32.

    Not by `keras.ops.convert_to_numpy`: Keras 3.15 calls PyTorch's and TensorFlow's `__array__` in a way that NumPy 2 warns of.
    """
    if isinstance(value, (np.ndarray, list, tuple, int, float)):
        return np.asarray(value)
    if keras.backend.standardize_dtype(value.dtype) == "bfloat16":
        value = keras.ops.cast(value, "float32")
    value = value.detach().cpu() if hasattr(value, "detach") else value
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value)
