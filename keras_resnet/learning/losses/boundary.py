"""Boundary loss: probabilities priced by how far they are from the border of the truth."""

from typing import Any

import keras

from keras_resnet.layers.configured import check_choice, check_flag
from keras_resnet.learning.losses.dense_loss import DenseLoss, share
from keras_resnet.learning.losses.distance_transform import check_spacing, distances
from keras_resnet.learning.losses.masks import Pixels


@keras.saving.register_keras_serializable("keras_resnet")
class Boundary(DenseLoss):
    """`p * d` as a mean over pixels and classes, `d` being the distance to the truth outside of it, and minus that to the outside within.

    Negative where masks are found. Add it to a loss of overlap: `Compound([Dice(), Boundary()], weights=[1.0, 0.01])`.

    Args:
        spacing: length of a pixel along each of the sizes; `None` for 1.
        empty: what a class that is absent from the masks costs. `"one"`: the mean probability given to it. `"skip"`: nothing.
        background: whether class 0 counts; a single channel is foreground.
        from_logits, ignore_index, class_weights, sparse, batch, data_format, name, reduction, dtype: see `DenseLoss`.

    Input shapes: masks `(n, *sizes)` or with a channel of 1, any number of `sizes`; outputs `(n, *sizes, channels)`, or channels first.

    Raises:
        ValueError: at an argument outside what is listed; at shapes that do not belong together, and at labels out of range in arrays.

    Source: Kervadec et al. 2019, arXiv:1812.07032, equation 5; pixels that touch the border inside have 0, as in the authors' code.
    """

    def __init__(
        self,
        spacing: Any = None,
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
        self.spacing = check_spacing(spacing)
        self.empty = empty
        self.background = bool(background)

    def measure(self, pixels: Pixels) -> Any:
        probabilities = self.probabilities(pixels.scores) * pixels.valid
        truth = pixels.targets > 0.5
        outside, found = distances(truth, self.spacing, self.dtype)
        within, left = distances(keras.ops.logical_not(truth), self.spacing, self.dtype)
        unit = min(self.spacing or (1.0,))
        signed = outside - keras.ops.where(truth & left, within - unit, 0)
        signed = keras.ops.where(found, signed, 1.0 if self.empty == "one" else 0.0)
        means = share(
            self.over_pixels(probabilities * keras.ops.stop_gradient(signed), pixels.weights),
            self.over_pixels(pixels.valid, pixels.weights),
        )
        return self.over_classes(means, None, self.background)
