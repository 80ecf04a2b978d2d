"""Dice and focal loss, for small things among much background."""

from typing import Any

import keras

from keras_resnet.learning.losses.dice_compound import DiceCompound
from keras_resnet.learning.losses.focal import Focal


@keras.saving.register_keras_serializable("keras_resnet")
class DiceFocal(DiceCompound):
    """`w1 Dice + w2 Focal`.

    Args:
        gamma, alpha, softmax: of the focal loss.
        weights: of Dice and of focal loss.
        smooth, empty, squared, background: of Dice, see `OverlapLoss`.
        from_logits, ignore_index, class_weights, sparse, batch, data_format, name, reduction, dtype: see `DenseLoss`.

    Input shapes: masks `(n, *sizes)` or with a channel of 1, any number of `sizes`; outputs `(n, *sizes, channels)`, or channels first.

    Raises:
        ValueError: at an argument outside what is listed; at shapes that do not belong together, and at labels out of range in arrays.

    Source: Zhu et al. 2019, arXiv:1808.05238.
    """

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: float | None = None,
        softmax: bool = False,
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
            Focal,
            dict(gamma=gamma, alpha=alpha, softmax=softmax),
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
