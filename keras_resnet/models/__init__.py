"""Floor 2: the families, each a builder from settings to `keras.Model` and its table of variants."""

from keras_resnet.models.attention_unet import attention_unet
from keras_resnet.models.cifar import cifar_resnet
from keras_resnet.models.deeplab import deeplab_v3_plus
from keras_resnet.models.densenet import cifar_densenet, densenet
from keras_resnet.models.diffusion_unet import diffusion_unet
from keras_resnet.models.fc_densenet import fc_densenet
from keras_resnet.models.fpn import fpn
from keras_resnet.models.nested_unet import fast_nested_unet, nested_unet
from keras_resnet.models.nnunet import nnunet
from keras_resnet.models.normfree import nf_resnet
from keras_resnet.models.plain_unet import plain_unet
from keras_resnet.models.preresnet import resnetv2
from keras_resnet.models.resnet import resnet
from keras_resnet.models.resunet import resunet
from keras_resnet.models.unet import unet, unet_plus_plus
from keras_resnet.models.unet3plus import unet3plus
from keras_resnet.models.vit import vit

__all__ = [
    "attention_unet",
    "cifar_densenet",
    "cifar_resnet",
    "deeplab_v3_plus",
    "densenet",
    "diffusion_unet",
    "fast_nested_unet",
    "fc_densenet",
    "fpn",
    "nested_unet",
    "nf_resnet",
    "nnunet",
    "plain_unet",
    "resnet",
    "resnetv2",
    "resunet",
    "unet",
    "unet3plus",
    "unet_plus_plus",
    "vit",
]
