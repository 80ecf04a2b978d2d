"""DDPM on CIFAR-10: noise that becomes pictures.

    python -m training diffusion_ddpm_cifar10 --data tfds

800,000 steps of Adam at 2e-4 with batches of 128, 5,000 of them a rise; pictures from -1 to 1, mirrored; dropout 0.1; gradients of norm 1
at most; averaged weights, which are sampled from. An epoch is 1,000 steps here. Not measured here.

What differs from the source's code, github.com/hojonathanho/diffusion:

* Adam's epsilon is Keras's, 1e-7; there it is 1e-8.
* The averages' momentum grows to 0.9999 over some 90,000 steps; there it is that from the first step on.
* The gradients of a whole batch are clipped; there those of each core's part of it, before they are added.

Source: Ho et al. 2020, arXiv:2006.11239, appendix B. Published: FID 3.17 with 50,000 samples of 1,000 steps.
"""

import dataclasses

from training.recipe import Augmentation, Loss, Network, Optimizer, Recipe, Schedule
from training.recipes.small_pictures import CIFAR10

RECIPES = {
    "diffusion_ddpm_cifar10": Recipe(
        "diffusion_ddpm_cifar10",
        task="diffusion",
        data=dataclasses.replace(CIFAR10, mean=(127.5, 127.5, 127.5), deviation=(127.5, 127.5, 127.5)),
        network=Network("ddpm_cifar10", quick={"width": 8, "multipliers": (1, 2), "depth": 1, "image_size": 16}),
        loss=Loss("noise"),
        optimizer=Optimizer("adam", rate=2e-4, weight_decay=0.0, clip_norm=1.0, average=0.9999),
        schedule=Schedule("constant", warm_up=5),
        augmentation=Augmentation(flip=True),
        epochs=800,
        steps=1000,
        batch=128,
        published="FID 3.17 (arXiv:2006.11239, table 1)",
    )
}
