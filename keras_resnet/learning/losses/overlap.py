"""The base of the losses that measure how masks overlap: true and false positives of each class, and what an absent class costs."""

from typing import Any

import keras

from keras_resnet.layers.configured import check_choice, check_flag, check_number
from keras_resnet.learning.losses.dense_loss import DenseLoss, share
from keras_resnet.learning.losses.masks import Pixels

EMPTY = ("one", "skip", "smooth")
LEAST = 1e-7  # of a score whose logarithm is taken


class OverlapLoss(DenseLoss):
    """A mean over classes of `1 - score(tp, fp, fn)`, the sums being of probabilities.

    Args:
        smooth: added to both sides of the score's fraction.
        empty: what a class that is absent from the masks costs. `"one"`: the mean probability given to it, so 0 where nothing is found
            and 1 where it is found everywhere. `"skip"`: nothing, and it does not count in the mean. `"smooth"`: what the formula
            gives, which needs `smooth` above 0.
        squared: whether probabilities are squared in the denominator.
        background: whether class 0 counts; a single channel is foreground.
        log: whether the loss is the negative logarithm of the score.
        from_logits, ignore_index, class_weights, sparse, batch, data_format, name, reduction, dtype: see `DenseLoss`.
    """

    def __init__(
        self,
        smooth: float = 0.0,
        empty: str = "one",
        squared: bool = False,
        background: bool = True,
        log: bool = False,
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
        check_choice("empty", empty, EMPTY)
        check_flag("squared", squared)
        check_flag("background", background)
        check_flag("log", log)
        if empty == "smooth" and smooth == 0:
            raise ValueError("empty='smooth' needs `smooth` above 0, such as 1.0. Received: smooth=0.")
        self.smooth = float(smooth)
        self.empty = empty
        self.squared = bool(squared)
        self.background = bool(background)
        self.log = bool(log)

    def measure(self, pixels: Pixels) -> Any:
        probabilities = self.probabilities(pixels.scores) * pixels.valid
        power = keras.ops.square if self.squared else _same
        found = self.over_pixels(probabilities, pixels.weights)
        present = self.over_pixels(pixels.targets, pixels.weights)
        tp = self.over_pixels(probabilities * pixels.targets, pixels.weights)
        fp = self.over_pixels(power(probabilities), pixels.weights) - tp
        fn = self.over_pixels(power(pixels.targets), pixels.weights) - tp
        part, whole = self.fraction(tp, fp, fn)
        scores = share(part + self.smooth, whole + self.smooth)
        absent = present <= 0
        if self.empty == "one":
            scores = keras.ops.where(absent, 1 - share(found, self.over_pixels(pixels.valid, pixels.weights)), scores)
        counts = keras.ops.logical_not(absent) if self.empty == "skip" else None
        losses = -keras.ops.log(keras.ops.maximum(scores, LEAST)) if self.log else 1 - scores
        return self.over_classes(losses, counts, self.background)

    def fraction(self, tp: Any, fp: Any, fn: Any) -> tuple[Any, Any]:
        """The score's two sides, without `smooth`."""
        raise NotImplementedError("A loss of overlap says here what its score is.")


def _same(x: Any) -> Any:
    return x
