"""Floor 4: what stands around a model in training: from what, what of it and how fast it learns. What serves one in use is in `vision`."""

from keras_resnet.learning.augmentation import Augmentation, Mix, PadAndCrop, RandAugment, RandomErasing, RandomResizedCrop, TrivialAugment
from keras_resnet.learning.averaged_weights import AveragedWeights
from keras_resnet.learning.batches import Batches
from keras_resnet.learning.checkpoint import Checkpoint, CheckpointRecord, restore_checkpoint, save_checkpoint
from keras_resnet.learning.class_losses import BinaryCrossentropy
from keras_resnet.learning.deep_supervision import deep_supervision, inference_model
from keras_resnet.learning.distillation import Distilled, distillation_loss
from keras_resnet.learning.distribute import Replicas, distribute
from keras_resnet.learning.freezing import freeze
from keras_resnet.learning.lamb import Lamb
from keras_resnet.learning.layerwise import layerwise
from keras_resnet.learning.layerwise_optimizer import LayerwiseOptimizer
from keras_resnet.learning.mask_mixing import cut_mix, mix_up
from keras_resnet.learning.pair_augmentation import PairAugmentation
from keras_resnet.learning.pairs import Pairs
from keras_resnet.learning.progressive import ProgressiveSize
from keras_resnet.learning.sampler import Sampler
from keras_resnet.learning.schedules import StepDecay, WarmUp
from keras_resnet.learning.sgd import SGD
from keras_resnet.learning.watching import TerminateOnNonFinite, Throughput
from keras_resnet.learning.weight_decay import exclude_from_weight_decay

__all__ = [
    "Augmentation",
    "AveragedWeights",
    "Batches",
    "BinaryCrossentropy",
    "Checkpoint",
    "CheckpointRecord",
    "Distilled",
    "Lamb",
    "LayerwiseOptimizer",
    "Mix",
    "PadAndCrop",
    "PairAugmentation",
    "Pairs",
    "ProgressiveSize",
    "RandAugment",
    "RandomErasing",
    "RandomResizedCrop",
    "Replicas",
    "SGD",
    "Sampler",
    "StepDecay",
    "TerminateOnNonFinite",
    "Throughput",
    "TrivialAugment",
    "WarmUp",
    "cut_mix",
    "deep_supervision",
    "distillation_loss",
    "distribute",
    "exclude_from_weight_decay",
    "freeze",
    "inference_model",
    "layerwise",
    "mix_up",
    "restore_checkpoint",
    "save_checkpoint",
]
