"""Dice and cross-entropy, the usual loss of a U-Net."""

from typing import Any

import keras

from keras_resnet.learning.losses.compound import Compound
from keras_resnet.learning.losses.cross_entropy import CrossEntropy
from keras_resnet.learning.losses.dice import Dice


@keras.saving.register_keras_serializable("keras_resnet")
class DiceCrossEntropy(Compound):
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
        shared = dict(
            from_logits=from_logits,
            ignore_index=ignore_index,
            class_weights=class_weights,
            sparse=sparse,
            batch=batch,
            data_format=data_format,
            **{key: kwargs[key] for key in ("reduction", "dtype") if key in kwargs},
        )
        dice = Dice(smooth=smooth, empty=empty, squared=squared, background=background, **shared)
        other = CrossEntropy(label_smoothing=label_smoothing, **shared)
        super().__init__([dice, other], weights, **kwargs)

    def get_config(self) -> dict:
        dice, other = (loss.get_config() for loss in self.losses)
        del dice["log"]
        return {**other, **dice, "name": self.name, "weights": self.weights}
