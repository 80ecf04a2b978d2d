"""RandAugment: random operations of one strength on each picture of a batch."""

import math
from typing import Any

import keras
from keras import ops

from keras_resnet.layers.configured import check_count, check_flag, check_number
from keras_resnet.learning.augmentation import operations
from keras_resnet.learning.augmentation.boxes import boxes
from keras_resnet.learning.augmentation.draws import Draws
from keras_resnet.learning.augmentation.layer import count_and_sizes


@keras.saving.register_keras_serializable("keras_resnet")
class RandAugment(operations.Operations):
    """Random operations on pictures of values 0 to 255: `RandAugment(magnitude=7, deviation=0.5)` is timm's `rand-m7-mstd0.5-inc1`.

    Each picture takes `count` times one of the 15 operations below, alike likely, and applies it with probability `chance`, at a magnitude
    `m` from a normal distribution about `magnitude`, kept within 0 to 10. A sign is drawn where there is +-.

    ```
    rotate                   +- 3 m degrees             posterize      4 - int(0.4 m) bits stay
    shear_x, shear_y         +- 0.03 m                  solarize       from 256 - int(25.6 m) on inverted
    translate_x, _y          +- 0.045 m of the side     solarize_add   + int(11 m) below 128
    color, contrast,         blended by 1 +- 0.09 m,    auto_contrast, equalize, invert: always alike
    brightness, sharpness    at least 0.1
    ```

    With `increasing=False`, timm's without `inc1`: posterize keeps int(0.4 m) bits, solarize starts at int(25.6 m), and blends are by
    0.1 + 0.18 m. With `cutout` there is one operation more, which fills a square about a random pixel: ResNet-RS draws of these 16, with
    `translate=100 / 160` and `cutout=40 / 160` for pictures of 160 pixels. Keras's `RandAugment` draws one operation for a whole batch, and
    turns by up to half a circle at its default factor.

    The operations are Pillow's, whose values they have to within 1; turned pictures are bilinear. All operations of a kind are one pass: a
    reading at other places, a table of 256 values for each picture and channel, and a blend with a plainer picture.

    Args:
        count: operations for each picture.
        magnitude: from 0 to 10.
        deviation: standard deviation of the magnitude, from 0; infinity for uniform from 0 to `magnitude`.
        chance: probability of each operation that was taken, from 0 to 1.
        increasing: whether all operations grow stronger with the magnitude.
        translate: share of the side that pictures are moved by at magnitude 10, from 0 to 1.
        cutout: half the side of a square that is filled at magnitude 10, as a share of the picture's shorter side, from 0 to 1; 0 for none.
        fill: value of what comes in from outside the picture and of such squares, from 0 to 255.
        seed: see `Augmentation`.
        **kwargs: `name`, `dtype` and `trainable` of a Keras layer.

    Input shape: `(n, height, width, channels)` of 1 or 3 channels, with values from 0 to 255. Output shape and type: the same.

    Raises:
        ValueError: at an argument outside what is listed, or pictures of another number of channels.

    Source: Cubuk et al. 2019, arXiv:1909.13719; magnitudes as timm 1.0 has them, and Wightman et al. 2021, arXiv:2110.00476, use them.
    Squares: DeVries and Taylor 2017, arXiv:1708.04552, in the numbers of github.com/tensorflow/tpu, from which ResNet-RS was trained.
    """

    def __init__(
        self,
        count: int = 2,
        magnitude: float = 7.0,
        deviation: float = 0.5,
        chance: float = 0.5,
        increasing: bool = True,
        translate: float = 0.45,
        cutout: float = 0.0,
        fill: float = 128.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(fill, seed, **kwargs)
        check_count("count", count)
        check_number("magnitude", magnitude, 0, math.nextafter(10, 11))
        if deviation != math.inf:
            check_number("deviation", deviation, 0)
        check_number("chance", chance, 0, math.nextafter(1, 2))
        check_flag("increasing", increasing)
        for name, value in (("translate", translate), ("cutout", cutout)):
            check_number(name, value, 0, math.nextafter(1, 2))
        self.count, self.magnitude, self.deviation, self.chance = int(count), float(magnitude), float(deviation), float(chance)
        self.increasing, self.translate, self.cutout = bool(increasing), float(translate), float(cutout)

    def drawn(self, x: Any, draws: Draws) -> Any:
        number, height, width = count_and_sizes(x)
        for _ in range(self.count):
            taken = draws.below(len(operations.OPERATIONS) + bool(self.cutout), number)
            # None of them where the operation is not to happen.
            taken = ops.where(draws.happens(self.chance, number), taken, -1)
            sign = ops.where(draws.happens(0.5, number), 1.0, -1.0)
            magnitudes = self._magnitudes(draws, number)
            x = self.applied(x, taken, magnitudes, sign)
            if self.cutout:
                x = self.cut_out(
                    x, taken == len(operations.OPERATIONS), magnitudes, draws.below(height, number), draws.below(width, number)
                )
        return x

    def applied(self, x: Any, taken: Any, magnitudes: Any, signs: Any) -> Any:
        """Whole values 0 to 255 as float32 after the operation of this number in `OPERATIONS`, -1 for none, one for each picture."""
        high, wide = (ops.cast(side, "float32") for side in count_and_sizes(x)[1:])
        share, signed = magnitudes / 10, magnitudes / 10 * signs
        bits, start = ops.floor(4 * share), ops.floor(256 * share)
        strengths = operations.Strengths(
            angle=30 * signed,
            shear=0.3 * signed,
            across=self.translate * signed * wide,
            down=self.translate * signed * high,
            bits=4 - bits if self.increasing else bits,
            start=256 - start if self.increasing else start,
            more=ops.floor(110 * share),
            factor=ops.maximum(1 + 0.9 * signed, 0.1) if self.increasing else 0.1 + 1.8 * share,
        )
        return operations.applied(x, taken, strengths, self.fill)

    def cut_out(self, x: Any, chosen: Any, magnitudes: Any, rows: Any, columns: Any) -> Any:
        """The chosen pictures with a square about these pixels filled, as far as it is in the picture."""
        _, height, width = count_and_sizes(x)
        half = ops.floor(magnitudes / 10 * self.cutout * ops.cast(ops.minimum(height, width), "float32") + 1e-3)
        rows, columns = ops.cast(rows, "float32"), ops.cast(columns, "float32")
        square = boxes(height, width, rows - half, rows + half, columns - half, columns + half)
        return ops.where(square & ops.reshape(chosen, (-1, 1, 1, 1)), self.fill, x)

    def _magnitudes(self, draws: Draws, number: Any) -> Any:
        if self.deviation == math.inf:
            return draws.uniform(number, high=self.magnitude)
        return ops.clip(self.magnitude + self.deviation * draws.normal(number), 0, 10)

    def get_config(self) -> dict:
        names = ("count", "magnitude", "deviation", "chance", "increasing", "translate", "cutout")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
