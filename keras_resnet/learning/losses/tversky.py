"""Tversky loss: overlap in which false positives and false negatives have prices of their own."""

from typing import Any

import keras

from keras_resnet.layers.configured import check_number
from keras_resnet.learning.losses.masks import Pixels
from keras_resnet.learning.losses.overlap import LEAST, OverlapLoss


@keras.saving.register_keras_serializable("keras_resnet")
class Tversky(OverlapLoss):
    """`(1 - (tp + smooth) / (tp + alpha fp + beta fn + smooth)) ** gamma`, of the mean over classes.

    Args:
        alpha: price of a false positive.
        beta: price of a false negative; above `alpha` for small things that must not be missed.
        gamma: power of the loss; above 1 easy batches count less, as in the focal Tversky loss.
        smooth, empty, squared, background, log: see `OverlapLoss`. An absent class costs the mean probability given to it.
        from_logits, ignore_index, class_weights, sparse, batch, data_format, name, reduction, dtype: see `DenseLoss`.

    Input shapes: masks `(n, *sizes)` or with a channel of 1, any number of `sizes`; outputs `(n, *sizes, channels)`, or channels first.

    Raises:
        ValueError: at an argument outside what is listed; at shapes that do not belong together, and at labels out of range in arrays.

    Source: Salehi et al. 2017, arXiv:1706.05721; Abraham and Khan 2018, arXiv:1810.07842, for `gamma` (there `1 / gamma`, of each class).
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        gamma: float = 1.0,
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
            smooth=smooth,
            empty=empty,
            squared=squared,
            background=background,
            log=log,
            from_logits=from_logits,
            ignore_index=ignore_index,
            class_weights=class_weights,
            sparse=sparse,
            batch=batch,
            data_format=data_format,
            **kwargs,
        )
        check_number("alpha", alpha, 0)
        check_number("beta", beta, 0)
        check_number("gamma", gamma, 0)
        if not (alpha + beta > 0 and gamma > 0):
            raise ValueError(f"`gamma` and one of `alpha` and `beta` must be above 0. Received: {alpha=}, {beta=}, {gamma=}.")
        self.alpha = float(alpha)
        self.beta = float(beta)
        self.gamma = float(gamma)

    def measure(self, pixels: Pixels) -> Any:
        loss = super().measure(pixels)
        if self.gamma == 1:
            return loss
        # Away from 0, where a root has no slope; one of exactly 0 stays 0.
        return keras.ops.where(loss > LEAST, keras.ops.power(keras.ops.maximum(loss, LEAST), self.gamma), 0 * loss)

    def fraction(self, tp: Any, fp: Any, fn: Any) -> tuple[Any, Any]:
        return tp, tp + self.alpha * fp + self.beta * fn
