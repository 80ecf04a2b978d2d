"""Dice score of each class, streaming."""

from typing import Any

import keras

from keras_resnet.learning.metrics.confusion import ConfusionMetric


@keras.saving.register_keras_serializable("keras_resnet")
class DiceScore(ConfusionMetric):
    """`2 tp / (2 tp + fp + fn)` of each class, and their mean: the F1 score of pixels; `per_class()` has them all.

    Args:
        classes, ignore_index, background, from_logits, threshold, sparse, data_format, name, dtype: see `LabelMetric`.
        empty, average: see `ConfusionMetric`. Classes in neither masks nor outputs do not count.

    Input shapes: masks `(n, *sizes)` or with a channel of 1, any number of `sizes`; outputs `(n, *sizes, channels)`, or channels first.

    Raises:
        ValueError: at an argument outside what is listed, at shapes that do not belong together, and at labels out of range in arrays.

    Source: Dice 1945, doi:10.2307/1932409.
    """

    def score(self, tp: Any, fp: Any, fn: Any) -> Any:
        return 2 * tp / (2 * tp + fp + fn)
