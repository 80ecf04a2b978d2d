"""Reading pictures at places between their pixels, another place for each picture of a batch."""

from typing import Any

from keras import ops

from keras_resnet.learning.augmentation.layer import count_and_sizes


def sampled(images: Any, rows: Any, columns: Any, fill: float | None = None) -> Any:
    """Bilinear values, float32.

    A pixel's middle is at its index plus 0.5, as in Pillow. Beyond the middles of the outermost pixels their values hold on.

    Args:
        images: `(n, height, width, channels)`.
        rows, columns: places, `(n, new height, new width)`, or shapes that broadcast to that.
        fill: value of places outside the picture; `None` for that of the nearest pixel.
    """
    count, height, width = count_and_sizes(images)
    channels = images.shape[-1]
    inside = (rows >= 0) & (rows < ops.cast(height, "float32")) & (columns >= 0) & (columns < ops.cast(width, "float32"))
    base = ops.reshape(ops.arange(count, dtype="int32") * (height * width), (-1, 1, 1))
    flat = ops.cast(ops.reshape(images, (-1, channels)), "float32")
    (top, bottom, down), (left, right, across) = _neighbours(rows, height), _neighbours(columns, width)

    def read(row: Any, column: Any) -> Any:
        return ops.take(flat, base + row * width + column, axis=0)

    down, across = down[..., None], across[..., None]
    upper = read(top, left) * (1 - across) + read(top, right) * across
    lower = read(bottom, left) * (1 - across) + read(bottom, right) * across
    values = upper * (1 - down) + lower * down
    return values if fill is None else ops.where(inside[..., None], values, fill)


def _neighbours(places: Any, size: Any) -> tuple[Any, Any, Any]:
    """The pixels on both sides of each place, and what the second one counts."""
    last = size - 1
    place = ops.clip(places - 0.5, 0.0, ops.cast(last, "float32"))
    first = ops.cast(ops.floor(place), "int32")
    return first, ops.minimum(first + 1, last), place - ops.cast(first, "float32")
