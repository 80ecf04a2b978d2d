"""Bicubic resizing of a grid of vectors to whatever grid an image has: two products of matrices, the same on every backend."""

from typing import Any

import keras
import numpy as np

SHARPNESS = -0.5  # of the cubic kernel, as PyTorch, Pillow and timm have it where they smooth before they shrink


def resized_grid(grid: Any, size: tuple) -> Any:
    """The `(height, width, channels)` tensor `grid`, resized to `size`: two integers, or on TensorFlow tensors.

    Equal to `torch.nn.functional.interpolate(mode="bicubic", antialias=True)`: where the grid shrinks, the kernel is as much wider.

    Source: Keys 1981, "Cubic convolution interpolation for digital image processing", doi:10.1109/TASSP.1981.1163711.
    """
    height, width, channels = grid.shape
    if all(isinstance(length, int) for length in size) and (height, width) == size:  # a tensor has no truth while TensorFlow traces
        return grid
    rows, columns = cubic_weights(height, size[0]), cubic_weights(width, size[1])
    tall = keras.ops.matmul(rows, keras.ops.reshape(grid, (height, width * channels)))
    return keras.ops.matmul(columns, keras.ops.reshape(tall, (-1, width, channels)))


def cubic_weights(old: int, new: Any) -> Any:
    """The `(new, old)` matrix whose rows weigh the old points for each new one; a NumPy array where `new` is a number."""
    known = isinstance(new, int)
    xp: Any = np if known else keras.ops
    scale = old / new if known else old / keras.ops.cast(new, "float32")
    wide = xp.maximum(scale, 1.0)
    centres = (xp.arange(new, dtype="float32") + 0.5) * scale
    distance = xp.abs(xp.expand_dims(centres, 1) - (xp.arange(old, dtype="float32") + 0.5)) / wide
    near = ((SHARPNESS + 2) * distance - (SHARPNESS + 3)) * distance * distance + 1
    far = SHARPNESS * (((distance - 5) * distance + 8) * distance - 4)
    weights = xp.where(distance < 1, near, xp.where(distance < 2, far, 0.0))
    weights = weights / xp.sum(weights, 1, keepdims=True)
    return weights.astype("float32") if known else weights
