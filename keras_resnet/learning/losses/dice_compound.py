"""The base of the compounds of Dice and another loss: one set of arguments for both."""

from typing import Any

from keras_resnet.learning.losses.compound import Compound
from keras_resnet.learning.losses.dense_loss import DenseLoss
from keras_resnet.learning.losses.dice import Dice


class DiceCompound(Compound):
    """`w1 Dice + w2 other`.

    Args:
        other: class of the other loss.
        own: its arguments.
        weights: of Dice and of the other.
        of_dice: arguments of Dice.
        shared: arguments of both, see `DenseLoss`; `reduction` and `dtype` in `kwargs` are for both too.
    """

    def __init__(self, other: type[DenseLoss], own: dict, weights: Any, of_dice: dict, shared: dict, **kwargs: Any):
        shared = {**shared, **{key: kwargs[key] for key in ("reduction", "dtype") if key in kwargs}}
        super().__init__([Dice(**of_dice, **shared), other(**own, **shared)], weights, **kwargs)

    def get_config(self) -> dict:
        dice, other = (loss.get_config() for loss in self.losses)
        del dice["log"]
        return {**other, **dice, "name": self.name, "weights": self.weights}
