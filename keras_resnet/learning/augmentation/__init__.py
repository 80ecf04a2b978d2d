"""Batches of pictures changed at random, on the device, with the same numbers on every backend."""

from keras_resnet.learning.augmentation.crops import PadAndCrop, RandomResizedCrop
from keras_resnet.learning.augmentation.erasing import RandomErasing
from keras_resnet.learning.augmentation.layer import Augmentation
from keras_resnet.learning.augmentation.mix import Mix
from keras_resnet.learning.augmentation.rand_augment import RandAugment
from keras_resnet.learning.augmentation.trivial_augment import TrivialAugment

__all__ = ["Augmentation", "Mix", "PadAndCrop", "RandAugment", "RandomErasing", "RandomResizedCrop", "TrivialAugment"]
