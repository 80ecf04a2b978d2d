"""Lovasz loss: a convex stand-in for the Jaccard index itself."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.layers.configured import check_choice, check_flag
from keras_resnet.learning.losses.dense_loss import DenseLoss, share
from keras_resnet.learning.losses.masks import Pixels

LEAST = 1e-7  # of a probability whose logarithm is taken, as in Keras
BEYOND = 1e30  # further than any error


@keras.saving.register_keras_serializable("keras_resnet")
class Lovasz(DenseLoss):
    """The Lovasz extension of `1 - IoU` at the pixels' errors: with several channels of softmax, with a single one of the hinge.

    Sorts all pixels of each class: the dearest of these losses in time.

    Args:
        empty: what a class that is absent from the masks costs. `"one"`: the largest probability given to it. `"skip"`: nothing; it does
            not count in the mean. The hinge of a single channel knows no difference.
        background: whether class 0 counts.
        from_logits, ignore_index, class_weights, sparse, batch, data_format, name, reduction, dtype: see `DenseLoss`.

    Input shapes: masks `(n, *sizes)` or with a channel of 1, any number of `sizes`; outputs `(n, *sizes, channels)`, or channels first.

    Raises:
        ValueError: at an argument outside what is listed; at shapes that do not belong together, and at labels out of range in arrays.

    Source: Berman et al. 2018, arXiv:1705.08790, algorithm 1.
    """

    weighs_pixels = False

    def __init__(
        self,
        empty: str = "one",
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
        check_choice("empty", empty, ("one", "skip"))
        check_flag("background", background)
        self.empty = empty
        self.background = bool(background)

    def measure(self, pixels: Pixels) -> Any:
        channels = pixels.scores.shape[-1]
        targets = self.flat(pixels.targets)
        if channels == 1:
            scores = pixels.scores
            if not self.from_logits:
                scores = keras.ops.clip(scores, LEAST, 1 - LEAST)
                scores = keras.ops.log(scores) - keras.ops.log(1 - scores)
            errors = 1 - self.flat(scores) * (2 * targets - 1)
        else:
            errors = keras.ops.abs(targets - self.flat(self.probabilities(pixels.scores)))
        valid = self.flat(pixels.valid)
        # Pixels that do not count come last, where they change neither intersection nor union.
        errors = keras.ops.where(valid > 0, errors, -BEYOND)
        order = keras.ops.argsort(keras.ops.stop_gradient(-errors), axis=1)
        errors = keras.ops.take_along_axis(errors, order, axis=1)
        targets = keras.ops.take_along_axis(targets, order, axis=1)
        counted = keras.ops.take_along_axis(keras.ops.broadcast_to(valid, keras.ops.shape(order)), order, axis=1)
        steps = keras.ops.stop_gradient(self.steps(targets, counted))
        losses = keras.ops.sum(keras.ops.relu(errors) * steps, axis=1)
        if channels == 1:
            return losses[:, 0]
        counts = keras.ops.sum(targets, axis=1) > 0 if self.empty == "skip" else None
        return self.over_classes(losses, counts, self.background)

    def steps(self, targets: Any, counted: Any) -> Any:
        """How much each pixel, in the order of their errors, adds to `1 - IoU`."""
        present = keras.ops.sum(targets, axis=1, keepdims=True)
        kept = present - keras.ops.cumsum(targets, axis=1)
        union = present + keras.ops.cumsum(counted - targets, axis=1)
        lost = 1 - share(kept, union)
        # Nothing is lost before the first pixel; a class that has neither pixels nor a union loses nothing at all.
        lost = keras.ops.where(union > 0, lost, 0)
        return lost - backend.pad(lost[:, :-1], [(0, 0), (1, 0), (0, 0)])

    def flat(self, values: Any) -> Any:
        """`(1 or n, pixels, channels)`."""
        channels = values.shape[-1]
        return keras.ops.reshape(values, (1, -1, channels) if self.batch else (keras.ops.shape(values)[0], -1, channels))
