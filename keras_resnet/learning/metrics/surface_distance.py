"""Average distance between borders."""

from typing import Any

import keras

from keras_resnet.layers.configured import check_flag
from keras_resnet.learning.metrics.surface import SurfaceMetric


@keras.saving.register_keras_serializable("keras_resnet")
class SurfaceDistance(SurfaceMetric):
    """Mean distance of the border pixels of what is found to the border of the truth (ASD), or of those of both masks to the other (ASSD).

    Args:
        symmetric: whether the truth's border pixels count too.
        spacing, empty: see `SurfaceMetric`.
        classes, ignore_index, background, from_logits, threshold, sparse, data_format, name, dtype: see `LabelMetric`. Background is left
            out by default.

    Input shapes: masks `(n, *sizes)` or with a channel of 1, any number of `sizes`; outputs `(n, *sizes, channels)`, or channels first.

    Raises:
        ValueError: at an argument outside what is listed, at shapes that do not belong together, and at labels out of range in arrays.

    Source: Heimann et al. 2009, doi:10.1109/TMI.2009.2013851, section III.
    """

    def __init__(
        self,
        classes: int,
        symmetric: bool = True,
        spacing: Any = None,
        ignore_index: int | None = None,
        background: bool = False,
        empty: str = "skip",
        from_logits: bool = True,
        threshold: float = 0.5,
        sparse: bool = True,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            classes,
            spacing=spacing,
            ignore_index=ignore_index,
            background=background,
            empty=empty,
            from_logits=from_logits,
            threshold=threshold,
            sparse=sparse,
            data_format=data_format,
            **kwargs,
        )
        check_flag("symmetric", symmetric)
        self.symmetric = bool(symmetric)

    def score(self, forth: Any, on_truth: Any, back: Any, on_found: Any) -> Any:
        total, number = keras.ops.sum(keras.ops.where(on_found, back, 0), axis=1), self.count(on_found)
        if self.symmetric:
            total, number = total + keras.ops.sum(keras.ops.where(on_truth, forth, 0), axis=1), number + self.count(on_truth)
        return total / keras.ops.maximum(number, 1)

    def get_config(self) -> dict:
        return {**super().get_config(), "symmetric": self.symmetric}
