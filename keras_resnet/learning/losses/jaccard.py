"""Jaccard loss: the intersection of masks beside their union."""

from typing import Any

import keras

from keras_resnet.learning.losses.overlap import OverlapLoss


@keras.saving.register_keras_serializable("keras_resnet")
class Jaccard(OverlapLoss):
    """`1 - (tp + smooth) / (tp + fp + fn + smooth)`, a mean over classes.

    Args:
        smooth, empty, squared, background, log: see `OverlapLoss`. An absent class costs the mean probability given to it.
        from_logits, ignore_index, class_weights, sparse, batch, data_format, name, reduction, dtype: see `DenseLoss`.

    Input shapes: masks `(n, *sizes)` or with a channel of 1, any number of `sizes`; outputs `(n, *sizes, channels)`, or channels first.

    Raises:
        ValueError: at an argument outside what is listed; at shapes that do not belong together, and at labels out of range in arrays.

    Source: Rahman and Wang 2016, doi:10.1007/978-3-319-50835-1_22.
    """

    def fraction(self, tp: Any, fp: Any, fn: Any) -> tuple[Any, Any]:
        return tp, tp + fp + fn
