"""Focal loss: cross-entropy in which pixels that are right already count little."""

from typing import Any

import keras

from keras_resnet.layers.configured import check_flag, check_number
from keras_resnet.learning.losses.dense_loss import DenseLoss, share
from keras_resnet.learning.losses.masks import Pixels

LEAST = 1e-7  # of a probability whose logarithm is taken, as in Keras


@keras.saving.register_keras_serializable("keras_resnet")
class Focal(DenseLoss):
    """`-(1 - p) ** gamma log p` of the probability given to the truth, a mean over pixels and, for sigmoids, classes.

    Args:
        gamma: how little pixels count that are right; 0 is cross-entropy.
        alpha: weight of a class where it is, `1 - alpha` where it is not, 0 to 1; `None` for 1 and 1. With sigmoids only.
        softmax: whether classes compete in one softmax. Else each has a sigmoid of its own, as in the paper.
        from_logits, ignore_index, class_weights, sparse, batch, data_format, name, reduction, dtype: see `DenseLoss`.

    Input shapes: masks `(n, *sizes)` or with a channel of 1, any number of `sizes`; outputs `(n, *sizes, channels)`, or channels first.

    Raises:
        ValueError: at an argument outside what is listed; at shapes that do not belong together, and at labels out of range in arrays.

    Source: Lin et al. 2017, arXiv:1708.02002, equations 4 and 5.
    """

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: float | None = None,
        softmax: bool = False,
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
        check_number("gamma", gamma, 0)
        check_flag("softmax", softmax)
        if alpha is not None:
            check_number("alpha", alpha, 0)
            if alpha > 1 or softmax:
                raise ValueError(f"`alpha` must be 0 to 1, and None with softmax=True. Received: alpha={alpha!r}, softmax={softmax!r}.")
        self.gamma = float(gamma)
        self.alpha = None if alpha is None else float(alpha)
        self.softmax = bool(softmax)

    def measure(self, pixels: Pixels) -> Any:
        channels = pixels.scores.shape[-1]
        if self.softmax and channels > 1:
            probabilities = keras.ops.clip(self.probabilities(pixels.scores), LEAST, 1 - LEAST)
            losses = -pixels.targets * self.term(keras.ops.log(probabilities), keras.ops.log(1 - probabilities))
            weights = keras.ops.convert_to_tensor(self.class_weights or [1.0] * channels, dtype=self.dtype)
            loss = keras.ops.sum(self.over_pixels(losses * weights, pixels.weights), axis=-1)
            return share(loss, keras.ops.sum(self.over_pixels(pixels.targets * weights, pixels.weights), axis=-1))
        if self.from_logits:
            yes, no = keras.ops.log_sigmoid(pixels.scores), keras.ops.log_sigmoid(-pixels.scores)
        else:
            probabilities = keras.ops.clip(pixels.scores, LEAST, 1 - LEAST)
            yes, no = keras.ops.log(probabilities), keras.ops.log(1 - probabilities)
        there, elsewhere = (1.0, 1.0) if self.alpha is None else (self.alpha, 1 - self.alpha)
        if channels == 1 and self.class_weights is not None:
            there, elsewhere = there * self.class_weights[1], elsewhere * self.class_weights[0]
        losses = -there * pixels.targets * self.term(yes, no) - elsewhere * (pixels.valid - pixels.targets) * self.term(no, yes)
        means = share(self.over_pixels(losses, pixels.weights), self.over_pixels(pixels.valid, pixels.weights))
        return means[:, 0] if channels == 1 else self.over_classes(means)

    def term(self, logarithm: Any, other: Any) -> Any:
        """`(1 - p) ** gamma log p` from `log p` and `log (1 - p)`: a power by its logarithm has a gradient at 1 for any gamma."""
        return keras.ops.exp(self.gamma * other) * logarithm
