"""Floor 2: the families, each a builder from settings to `keras.Model` and its table of variants."""

from keras_resnet.models.cifar import cifar_resnet
from keras_resnet.models.resnet import resnet
from keras_resnet.models.vit import vit

__all__ = ["cifar_resnet", "resnet", "vit"]
