"""Fine-tuning of Big Transfer's ResNet-50x1 by its rule for hyperparameters, the BiT-HyperRule.

    python -m training bit_cifar10 --data tfds

SGD at 0.003 with momentum 0.9 and without weight decay, batches of 512. A set of up to 20,000 pictures is learnt from for 500 steps, one of
up to 500,000 for 10,000 and a larger one for 20,000, the latter two with MixUp of 0.1. The rate rises for the first 500 steps, in the
shortest schedule for 100, and falls to a tenth at 30, 60 and 90 % of all steps, in the shortest at 40, 60 and 80 %. Pictures of less than
96 x 96 pixels are seen at 128, larger ones at 480 here, cut from squares of 160 and 512, and tested whole, as squares, all bilinear. The
classifier starts at zero, the other weights at those learnt from ImageNet-21k, which are downloaded once. The pets, whose pictures differ
in size, come as a folder. Not measured here.

Source: Kolesnikov et al. 2020, arXiv:1912.11370, section 3.3; the schedules as in `bit_hyperrule.py` of github.com/google-research/
big_transfer, whose rate falls one step later. Published in its README for this network, of batches of 128 at 0.001, which it found nearly
as good: CIFAR-10 97.2, 97.3 and 97.4 %, CIFAR-100 86.5, 86.4 and 86.6 % (TensorFlow, JAX, PyTorch); of the pets nothing for it.
"""

import dataclasses
from typing import Any

from training.recipe import Augmentation, Data, Network, Optimizer, Recipe, Schedule
from training.recipes.imagenet import TINY
from training.recipes.small_pictures import CIFAR10, CIFAR100

BATCH = 512
HALF: dict[str, Any] = {"mean": (127.5, 127.5, 127.5), "deviation": (127.5, 127.5, 127.5)}


def hyperrule(name: str, data: Data, examples: int, side: int, published: str = "") -> Recipe:
    """The rule for a set of `examples` pictures whose sides are about `side` pixels."""
    steps = 500 if examples < 20_000 else 10_000 if examples < 500_000 else 20_000
    size = 128 if side < 96 else 480
    # An epoch is a hundredth of the steps here, so that the milestones are whole.
    return Recipe(
        name,
        data=dataclasses.replace(data, size=size, test_size=size, test_crop=1.0, squeeze=True, **HALF),
        network=Network("resnetv2_50x1_bit", weights="goog_in21k", zero_head=True, quick={**TINY, "stem_width": 8}),
        optimizer=Optimizer("sgd", rate=0.003, momentum=0.9, weight_decay=0.0),
        schedule=Schedule("step", warm_up=100 * min(500, steps // 5) / steps, milestones=(40, 60, 80) if steps == 500 else (30, 60, 90)),
        # From 160 to 128 or 512 to 480 pixels: a crop of this share of the area.
        augmentation=Augmentation(
            crop_ratio=(1.0, 1.0),
            crop_area=(0.64, 0.64) if size == 128 else (0.88, 0.88),
            mixup=0.1 if steps > 500 else 0.0,
            mix_per="batch",
        ),
        epochs=100,
        steps=steps // 100,
        batch=BATCH,
        published=published,
    )


SOURCE = "(github.com/google-research/big_transfer)"
PETS = Data("oxford_iiit_pet", classes=37, channels=3, **HALF)
RECIPES = {
    "bit_cifar10": hyperrule("bit_cifar10", CIFAR10, 50_000, side=32, published=f"97.2 to 97.4 % {SOURCE}"),
    "bit_cifar100": hyperrule("bit_cifar100", CIFAR100, 50_000, side=32, published=f"86.4 to 86.6 % {SOURCE}"),
    "bit_oxford_iiit_pet": hyperrule("bit_oxford_iiit_pet", PETS, 3_680, side=400),
}
