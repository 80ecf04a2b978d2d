"""Dice and cross-entropy, the usual loss of a U-Net."""

from typing import Any

import keras

from keras_resnet.learning.losses.cross_entropy import CrossEntropy
from keras_resnet.learning.losses.dice_compound import DiceCompound


@keras.saving.register_keras_serializable("keras_resnet")
class DiceCrossEntropy(DiceCompound):
    """`w1 Dice + w2 CrossEntropy`: the overlap of masks that one wants, and the smooth slope that training wants.

    Args:
        label_smoothing: of cross-entropy.
        weights: of Dice and of cross-entropy.
        smooth, empty, squared, background: of Dice, see `OverlapLoss`.
        from_logits, ignore_index, class_weights, sparse, batch, data_format, name, reduction, dtype: see `DenseLoss`.

    Input shapes: masks `(n, *sizes)` or with a channel of 1, any number of `sizes`; outputs `(n, *sizes, channels)`, or channels first.

    Raises:
        ValueError: at an argument outside what is listed; at shapes that do not belong together, and at labels out of range in arrays.

    Source: Isensee et al. 2021, doi:10.1038/s41592-020-01008-z (nnU-Net; `background=False` there).
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        weights: Any = (1.0, 1.0),
        smooth: float = 0.0,
        empty: str = "one",
        squared: bool = False,
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
            CrossEntropy,
            dict(label_smoothing=label_smoothing),
            weights,
            dict(smooth=smooth, empty=empty, squared=squared, background=background),
            dict(
                from_logits=from_logits,
                ignore_index=ignore_index,
                class_weights=class_weights,
                sparse=sparse,
                batch=batch,
                data_format=data_format,
            ),
            **kwargs,
        )
