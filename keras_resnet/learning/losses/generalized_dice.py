"""Generalized Dice loss: one Dice of all classes, in which small ones weigh as much as large ones."""

from typing import Any

import keras

from keras_resnet.layers.configured import check_choice, check_flag, check_number
from keras_resnet.learning.losses.dense_loss import DenseLoss, share
from keras_resnet.learning.losses.masks import Pixels


@keras.saving.register_keras_serializable("keras_resnet")
class GeneralizedDice(DenseLoss):
    """`1 - (2 sum(w tp) + smooth) / (sum(w (2 tp + fp + fn)) + smooth)`, `w` being 1 / (pixels of the class) ** 2.

    Args:
        smooth: added to both sides of the fraction.
        empty: what a class that is absent from the masks costs. `"smooth"`: its false positives weigh as those of the rarest class that is
            there, as in MONAI. `"skip"`: nothing.
        background: whether class 0 counts; a single channel is foreground.
        from_logits, ignore_index, class_weights, sparse, batch, data_format, name, reduction, dtype: see `DenseLoss`.

    Input shapes: masks `(n, *sizes)` or with a channel of 1, any number of `sizes`; outputs `(n, *sizes, channels)`, or channels first.

    Raises:
        ValueError: at an argument outside what is listed; at shapes that do not belong together, and at labels out of range in arrays.

    Source: Sudre et al. 2017, arXiv:1707.03237, equation 1.
    """

    def __init__(
        self,
        smooth: float = 1e-5,
        empty: str = "smooth",
        background: bool = True,
        from_logits: bool = True,
        ignore_index: int | None = None,
        class_weights: Any = None,
        sparse: bool = True,
        batch: bool = True,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            from_logits=from_logits,
            ignore_index=ignore_index,
            class_weights=class_weights,
            sparse=sparse,
            batch=batch,
            data_format=data_format,
            **kwargs,
        )
        check_number("smooth", smooth, 0)
        check_choice("empty", empty, ("smooth", "skip"))
        check_flag("background", background)
        self.smooth = float(smooth)
        self.empty = empty
        self.background = bool(background)

    def measure(self, pixels: Pixels) -> Any:
        probabilities = self.probabilities(pixels.scores) * pixels.valid
        present = self.over_pixels(pixels.targets, pixels.weights)
        tp = self.over_pixels(probabilities * pixels.targets, pixels.weights)
        size = self.over_pixels(probabilities, pixels.weights) + present
        there = keras.ops.cast(present > 0, self.dtype)
        weights = there / keras.ops.square(keras.ops.where(present > 0, present, 1))
        if self.empty == "smooth":
            rarest = keras.ops.max(weights, axis=-1, keepdims=True)
            weights = keras.ops.where(present > 0, weights, keras.ops.where(rarest > 0, rarest, 1))
        # Sums of classes as means: the factor, the same on both sides, goes into `smooth` alone.
        count = self.counting(present)
        part = 2 * self.over_classes(weights * tp, None, self.background) * count + self.smooth
        whole = self.over_classes(weights * size, None, self.background) * count + self.smooth
        if self.empty == "skip":  # nothing there: nothing to lose
            return keras.ops.where(keras.ops.any(present > 0, axis=-1), 1 - share(part, whole), 0 * whole)
        return 1 - share(part, whole)

    def counting(self, values: Any) -> int:
        """How many classes `over_classes` averages."""
        channels = values.shape[-1]
        left = set(range(channels)) - ({self.ignore_index} if channels > 1 else set())
        return max(len(left - (set() if self.background or channels == 1 else {0})), 1)
