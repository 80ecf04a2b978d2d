"""Losses of dense prediction, integer masks first: overlap, cross-entropy with ignored pixels, and distances. Keras's own are in Keras."""

from keras_resnet.learning.losses.boundary import Boundary
from keras_resnet.learning.losses.compound import Compound
from keras_resnet.learning.losses.cross_entropy import CrossEntropy
from keras_resnet.learning.losses.dice import Dice
from keras_resnet.learning.losses.dice_cross_entropy import DiceCrossEntropy
from keras_resnet.learning.losses.dice_focal import DiceFocal
from keras_resnet.learning.losses.focal import Focal
from keras_resnet.learning.losses.generalized_dice import GeneralizedDice
from keras_resnet.learning.losses.hausdorff import Hausdorff
from keras_resnet.learning.losses.jaccard import Jaccard
from keras_resnet.learning.losses.lovasz import Lovasz
from keras_resnet.learning.losses.masks import check_masks
from keras_resnet.learning.losses.presence import Presence
from keras_resnet.learning.losses.tversky import Tversky

__all__ = [
    "Boundary",
    "Compound",
    "CrossEntropy",
    "Dice",
    "DiceCrossEntropy",
    "DiceFocal",
    "Focal",
    "GeneralizedDice",
    "Hausdorff",
    "Jaccard",
    "Lovasz",
    "Presence",
    "Tversky",
    "check_masks",
]
