"""Windows over a picture: where they stand, what they show, and how much each counts where several overlap."""

import functools
import itertools
from collections.abc import Sequence

import numpy as np

SIGMA, FLOOR = 0.125, 1e-3  # of the window's side; of the weight in the middle
PADDINGS = ("reflect", "edge", "constant")


def starts(size: int, window: int, overlap: float) -> list[int]:
    """First pixels of the windows along an axis: equal steps, and the last window ends where the picture does."""
    if size <= window:
        return [0]
    step = max(1, round(window * (1 - overlap)))
    return [*range(0, size - window, step), size - window]


def importance(window: tuple[int, ...], blend: str) -> np.ndarray:
    """How much each pixel of a window counts: all alike with "mean", the middle most with "gaussian".

    `exp(-((x - m)^2 + (y - m)^2) / (2 sigma^2))` about the middle `m`, `sigma` an eighth of the side, and nowhere below 0.001.
    """
    weights = np.ones(())
    for side in window:
        offset = np.arange(side) - (side - 1) / 2
        axis = np.exp(-0.5 * (offset / (SIGMA * side)) ** 2) if blend == "gaussian" else np.ones(side)
        weights = np.multiply.outer(weights, axis)
    return np.maximum(weights, FLOOR).astype("float32")


class Blend:
    """The part of each window in the result, so that at every pixel the parts of all windows over it add to 1.

    Worked out from a window's neighbours alone: no map of the size of the picture is kept.

    Args:
        grid: first pixels of the windows along each axis.
        window: sides of a window.
        blend: `"gaussian"` or `"mean"`.
    """

    def __init__(self, grid: Sequence[Sequence[int]], window: tuple[int, ...], blend: str):
        self.grid, self.window = grid, window
        self.importance = importance(window, blend)
        # Windows inside the picture all have the same neighbours; a few more kinds stand along its borders.
        self._normalized = functools.lru_cache(maxsize=16)(self._from_offsets)

    def __call__(self, start: tuple[int, ...]) -> np.ndarray:
        """The parts of the window that begins at `start`, in its own shape."""
        near = (
            tuple(other - first for other in axis if abs(other - first) < side)
            for axis, first, side in zip(self.grid, start, self.window, strict=True)
        )
        return self._normalized(tuple(near))

    def _from_offsets(self, offsets: tuple[tuple[int, ...], ...]) -> np.ndarray:
        total = np.zeros(self.window, "float64")
        for offset in itertools.product(*offsets):
            here = tuple(slice(max(0, o), side + min(0, o)) for o, side in zip(offset, self.window, strict=True))
            there = tuple(slice(max(0, -o), side + min(0, -o)) for o, side in zip(offset, self.window, strict=True))
            total[here] += self.importance[there]
        return (self.importance / total).astype("float32")


def cut(image: np.ndarray, start: tuple[int, ...], window: tuple[int, ...], padding: str) -> np.ndarray:
    """The window of a channels-last picture that begins at `start`; where the picture is smaller, it is in the middle of its padding."""
    piece = image[tuple(slice(first, first + side) for first, side in zip(start, window, strict=True))]
    margins = [margin(have, side) for have, side in zip(piece.shape, window, strict=False)]
    if any(before or after for before, after in margins):
        piece = np.pad(piece, [*margins, (0, 0)], mode=padding)  # type: ignore[call-overload]
    return piece


def margin(size: int, side: int) -> tuple[int, int]:
    """Pixels in front of and behind a picture of `size` pixels in a window of `side`."""
    missing = max(0, side - size)
    return missing // 2, missing - missing // 2
