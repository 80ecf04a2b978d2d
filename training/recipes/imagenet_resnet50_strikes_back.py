"""ResNet-50 on ImageNet as in "ResNet strikes back": A1 (600 epochs), A2 (300) and A3 (100, at 160 px).

    python -m training imagenet_resnet50_a2 --data /data/imagenet --mixed-precision bfloat16

LAMB with batches of 2,048, a binary cross-entropy, RandAugment, MixUp and CutMix; A1 and A2 with repeated augmentation and stochastic
depth, A1 with label smoothing, and so without the threshold of targets, which would take it away. Not measured here.

Source: Wightman et al. 2021, arXiv:2110.00476, table 2; the bound on the gradients' norm and the threshold of the targets as in timm.
Published: 80.4, 79.8 and 78.1 %; timm evaluates its weights to 80.382, 79.828 and 78.052 %.
"""

import dataclasses

from training.recipe import Augmentation, Loss, Network, Optimizer, Recipe, Schedule
from training.recipes.imagenet import IMAGENET, TINY

DEEP = {"stochastic_depth": 0.05}
A2 = Recipe(
    "imagenet_resnet50_a2",
    data=dataclasses.replace(IMAGENET, test_crop=0.95),
    network=Network("resnet50", settings=DEEP, quick=TINY),
    loss=Loss("binary", threshold=0.2),
    optimizer=Optimizer("lamb", rate=5e-3, weight_decay=0.02, decay_all=False, clip_norm=1.0),
    schedule=Schedule("cosine", warm_up=5),
    augmentation=Augmentation(crop_area=(0.08, 1.0), rand_magnitude=7, mixup=0.1, cutmix=1.0, repeats=3),
    epochs=300,
    batch=2048,
    published="79.8 % (arXiv:2110.00476, table 2)",
)
A1 = dataclasses.replace(
    A2,
    name="imagenet_resnet50_a1",
    loss=Loss("binary", smoothing=0.1),
    optimizer=dataclasses.replace(A2.optimizer, weight_decay=0.01),
    augmentation=dataclasses.replace(A2.augmentation, mixup=0.2),
    epochs=600,
    published="80.4 % (arXiv:2110.00476, table 2)",
)
A3 = dataclasses.replace(
    A2,
    name="imagenet_resnet50_a3",
    data=dataclasses.replace(A2.data, size=160),
    network=Network("resnet50", quick=TINY),
    optimizer=dataclasses.replace(A2.optimizer, rate=8e-3),
    augmentation=dataclasses.replace(A2.augmentation, rand_magnitude=6, repeats=1),
    epochs=100,
    published="78.1 % (arXiv:2110.00476, table 2)",
)
RECIPES = {recipe.name: recipe for recipe in (A1, A2, A3)}
