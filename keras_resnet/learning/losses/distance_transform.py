"""Exact Euclidean distances, inside whatever graph: for losses and metrics that ask how far, not how much."""

from typing import Any

import keras
import numpy as np

from keras_resnet import backend
from keras_resnet.backend.nearest import BEYOND
from keras_resnet.layers.configured import check_number


def check_spacing(spacing: Any) -> tuple[float, ...] | None:
    """The lengths of a pixel as a tuple. Raises unless all are above 0."""
    if spacing is None:
        return None
    spacing = tuple(spacing) if isinstance(spacing, (list, tuple, np.ndarray)) else (spacing,)
    for i, length in enumerate(spacing):
        check_number(f"spacing[{i}]", length, 0)
        if length == 0:
            raise ValueError(f"Each of `spacing` must be above 0. Received: spacing={spacing!r}.")
    return tuple(float(length) for length in spacing)


def distances(mask: Any, spacing: tuple[float, ...] | None = None, dtype: str = "float32") -> tuple[Any, Any]:
    """Distance from each pixel to the nearest that is true in `mask`, `(n, *sizes, channels)`, and whether there is any.

    Exact, as are scipy's, and without leaving the device; no gradient.

    Args:
        mask: booleans.
        spacing: length of a pixel along each of the sizes; `None` for 1.
        dtype: of the distances.

    Returns:
        Distances, and booleans of the same shape: false where the mask of that channel has no true pixel; the distance there is 0.
    """
    rank = len(mask.shape) - 2
    if spacing is not None and len(spacing) != rank:
        raise ValueError(f"`spacing` must have a length for each of the {rank} sizes. Received: spacing={spacing!r}.")
    squared = backend.squared_distances(mask, (1.0,) * rank if spacing is None else spacing, dtype)
    found = squared < BEYOND
    return keras.ops.where(found, keras.ops.sqrt(squared), keras.ops.zeros_like(squared)), found
