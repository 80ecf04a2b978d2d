"""Floor 2: the families, each a builder from settings to `keras.Model` and its table of variants."""

from keras_resnet.models.cifar import cifar_resnet
from keras_resnet.models.densenet import cifar_densenet, densenet
from keras_resnet.models.normfree import nf_resnet
from keras_resnet.models.preresnet import resnetv2
from keras_resnet.models.resnet import resnet
from keras_resnet.models.unet import unet, unet_plus_plus
from keras_resnet.models.unet3plus import unet3plus
from keras_resnet.models.vit import vit

__all__ = ["cifar_densenet", "cifar_resnet", "densenet", "nf_resnet", "resnet", "resnetv2", "unet", "unet3plus", "unet_plus_plus", "vit"]
