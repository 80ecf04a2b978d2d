"""Rectangles of a batch of pictures, of each its own."""

from typing import Any

from keras import ops


def boxes(height: Any, width: Any, top: Any, bottom: Any, left: Any, right: Any) -> Any:
    """Which pixels are from `top` to above `bottom` and from `left` to before `right`, numbers of shape `(n,)`: `(n, height, width, 1)`."""
    down, across = _between(height, top, bottom), _between(width, left, right)
    return down[:, :, None, None] & across[:, None, :, None]


def _between(size: Any, first: Any, end: Any) -> Any:
    places = ops.arange(size, dtype="float32")
    return (places >= ops.cast(first, "float32")[:, None]) & (places < ops.cast(end, "float32")[:, None])
