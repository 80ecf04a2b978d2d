"""Hausdorff loss: errors priced by how far they are from the borders of both masks."""

from typing import Any

import keras

from keras_resnet.layers.configured import check_flag, check_number
from keras_resnet.learning.losses.dense_loss import DenseLoss, share
from keras_resnet.learning.losses.distance_transform import check_spacing, distances
from keras_resnet.learning.losses.masks import Pixels


@keras.saving.register_keras_serializable("keras_resnet")
class Hausdorff(DenseLoss):
    """`(p - t) ** 2 * (d(p) ** alpha + d(t) ** alpha)` as a mean over pixels and classes, `d` being the distance to the border of a mask.

    Args:
        alpha: power of the distances.
        spacing: length of a pixel along each of the sizes; `None` for 1.
        background: whether class 0 counts; a single channel is foreground.
        from_logits, ignore_index, class_weights, sparse, batch, data_format, name, reduction, dtype: see `DenseLoss`.

    Input shapes: masks `(n, *sizes)` or with a channel of 1, any number of `sizes`; outputs `(n, *sizes, channels)`, or channels first.

    Raises:
        ValueError: at an argument outside what is listed; at shapes that do not belong together, and at labels out of range in arrays.

    Source: Karimi and Salcudean 2019, arXiv:1904.10030, equation 8. A mask without border has distance 0 everywhere, as in MONAI.
    """

    def __init__(
        self,
        alpha: float = 2.0,
        spacing: Any = None,
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
        check_number("alpha", alpha, 0)
        check_flag("background", background)
        self.alpha = float(alpha)
        self.spacing = check_spacing(spacing)
        self.background = bool(background)

    def measure(self, pixels: Pixels) -> Any:
        probabilities = self.probabilities(pixels.scores) * pixels.valid
        prices = keras.ops.power(self.field(probabilities > 0.5), self.alpha) + keras.ops.power(
            self.field(pixels.targets > 0.5), self.alpha
        )
        errors = keras.ops.square(probabilities - pixels.targets) * keras.ops.stop_gradient(prices)
        return self.over_classes(
            share(self.over_pixels(errors, pixels.weights), self.over_pixels(pixels.valid, pixels.weights)), None, self.background
        )

    def field(self, mask: Any) -> Any:
        """Distance of each pixel to the nearest of the other kind; 0 where there is none of that kind."""
        total: Any = 0
        for kind in (mask, keras.ops.logical_not(mask)):
            distance, found = distances(kind, self.spacing, self.dtype)
            total = total + keras.ops.where(found, distance, 0)
        return total
