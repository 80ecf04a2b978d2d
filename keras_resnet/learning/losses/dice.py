"""Dice loss: the size of what masks share beside the size of both."""

from typing import Any

import keras

from keras_resnet.learning.losses.overlap import OverlapLoss


@keras.saving.register_keras_serializable("keras_resnet")
class Dice(OverlapLoss):
    """`1 - (tp + smooth) / (tp + fp / 2 + fn / 2 + smooth)`, a mean over classes.

    Args:
        smooth, empty, squared, background, log: see `OverlapLoss`. An absent class costs the mean probability given to it.
        from_logits, ignore_index, class_weights, sparse, batch, data_format, name, reduction, dtype: see `DenseLoss`.

    Input shapes: masks `(n, *sizes)` or with a channel of 1, any number of `sizes`; outputs `(n, *sizes, channels)`, or channels first.

    Raises:
        ValueError: at an argument outside what is listed; at shapes that do not belong together, and at labels out of range in arrays.

    Source: Milletari et al. 2016, arXiv:1606.04797, section 3 (`squared` there). `smooth` as in
    segmentation_models.pytorch; it is twice as large where both sides are doubled first, as in MONAI.
    """

    def fraction(self, tp: Any, fp: Any, fn: Any) -> tuple[Any, Any]:
        return tp, tp + (fp + fn) / 2
