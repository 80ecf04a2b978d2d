"""Rectangles erased from pictures."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_resnet.layers.configured import check_number
from keras_resnet.learning.augmentation.boxes import boxes
from keras_resnet.learning.augmentation.crops import check_range
from keras_resnet.learning.augmentation.draws import Draws
from keras_resnet.learning.augmentation.layer import Augmentation, as_before, count_and_sizes


@keras.saving.register_keras_serializable("keras_resnet")
class RandomErasing(Augmentation):
    """Erases a rectangle of some pictures: `RandomErasing(0.25)`.

    Its area is uniform in `area` of the picture, the logarithm of height over width uniform in that of `ratio`; of ten such rectangles
    the first is taken that fits into the picture, anywhere in it; if none does, the picture stays. Keras's `RandomErasing` draws height
    and width apart, and with noise cuts off what is below the range of values, half of it.

    Args:
        chance: share of the pictures, from 0 to 1.
        area: least and largest share of the picture, above 0 and at most 1.
        ratio: least and largest height over width.
        fill: a number, or `"normal"` for other standard normal numbers in each pixel, which is for pictures that are normalized.
        seed: see `Augmentation`.
        **kwargs: `name`, `dtype` and `trainable` of a Keras layer.

    Input shape: `(n, height, width, channels)`. Output shape and type: the same.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Zhong et al. 2017, arXiv:1708.04896, algorithm 1, there with chance 0.5, area 0.02 to 0.4 and ratio from 0.3 to 1 / 0.3.
    """

    def __init__(
        self,
        chance: float = 0.25,
        area: Sequence[float] = (0.02, 1 / 3),
        ratio: Sequence[float] = (0.3, 1 / 0.3),
        fill: float | str = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed, **kwargs)
        check_number("chance", chance, 0, math.nextafter(1, 2))
        check_range("area", area, 1)
        check_range("ratio", ratio, math.inf)
        check_number("fill", fill, also=("normal",))
        self.chance, self.area, self.ratio, self.fill = float(chance), tuple(map(float, area)), tuple(map(float, ratio)), fill

    def change(self, images: Any, draws: Draws) -> Any:
        count, height, width = count_and_sizes(images)
        high, wide = ops.cast(height, "float32"), ops.cast(width, "float32")
        areas = draws.uniform(count, 10, low=self.area[0], high=self.area[1]) * high * wide
        ratios = ops.exp(draws.uniform(count, 10, low=math.log(self.ratio[0]), high=math.log(self.ratio[1])))
        heights, widths = ops.round(ops.sqrt(areas * ratios)), ops.round(ops.sqrt(areas / ratios))
        fits = (heights < high) & (widths < wide)
        first = ops.cast(fits & (ops.cumsum(ops.cast(fits, "int32"), axis=1) == 1), "float32")  # 1 at the first that fits
        box_height, box_width = ops.sum(heights * first, axis=1), ops.sum(widths * first, axis=1)
        top = ops.cast(draws.below(high - box_height + 1, count), "float32")
        left = ops.cast(draws.below(wide - box_width + 1, count), "float32")
        happens = draws.happens(self.chance, count, 1, 1, 1)
        box = boxes(height, width, top, top + box_height, left, left + box_width) & happens
        values: Any = draws.normal(count, height, width, images.shape[-1]) if self.fill == "normal" else float(self.fill)
        return as_before(ops.where(box, values, ops.cast(images, "float32")), images)

    def get_config(self) -> dict:
        return {**super().get_config(), "chance": self.chance, "area": self.area, "ratio": self.ratio, "fill": self.fill}
