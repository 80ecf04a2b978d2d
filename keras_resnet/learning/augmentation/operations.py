"""Pillow's operations, as three passes over a batch: a turn, a table of values, a blend. Each picture takes part in one."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from keras import ops

from keras_resnet.layers.configured import check_number
from keras_resnet.learning.augmentation.draws import Draws
from keras_resnet.learning.augmentation.layer import Augmentation, as_before, count_and_sizes
from keras_resnet.learning.augmentation.sampling import sampled

Chosen = Mapping[str, Any]  # name of an operation to which pictures take it
TURNED = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
LOOKED_UP = ("auto_contrast", "equalize", "invert", "posterize", "solarize", "solarize_add")
BLENDED = ("color", "contrast", "brightness", "sharpness")
OPERATIONS = TURNED + LOOKED_UP + BLENDED


class Strengths(NamedTuple):
    """How much each operation does, a number for each picture."""

    angle: Any  # degrees of a rotation
    shear: Any
    across: Any  # pixels that a picture is read from farther to the right
    down: Any  # and below
    bits: Any  # that posterizing keeps
    start: Any  # of what values on solarizing inverts them
    more: Any  # that is added to values below 128
    factor: Any  # of what a blend keeps


class Operations(Augmentation):
    """What draws some of these for each picture of values 0 to 255.

    A subclass says in `drawn(x, draws)` which, for whole values as float32.

    Args:
        fill: value of what comes in from outside the picture, from 0 to 255.
        seed, **kwargs: see `Augmentation`.
    """

    def __init__(self, fill: float, seed: int | None, **kwargs: Any):
        super().__init__(seed, **kwargs)
        check_number("fill", fill, 0, most=255)
        self.fill = float(fill)

    def check(self, images: Any) -> None:
        super().check(images)
        if images.shape[-1] not in (1, 3):
            raise ValueError(f"{type(self).__name__} takes pictures of 1 or 3 channels. Received: shape={tuple(images.shape)}.")

    def change(self, images: Any, draws: Draws) -> Any:
        return as_before(self.drawn(ops.round(ops.clip(ops.cast(images, "float32"), 0, 255)), draws), images)

    def drawn(self, x: Any, draws: Draws) -> Any:
        """The changed values, with these random numbers."""
        raise NotImplementedError("What draws operations says here which.")

    def get_config(self) -> dict:
        return {**super().get_config(), "fill": self.fill}


def applied(x: Any, taken: Any, strengths: Strengths, fill: float) -> Any:
    """Whole values 0 to 255 as float32 after the operation of this number in `OPERATIONS`, -1 for none, one for each picture."""
    chosen = {name: taken == i for i, name in enumerate(OPERATIONS)}
    x = turned(x, matrices(chosen, strengths, *count_and_sizes(x)[1:]), fill)
    return blended(looked_up(x, tables(x, chosen, strengths)), chosen, strengths.factor)


def matrices(chosen: Chosen, strengths: Strengths, height: Any, width: Any) -> tuple[Any, ...]:
    """From a new picture to the old: `x' = a x + b y + c`, `y' = d x + e y + f`, a number each for each picture."""
    high, wide = ops.cast(height, "float32"), ops.cast(width, "float32")
    angle = ops.where(chosen["rotate"], strengths.angle * (math.pi / 180), 0.0)
    cos, sin = ops.cos(angle), ops.sin(angle)
    a, e = cos, cos
    b = -sin + ops.where(chosen["shear_x"], strengths.shear, 0.0)
    d = sin + ops.where(chosen["shear_y"], strengths.shear, 0.0)
    # About the middle for rotations, about the corner for shears.
    turns = ops.cast(chosen["rotate"], "float32")
    c = turns * (wide / 2 - a * wide / 2 - b * high / 2) + ops.where(chosen["translate_x"], strengths.across, 0.0)
    f = turns * (high / 2 - d * wide / 2 - e * high / 2) + ops.where(chosen["translate_y"], strengths.down, 0.0)
    return a, b, c, d, e, f


def turned(x: Any, matrix: tuple[Any, ...], fill: float) -> Any:
    """Bilinear values, cut down to whole ones as Pillow does."""
    _, height, width = count_and_sizes(x)
    rows, columns = ops.arange(height, dtype="float32")[:, None] + 0.5, ops.arange(width, dtype="float32")[None] + 0.5
    a, b, c, d, e, f = (number[:, None, None] for number in matrix)
    # A millionth of a value more: what is whole must not be cut down to one less.
    return ops.floor(sampled(x, d * columns + e * rows + f, a * columns + b * rows + c, fill) + 1e-3)


def tables(x: Any, chosen: Chosen, strengths: Strengths) -> Any:
    """What each of the 256 values becomes, `(n, channels, 256)`."""
    count, _, _ = count_and_sizes(x)
    channels = x.shape[-1]
    value = ops.arange(256, dtype="float32")
    flat = ops.reshape(ops.transpose(x, (0, 3, 1, 2)), (count, channels, -1))
    table = ops.broadcast_to(value, (count, channels, 256))

    def apply(name: str, new: Any) -> Any:
        return ops.where(chosen[name][:, None, None], new, table)

    low, high = ops.min(flat, axis=-1, keepdims=True), ops.max(flat, axis=-1, keepdims=True)
    scale = 255 / ops.maximum(high - low, 1)
    stretched = ops.clip(ops.floor((value - low) * scale + 1e-3), 0, 255)
    table = apply("auto_contrast", ops.where(high > low, stretched, value))
    table = apply("equalize", _equalized(flat, count, channels, value))
    table = apply("invert", 255 - value)
    step = ops.power(2.0, 8 - strengths.bits)[:, None, None]
    table = apply("posterize", ops.floor(value / step) * step)
    table = apply("solarize", ops.where(value < strengths.start[:, None, None], value, 255 - value))
    return apply("solarize_add", ops.where(value < 128, ops.minimum(value + strengths.more[:, None, None], 255), value))


def _equalized(flat: Any, count: Any, channels: int, value: Any) -> Any:
    """Pillow's: as many pixels in each step as whole numbers allow."""
    rows = count * channels
    places = ops.reshape(ops.cast(flat, "int32"), (rows, -1)) + ops.arange(rows, dtype="int32")[:, None] * 256
    places = ops.reshape(places, (-1,))
    histogram = ops.segment_sum(ops.ones_like(places, dtype="float32"), places, num_segments=rows * 256)
    histogram = ops.reshape(histogram, (count, channels, 256))
    last = ops.max(ops.where(histogram > 0, value, -1.0), axis=-1, keepdims=True)
    of_last = ops.sum(ops.where(value == last, histogram, 0.0), axis=-1, keepdims=True)
    step = ops.floor((ops.sum(histogram, axis=-1, keepdims=True) - of_last) / 255)
    before = ops.cumsum(histogram, axis=-1) - histogram
    spread = ops.clip(ops.floor((ops.floor(step / 2) + before) / ops.maximum(step, 1)), 0, 255)
    return ops.where(step > 0, spread, value)


def looked_up(x: Any, table: Any) -> Any:
    """Each value through its picture's and channel's table."""
    count, _, _ = count_and_sizes(x)
    channels = x.shape[-1]
    rows = ops.reshape(ops.arange(count, dtype="int32") * channels, (-1, 1, 1, 1)) + ops.arange(channels, dtype="int32")
    return ops.take(ops.reshape(table, (-1,)), rows * 256 + ops.cast(x, "int32"), axis=0)


def blended(x: Any, chosen: Chosen, factor: Any) -> Any:
    """`plain + factor * (x - plain)`, where plain is grey, the mean grey, black, or smoothed."""
    channels = x.shape[-1]
    grey = x if channels == 1 else _grey(x)
    mean = ops.floor(ops.mean(grey, axis=(1, 2), keepdims=True) + 0.5)

    def of(name: str) -> Any:
        return ops.reshape(chosen[name], (-1, 1, 1, 1))

    plain = ops.where(of("color"), grey, x)
    plain = ops.where(of("contrast"), mean, plain)
    plain = ops.where(of("brightness"), 0.0, plain)
    plain = ops.where(of("sharpness"), _smooth(x), plain)
    values = plain + ops.reshape(factor, (-1, 1, 1, 1)) * (x - plain)
    return ops.clip(ops.floor(values + 1e-3), 0, 255)


def _grey(x: Any) -> Any:
    """Pillow's weights of red, green and blue, in 65536ths."""
    return ops.floor((x[..., :1] * 19595 + x[..., 1:2] * 38470 + x[..., 2:] * 7471 + 32768) / 65536)


def _smooth(x: Any) -> Any:
    """A 3x3 mean that counts the middle five times; pixels at the border stay."""
    inner = 4 * x[:, 1:-1, 1:-1]
    _, height, width = count_and_sizes(x)
    for i in range(3):
        for j in range(3):
            inner = inner + x[:, i : height - 2 + i, j : width - 2 + j]
    inner = ops.floor(inner / 13 + 0.5)
    rows, columns = ops.arange(height, dtype="int32"), ops.arange(width, dtype="int32")
    border = ((rows == 0) | (rows == height - 1))[:, None] | ((columns == 0) | (columns == width - 1))[None]
    return ops.where(border[None, :, :, None], x, ops.pad(inner, ((0, 0), (1, 1), (1, 1), (0, 0))))
