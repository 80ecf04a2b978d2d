"""TrivialAugment: one random operation of any strength on each picture of a batch."""

from typing import Any

import keras
from keras import ops

from keras_resnet.learning.augmentation import operations
from keras_resnet.learning.augmentation.draws import Draws
from keras_resnet.learning.augmentation.layer import count_and_sizes

LEFT_OUT = ("invert", "solarize_add")
WIDE = (-1, *(i for i, name in enumerate(operations.OPERATIONS) if name not in LEFT_OUT))  # -1: the picture as it is
STRONGEST = 30


@keras.saving.register_keras_serializable("keras_resnet")
class TrivialAugment(operations.Operations):
    """One random operation on each picture of values 0 to 255: torchvision's `TrivialAugmentWide()` with bilinear values.

    Each picture takes one of the 14 operations below, alike likely, of strength `s = 0, 1/30, ..., 1`, alike likely. A sign is drawn where
    there is +-.

    ```
    identity, auto_contrast, equalize    always alike
    rotate                               +- 135 s degrees
    shear_x, shear_y                     +- 0.99 s
    translate_x, translate_y             +- int(32 s) pixels, 16 at s = 1/2
    color, contrast, brightness,         blended by 1 +- 0.99 s
    sharpness
    posterize                            8 - round(6 s) bits stay
    solarize                             from 255 (1 - s) on inverted
    ```

    torchvision moves by 15 pixels at s = 1/2, where its 32 s is 15.999999. The operations are Pillow's, see `RandAugment`, which draws of
    others and of weaker ones.

    Args:
        fill: value of what comes in from outside the picture, from 0 to 255.
        seed: see `Augmentation`.
        **kwargs: `name`, `dtype` and `trainable` of a Keras layer.

    Input shape: `(n, height, width, channels)` of 1 or 3 channels, with values from 0 to 255. Output shape and type: the same.

    Raises:
        ValueError: at an argument outside what is listed, or pictures of another number of channels.

    Source: Mueller and Hutter 2021, arXiv:2103.10158, its wide set as torchvision 0.26 has it.
    """

    def __init__(self, fill: float = 0.0, seed: int | None = None, **kwargs: Any):
        super().__init__(fill, seed, **kwargs)

    def drawn(self, x: Any, draws: Draws) -> Any:
        number = count_and_sizes(x)[0]
        taken = ops.take(ops.convert_to_tensor(WIDE, dtype="int32"), draws.below(len(WIDE), number), axis=0)
        levels = ops.cast(draws.below(STRONGEST + 1, number), "float32")
        signs = ops.where(draws.happens(0.5, number), 1.0, -1.0)
        return self.applied(x, taken, levels, signs)

    def applied(self, x: Any, taken: Any, levels: Any, signs: Any) -> Any:
        """Whole values 0 to 255 as float32 after the operation of this number in `OPERATIONS`, -1 for none, at a level from 0 to 30."""
        share, signed = levels / STRONGEST, levels / STRONGEST * signs
        pixels = ops.floor(32 * levels / STRONGEST) * signs
        strengths = operations.Strengths(
            angle=135 * signed,
            shear=0.99 * signed,
            across=pixels,
            down=pixels,
            bits=8 - ops.round(levels / 5),
            start=255 * (1 - share),
            more=ops.zeros_like(share),
            factor=1 + 0.99 * signed,
        )
        return operations.applied(x, taken, strengths, self.fill)
