"""Exact Euclidean distances in `keras.ops`, inside whatever graph: for losses and metrics that ask how far, not how much."""

from typing import Any

import keras
import numpy as np

from keras_resnet.layers.configured import check_number

BEYOND = 1e12  # squared: further than any pixel of any image


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

    Row by row, then column by column, each by a loop over places: as many steps as the sizes' sum, each over the whole mask. Exact, as
    are scipy's, and without leaving the device; no gradient.

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
    squared = keras.ops.where(mask, keras.ops.cast(0, dtype), keras.ops.cast(BEYOND, dtype))
    for axis in range(1, rank + 1):
        squared = _along(squared, axis, 1.0 if spacing is None else spacing[axis - 1], dtype)
    found = squared < BEYOND / 2
    return keras.ops.stop_gradient(keras.ops.where(found, keras.ops.sqrt(squared), keras.ops.zeros_like(squared))), found


def _along(squared: Any, axis: int, length: float, dtype: str) -> Any:
    """For each place of an axis the least of `squared[other] + (place - other) ** 2`."""
    lines = keras.ops.moveaxis(squared, axis, 0)
    size = keras.ops.shape(lines)[0]
    places = keras.ops.reshape(keras.ops.cast(keras.ops.arange(size), dtype) * length, (-1,) + (1,) * (len(lines.shape) - 1))
    least, _, _ = keras.ops.fori_loop(0, size, _step, (lines, lines, places))
    return keras.ops.moveaxis(least, 0, axis)


def _step(other: Any, state: tuple) -> tuple:
    # A function of the module: JAX, run eagerly, compiles a loop anew for each function that it has not met.
    least, lines, places = state
    apart = places - keras.ops.take(places, other, axis=0)
    return keras.ops.minimum(least, keras.ops.take(lines, other, axis=0) + apart * apart), lines, places
