"""Hausdorff distance between borders, whole or without the farthest few."""

from typing import Any

import keras

from keras_resnet.layers.configured import check_number
from keras_resnet.learning.metrics.surface import SurfaceMetric


@keras.saving.register_keras_serializable("keras_resnet")
class HausdorffDistance(SurfaceMetric):
    """The distance that `percentile` per cent of the border pixels of either mask keep to the other's border: HD95 by default.

    Args:
        percentile: 0 to 100; 100 is the Hausdorff distance proper, which a single stray pixel decides.
        spacing, empty: see `SurfaceMetric`.
        classes, ignore_index, background, from_logits, threshold, sparse, data_format, name, dtype: see `LabelMetric`. Background is left
            out by default.

    Input shapes: masks `(n, *sizes)` or with a channel of 1, any number of `sizes`; outputs `(n, *sizes, channels)`, or channels first.

    Raises:
        ValueError: at an argument outside what is listed, at shapes that do not belong together, and at labels out of range in arrays.

    Source: Huttenlocher et al. 1993, doi:10.1109/34.232073; the greater of both directions' percentiles, as in MONAI.
    """

    def __init__(
        self,
        classes: int,
        percentile: float = 95.0,
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
        check_number("percentile", percentile, 0)
        if percentile > 100:
            raise ValueError(f"`percentile` must be 0 to 100. Received: percentile={percentile!r}.")
        self.percentile = float(percentile)

    def score(self, forth: Any, on_truth: Any, back: Any, on_found: Any) -> Any:
        return keras.ops.maximum(self.quantile(forth, on_truth), self.quantile(back, on_found))

    def quantile(self, distances: Any, there: Any) -> Any:
        """Of the distances that are `there`, `(n, pixels, channels)`, interpolated between neighbours as NumPy does."""
        ordered = keras.ops.sort(keras.ops.where(there, distances, float("inf")), axis=1)
        last = keras.ops.maximum(keras.ops.sum(keras.ops.cast(there, "int32"), axis=1, keepdims=True) - 1, 0)
        place = self.percentile / 100 * keras.ops.cast(last, "float32")
        below = keras.ops.cast(keras.ops.floor(place), "int32")
        low = keras.ops.take_along_axis(ordered, below, axis=1)
        high = keras.ops.take_along_axis(ordered, keras.ops.minimum(below + 1, last), axis=1)
        part = place - keras.ops.cast(below, "float32")
        return (low + keras.ops.where(part > 0, part * (high - low), 0))[:, 0]

    def get_config(self) -> dict:
        return {**super().get_config(), "percentile": self.percentile}
