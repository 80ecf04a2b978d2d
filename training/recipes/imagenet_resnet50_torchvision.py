"""ResNet-50 on ImageNet as torchvision trained its second weights.

    python -m training imagenet_resnet50_torchvision --data /data/imagenet --mixed-precision bfloat16

600 epochs of batches of 1,024 at 176 px, tested at 224 px, both bilinear; cosine; label smoothing, MixUp, CutMix, TrivialAugment, erasing,
repeated augmentation, averaged weights. What differs here: biases do not decay, as norms; the averages move at every step, not at each
32nd, with the same half-life. Not measured here.

Source: torchvision, "How to train state-of-the-art models using its latest primitives" (2021), and its references/classification.
Published: 80.858 % (IMAGENET1K_V2).
"""

import dataclasses

from training.recipe import Augmentation, Loss, Network, Optimizer, Recipe, Schedule
from training.recipes.imagenet import IMAGENET, TINY

RECIPES = {
    "imagenet_resnet50_torchvision": Recipe(
        "imagenet_resnet50_torchvision",
        data=dataclasses.replace(IMAGENET, size=176, test_crop=224 / 232),
        network=Network("resnet50", quick=TINY),
        loss=Loss(smoothing=0.1),
        optimizer=Optimizer(
            "sgd",
            rate=0.5,
            momentum=0.9,
            weight_decay=2e-5,
            decay_all=False,
            # There 1 - 2e-5 * 1024 * 32 / 600 every 32 steps; this is its 32nd root.
            average=(1 - 2e-5 * 1024 * 32 / 600) ** (1 / 32),
        ),
        schedule=Schedule("cosine", warm_up=5, start=0.01),
        augmentation=Augmentation(
            crop_area=(0.08, 1.0),
            trivial=True,
            erasing=0.1,
            erasing_fill="mean",
            mixup=0.2,
            cutmix=1.0,
            repeats=4,
        ),
        epochs=600,
        batch=1024,
        published="80.858 % (torchvision IMAGENET1K_V2)",
    )
}
