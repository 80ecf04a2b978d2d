"""Resizing and cropping in one: two products with small matrices, the numbers of Pillow on every backend."""

import dataclasses
import math
from typing import Any

import keras
import numpy as np

# Pixels on either side of a point that the kernel reaches where it does not shrink the picture.
REACH = {"bilinear": 1, "bicubic": 2}
SHARPNESS = -0.5  # of the cubic kernel, as Pillow has it
# Weights are whole multiples of 2^-bits. With pixels of 8 bits every sum of a product is then exact in float32, whatever its order, and so
# the same on every backend: the weights' sizes add up to 1, and to less than 2 in the cubic kernel; 255 * 2^16 and 510 * 2^15 are below
# 2^24. Pillow's have 22 bits: beside it one value in 80 is another by 1 of 255.
BITS = {"bilinear": 16, "bicubic": 15}
# Rows of a matrix that are multiplied at once, with the pixels that they need: beside those it is zero. In NumPy so few that OpenBLAS keeps
# to one thread at 500 pixels a side: on two busy cores its threads took 40 times as long.
BLOCK, NUMPY_BLOCK = 32, 16


def resize(x: Any, size: tuple[int, int], crop: float, crop_mode: str, interpolation: str, antialias: bool, fill: np.ndarray) -> Any:
    """The `(n, channels, *size)` float32 pictures of 0 to 255 out of `(n, height, width, channels)`, resized, then cropped.

    Integers are rounded behind each of the two passes, along the rows first, as Pillow rounds. NumPy arrays give a NumPy array.

    Args:
        fill: a value for each channel, of what lies beside a picture; only `crop_mode="border"` has such pixels.

    Source: Keys 1981, "Cubic convolution interpolation for digital image processing", doi:10.1109/TASSP.1981.1163711.
    """
    xp: Any = np if isinstance(x, np.ndarray) else keras.ops
    shape = tuple(xp.shape(x))[1:3]
    whole = "int" in keras.backend.standardize_dtype(x.dtype)
    lengths = zip(shape, new_size(shape, size, crop, crop_mode), size)
    rows, columns = (band(*length, interpolation, antialias) for length in lengths)
    if rows.known:
        first, last = rows.needed(slice(None))
        x, rows = x[:, first:last], dataclasses.replace(rows, old=last - first, start=rows.start - first)
    channels = int(x.shape[-1])
    # One tall matrix, made while a pixel has a byte: PyTorch would else copy every piece of it again.
    x = xp.reshape(xp.transpose(x, (0, 3, 1, 2)), (-1, columns.old))
    x = xp.reshape(_settled(xp, columns.product(xp, x, True), whole), (-1, channels, rows.old, size[1]))
    x = _settled(xp, rows.product(xp, x, False), whole)
    if crop_mode == "border":
        beside = xp.logical_not(xp.logical_and(xp.expand_dims(rows.inside, 1), columns.inside))
        x = xp.where(beside, xp.reshape(fill, (-1, 1, 1)), x)
    return x


def new_size(shape: tuple, size: tuple[int, int], crop: float, crop_mode: str) -> tuple:
    """Height and width of the whole picture once it is resized: what is then cropped or padded to `size`.

    `shape` holds integers or, while TensorFlow traces, tensors. Both give the same, in float64 where timm divides.
    """
    scaled = tuple(math.floor(length / crop) for length in size)
    if crop_mode == "squash":
        return scaled
    known = all(isinstance(length, int) for length in shape)
    xp: Any = np if known else keras.ops
    if crop_mode == "center" and scaled[0] == scaled[1]:
        new = [scaled[0] * length // xp.minimum(*shape) for length in shape]
    else:
        lengths = [_cast(xp, length, "float64") for length in shape]
        ratios = [length / target for length, target in zip(lengths, scaled)]
        ratio = xp.minimum(*ratios) if crop_mode == "center" else xp.maximum(*ratios)
        new = [xp.maximum(xp.round(length / ratio), 1) for length in lengths]  # half to even, as Python
    return tuple(int(length) if known else keras.ops.cast(length, "int32") for length in new)


@dataclasses.dataclass(frozen=True)
class Band:
    """The matrix by which one side of a picture is multiplied, `(size, old)`, of which each row is zero but for one stretch.

    All is NumPy where the sides are known, else tensors.
    """

    known: bool
    old: Any
    start: Any  # of each stretch
    weights: Any  # `(size, length of a stretch)`
    inside: Any  # whether a row stands for a point of the picture; if not, all of it is zero

    def needed(self, rows: slice) -> tuple[int, int]:
        """From which to before which pixel these rows reach."""
        start = self.start[rows]
        return int(start.min()), int(start.max()) + self.weights.shape[1]

    def matrix(self, rows: slice, first: int, last: Any) -> Any:
        """These rows, from pixel `first` to before `last`."""
        if self.known:
            index = self.start[rows, None] - first + np.arange(self.weights.shape[1])
            dense = np.zeros((len(index), last - first), "float32")
            np.put_along_axis(dense, index, self.weights[rows], 1)
            return dense
        return self.weights

    def product(self, xp: Any, x: Any, along_rows: bool) -> Any:
        """`x` with its last axis multiplied, or with the one before."""
        size = len(self.weights) if self.known else 0
        step = NUMPY_BLOCK if xp is np else BLOCK
        blocks = [slice(i, min(i + step, size)) for i in range(0, size, step)] or [slice(None)]
        pieces = []
        for rows in blocks:
            first, last = self.needed(rows) if self.known else (0, self.old)
            piece = x if not self.known else x[..., first:last] if along_rows else x[..., first:last, :]
            matrix = self.matrix(rows, first, last)
            piece = _cast(xp, piece, "float32")
            pieces.append(xp.matmul(piece, xp.transpose(matrix)) if along_rows else xp.matmul(matrix, piece))
        return pieces[0] if len(pieces) == 1 else xp.concatenate(pieces, -1 if along_rows else -2)


def band(old: Any, new: Any, size: int, interpolation: str, antialias: bool) -> Band:
    """What makes `new` pixels out of `old`, and then takes the middle `size`, or lays them into the middle of so many."""
    known = isinstance(old, int) and isinstance(new, int)
    xp: Any = np if known else keras.ops
    scale = _cast(xp, old, "float64") / _cast(xp, new, "float64")
    wide = xp.maximum(scale, 1.0) if antialias else _cast(xp, 1.0, "float64")
    reach = REACH[interpolation] * wide
    place = xp.arange(size, dtype="int32") + _offset(xp, new, size)
    inside = (place >= 0) & (place < new)
    centres = (_cast(xp, place, "float64") + 0.5) * scale
    taps, start = old, xp.zeros_like(place)  # all pixels, or where they are known those that a row reaches
    if known:
        taps = np.minimum(2 * np.ceil(reach).astype("int32") + 1, old)
        start = np.clip(np.floor(centres - reach + 0.5).astype("int32"), 0, old - taps)
    pixels = xp.expand_dims(start, 1) + xp.arange(taps, dtype="int32")
    distance = xp.abs(_cast(xp, pixels, "float64") + 0.5 - xp.expand_dims(centres, 1)) / wide
    weights = _kernel(xp, distance, interpolation)
    total = xp.sum(weights, 1, keepdims=True)
    weights = weights / xp.where(total > 0, total, 1.0)
    units = 2.0 ** BITS[interpolation]
    weights = xp.round(weights * units)
    largest = xp.arange(taps) == xp.expand_dims(xp.argmax(weights, 1), 1)  # which takes what rounding has left: rows sum to 1
    weights = weights + _cast(xp, largest, "float64") * (units - xp.sum(weights, 1, keepdims=True))
    weights = _cast(xp, weights / units, "float32") * _cast(xp, xp.expand_dims(inside, 1), "float32")
    return Band(known, old, start, weights, inside)


def _kernel(xp: Any, distance: Any, interpolation: str) -> Any:
    if interpolation == "bilinear":
        return xp.maximum(1.0 - distance, 0.0)
    near = ((SHARPNESS + 2) * distance - (SHARPNESS + 3)) * distance * distance + 1
    far = SHARPNESS * (((distance - 5) * distance + 8) * distance - 4)
    return xp.where(distance < 1, near, xp.where(distance < 2, far, 0.0))


def _offset(xp: Any, new: Any, size: int) -> Any:
    """Where the `size` middle ones of `new` pixels begin, halves to the even number, as Python rounds; below zero where `new` are few."""
    spare = new - size
    return xp.where(spare >= 0, spare // 2 + spare % 2 * (spare // 2 % 2), -(-spare // 2))


def _settled(xp: Any, x: Any, whole: bool) -> Any:
    return xp.clip(xp.floor(x + 0.5) if whole else x, 0.0, 255.0)


def _cast(xp: Any, x: Any, dtype: str) -> Any:
    return np.asarray(x, dtype, order="C") if xp is np else keras.ops.cast(x, dtype)
