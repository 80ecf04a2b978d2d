"""Intersection over union of each class, streaming."""

from typing import Any

import keras

from keras_resnet.learning.metrics.confusion import ConfusionMetric


@keras.saving.register_keras_serializable("keras_resnet")
class IoU(ConfusionMetric):
    """`tp / (tp + fp + fn)` of each class, and their mean: the scalar that `fit` shows; `per_class()` has them all.

    Args:
        classes, ignore_index, background, from_logits, threshold, sparse, data_format, name, dtype: see `LabelMetric`.
        empty, average: see `ConfusionMetric`. Classes in neither masks nor outputs do not count.

    Input shapes: masks `(n, *sizes)` or with a channel of 1, any number of `sizes`; outputs `(n, *sizes, channels)`, or channels first.

    Raises:
        ValueError: at an argument outside what is listed, at shapes that do not belong together, and at labels out of range in arrays.

    Source: Everingham et al. 2010, doi:10.1007/s11263-009-0275-4, section 4.
    """

    def __init__(
        self,
        classes: int,
        ignore_index: int | None = None,
        background: bool = True,
        empty: str = "skip",
        average: str = "classes",
        from_logits: bool = True,
        threshold: float = 0.5,
        sparse: bool = True,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        kwargs["name"] = kwargs.get("name") or "iou"  # Keras would make io_u of it
        super().__init__(
            classes,
            ignore_index=ignore_index,
            background=background,
            empty=empty,
            average=average,
            from_logits=from_logits,
            threshold=threshold,
            sparse=sparse,
            data_format=data_format,
            **kwargs,
        )

    def score(self, tp: Any, fp: Any, fn: Any) -> Any:
        return tp / (tp + fp + fn)
