"""ResNet-RS-50 on ImageNet at 160 px.

    python -m training imagenet_resnetrs50 --data /data/imagenet --mixed-precision bfloat16

350 epochs of batches of 4,096, SGD at 0.1 for each 256 of them, cosine; RandAugment with two operations of magnitude 10, label smoothing,
dropout of 0.25 in front of the classifier, averaged weights; this size has no stochastic depth. Not measured here.

Source: Bello et al. 2021, arXiv:2103.07579, section 7 and appendix. Published: 78.8 % (its repository);
timm evaluates its port to 77.858 %.
"""

import dataclasses

from training.recipe import Augmentation, Loss, Network, Optimizer, Recipe, Schedule
from training.recipes.imagenet import IMAGENET, TINY

RECIPES = {
    "imagenet_resnetrs50": Recipe(
        "imagenet_resnetrs50",
        data=dataclasses.replace(IMAGENET, size=160, test_size=160, test_crop=160 / 192),
        network=Network("resnetrs50", dropout=0.25, quick=TINY),
        loss=Loss(smoothing=0.1),
        optimizer=Optimizer("sgd", rate=1.6, momentum=0.9, weight_decay=4e-5, decay_all=False, average=0.9999),
        schedule=Schedule("cosine", warm_up=5),
        augmentation=Augmentation(crop_area=(0.08, 1.0), rand_magnitude=10, rand_deviation=0.0, rand_chance=1.0, rand_increasing=False),
        epochs=350,
        batch=4096,
        published="78.8 % (github.com/tensorflow/tpu, resnet_rs)",
    )
}
