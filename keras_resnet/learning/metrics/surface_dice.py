"""Surface Dice: the share of the borders that agree within a tolerance."""

from typing import Any

import keras

from keras_resnet.layers.configured import check_number
from keras_resnet.learning.metrics.surface import SurfaceMetric


@keras.saving.register_keras_serializable("keras_resnet")
class SurfaceDice(SurfaceMetric):
    """The share of the border pixels of both masks that are at most `tolerance` from the other's border: the normalized surface distance.

    Args:
        tolerance: in pixels, or in the unit of `spacing`.
        spacing, empty: see `SurfaceMetric`.
        classes, ignore_index, background, from_logits, threshold, sparse, data_format, name, dtype: see `LabelMetric`. Background is left
            out by default.

    Input shapes: masks `(n, *sizes)` or with a channel of 1, any number of `sizes`; outputs `(n, *sizes, channels)`, or channels first.

    Raises:
        ValueError: at an argument outside what is listed, at shapes that do not belong together, and at labels out of range in arrays.

    Source: Nikolov et al. 2018, arXiv:1809.04430; border pixels count one each, as in MONAI without subvoxels.
    """

    def __init__(
        self,
        classes: int,
        tolerance: float = 1.0,
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
        check_number("tolerance", tolerance, 0)
        self.tolerance = float(tolerance)

    higher_is_better = True

    def score(self, forth: Any, on_truth: Any, back: Any, on_found: Any) -> Any:
        near = self.count(on_truth & (forth <= self.tolerance)) + self.count(on_found & (back <= self.tolerance))
        return near / keras.ops.maximum(self.count(on_truth) + self.count(on_found), 1)

    def get_config(self) -> dict:
        return {**super().get_config(), "tolerance": self.tolerance}
