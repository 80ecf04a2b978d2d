"""Crops: a small shift for small pictures, and the random-resized crop of ImageNet."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_resnet.layers.configured import check_choice, check_count, check_flag, check_number, is_count
from keras_resnet.learning.augmentation.draws import Draws
from keras_resnet.learning.augmentation.layer import Augmentation, as_before, count_and_sizes
from keras_resnet.learning.augmentation.sampling import sampled


@keras.saving.register_keras_serializable("keras_resnet")
class PadAndCrop(Augmentation):
    """The augmentation of CIFAR: `PadAndCrop(padding=4)` pads, cuts at a random place, and mirrors every second picture.

    Args:
        padding: pixels on each side, from 1.
        flip: whether to mirror left and right with probability 0.5.
        fill: value of the padding. Of pictures that are normalized, 0 is the mean; of others pass it.
        seed: see `Augmentation`.
        mode: `"constant"` pads by `fill`, `"reflect"` by the picture mirrored at its outermost pixels, fewer than the picture has.
        **kwargs: `name`, `dtype` and `trainable` of a Keras layer.

    Input shape: `(n, height, width, channels)`, of any type. Output shape and type: the same.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: He et al. 2016, arXiv:1512.03385, section 4.2; reflections Zagoruyko and Komodakis 2016, arXiv:1605.07146, section 3.
    """

    def __init__(
        self, padding: int = 4, flip: bool = True, fill: float = 0.0, seed: int | None = None, mode: str = "constant", **kwargs: Any
    ):
        super().__init__(seed, **kwargs)
        check_count("padding", padding)
        check_flag("flip", flip)
        check_number("fill", fill)
        check_choice("mode", mode, ("constant", "reflect"))
        self.mode = mode
        self.padding, self.flip, self.fill = int(padding), bool(flip), float(fill)

    def change(self, images: Any, draws: Draws) -> Any:
        count, height, width = count_and_sizes(images)
        sides = [side for side in (height, width) if isinstance(side, int)]
        most = max(sides, default=self.padding) if self.mode == "constant" else min(sides, default=self.padding + 1) - 1
        if self.padding > most:
            raise ValueError(
                f"`padding` must be at most {most} for pictures of {height} x {width} and mode={self.mode!r}. "
                f"Received: padding={self.padding}."
            )
        if keras.backend.standardize_dtype(images.dtype) == "uint8" and not 0 <= self.fill <= 255:
            raise ValueError(f"`fill` must be from 0 to 255 for pictures in uint8. Received: fill={self.fill:g}.")
        margin = (self.padding, self.padding)
        margins, fill = ((0, 0), margin, margin, (0, 0)), ops.cast(self.fill, images.dtype)
        padded = ops.pad(images, margins, constant_values=fill) if self.mode == "constant" else ops.pad(images, margins, self.mode)
        tops, lefts = draws.below(2 * self.padding + 1, count), draws.below(2 * self.padding + 1, count)
        rows = tops[:, None] + ops.arange(height, dtype="int32")
        steps = ops.arange(width, dtype="int32")
        columns = lefts[:, None] + steps
        if self.flip:
            columns = ops.where(draws.happens(0.5, count, 1), lefts[:, None] + width - 1 - steps, columns)
        wide = width + 2 * self.padding
        starts = ops.arange(count, dtype="int32")[:, None, None] * ((height + 2 * self.padding) * wide)
        flat = ops.reshape(padded, (-1, images.shape[-1]))
        return ops.take(flat, starts + rows[:, :, None] * wide + columns[:, None, :], axis=0)

    def get_config(self) -> dict:
        return {**super().get_config(), "padding": self.padding, "flip": self.flip, "fill": self.fill, "mode": self.mode}


@keras.saving.register_keras_serializable("keras_resnet")
class RandomResizedCrop(Augmentation):
    """The crop of ImageNet: `RandomResizedCrop(224)` cuts a part of random area and shape, and brings it to one size.

    The area is uniform in `area` of the picture, the logarithm of width over height uniform in that of `ratio`. Of ten such parts the
    first is taken that fits; if none does, the largest in the middle whose shape is in `ratio`. Values are bilinear, without smoothing:
    of pictures much larger than `size`, scale and crop while they are decoded.

    Args:
        size: height and width of what comes out, one integer or two.
        area: least and largest share of the picture, above 0 and at most 1; 0.08 in Inception's, 0.25 to 0.35 in shorter trainings.
        ratio: least and largest width over height.
        flip: whether to mirror left and right with probability 0.5.
        seed: see `Augmentation`.
        **kwargs: `name`, `dtype` and `trainable` of a Keras layer.

    Input shape: `(n, height, width, channels)`. Output shape: `(n, *size, channels)`; outside training the whole picture, resized.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Szegedy et al. 2014, arXiv:1409.4842, section 6.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        area: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        flip: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed, **kwargs)
        sizes = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
        if len(sizes) != 2 or not all(map(is_count, sizes)):
            raise ValueError(f"`size` must be an integer of at least 1, or two of them. Received: size={size!r}.")
        check_range("area", area, 1)
        check_range("ratio", ratio, math.inf)
        check_flag("flip", flip)
        self.size, self.area, self.ratio, self.flip = sizes, tuple(map(float, area)), tuple(map(float, ratio)), bool(flip)

    def change(self, images: Any, draws: Draws) -> Any:
        count, height, width = count_and_sizes(images)
        high, wide = ops.cast(height, "float32"), ops.cast(width, "float32")
        areas = draws.uniform(count, 10, low=self.area[0], high=self.area[1]) * high * wide
        ratios = ops.exp(draws.uniform(count, 10, low=math.log(self.ratio[0]), high=math.log(self.ratio[1])))
        widths, heights = ops.round(ops.sqrt(areas * ratios)), ops.round(ops.sqrt(areas / ratios))
        fits = (widths >= 1) & (heights >= 1) & (widths <= wide) & (heights <= high)
        first = ops.cast(fits & (ops.cumsum(ops.cast(fits, "int32"), axis=1) == 1), "float32")  # 1 at the first that fits
        whole = ops.clip(wide / high, *self.ratio)  # the shape of the largest part in the middle
        found = ops.any(fits, axis=1)
        box_width = ops.where(found, ops.sum(widths * first, axis=1), ops.minimum(wide, ops.round(high * whole)))
        box_height = ops.where(found, ops.sum(heights * first, axis=1), ops.minimum(high, ops.round(wide / whole)))
        free = high - box_height, wide - box_width
        places = [ops.cast(draws.below(side + 1, count), "float32") for side in free]
        top, left = (ops.where(found, place, ops.floor(side / 2)) for place, side in zip(places, free, strict=True))
        mirrored = draws.happens(0.5, count) if self.flip else ops.zeros((count,), "bool")
        return self._resized(images, top, left, box_height, box_width, mirrored)

    def still(self, images: Any) -> Any:
        count, height, width = count_and_sizes(images)
        zeros = ops.zeros((count,))
        return self._resized(images, zeros, zeros, zeros + ops.cast(height, "float32"), zeros + ops.cast(width, "float32"), zeros > 0)

    def _resized(self, images: Any, top: Any, left: Any, height: Any, width: Any, mirrored: Any) -> Any:
        rows = (ops.arange(self.size[0], dtype="float32") + 0.5) / self.size[0]
        columns = (ops.arange(self.size[1], dtype="float32") + 0.5) / self.size[1]
        columns = ops.where(mirrored[:, None], 1 - columns, columns)
        rows, columns = top[:, None] + rows * height[:, None], left[:, None] + columns * width[:, None]
        # The part's own border holds on, not what is beyond it.
        rows = ops.clip(rows, top[:, None] + 0.5, (top + height)[:, None] - 0.5)
        columns = ops.clip(columns, left[:, None] + 0.5, (left + width)[:, None] - 0.5)
        return as_before(sampled(images, rows[:, :, None], columns[:, None, :]), images)

    def compute_output_shape(self, input_shape: Sequence) -> tuple:
        return (input_shape[0], *self.size, input_shape[3])

    def get_config(self) -> dict:
        return {**super().get_config(), "size": self.size, "area": self.area, "ratio": self.ratio, "flip": self.flip}


def check_range(name: str, value: Any, most: float) -> None:
    """Raises unless these are two numbers above 0, the smaller one first, of at most `most`."""
    numbers = isinstance(value, (tuple, list)) and len(value) == 2 and all(isinstance(v, (int, float)) for v in value)
    if not numbers or not 0 < value[0] <= value[1] <= most:
        bound = "" if most == math.inf else f" and at most {most:g}"
        raise ValueError(f"`{name}` must be two numbers above 0{bound}, the smaller one first. Received: {name}={value!r}.")
