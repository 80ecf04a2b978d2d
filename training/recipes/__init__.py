"""All recipes by name. No framework is imported for them."""

import dataclasses

from training.fields import checked, nearest
from training.recipe import Recipe
from training.recipes import (
    bit_hyperrule,
    diffusion_ddpm,
    imagenet_densenet121,
    imagenet_resnet50,
    imagenet_resnet50_strikes_back,
    imagenet_resnet50_torchvision,
    imagenet_resnetrs50,
    segmentation_nnunet2d,
    small_densenet,
    small_preresnet,
    small_resnet,
    small_resnet18,
    small_short,
    small_wide,
)

RECIPES: dict[str, Recipe] = {
    **small_resnet.RECIPES,
    **small_preresnet.RECIPES,
    **small_wide.RECIPES,
    **small_densenet.RECIPES,
    **small_resnet18.RECIPES,
    **small_short.RECIPES,
    **imagenet_resnet50.RECIPES,
    **imagenet_resnet50_torchvision.RECIPES,
    **imagenet_resnet50_strikes_back.RECIPES,
    **imagenet_resnetrs50.RECIPES,
    **imagenet_densenet121.RECIPES,
    **bit_hyperrule.RECIPES,
    **segmentation_nnunet2d.RECIPES,
    **diffusion_ddpm.RECIPES,
}


def recipe(name: str) -> Recipe:
    """The recipe of this name.

    Raises:
        ValueError: if there is none, with the nearest names.
    """
    if name not in RECIPES:
        raise ValueError(f"There is no recipe {name!r}. {nearest(name, RECIPES)} `python -m training list` lists all {len(RECIPES)}.")
    return checked(RECIPES[name])


def quick(full: Recipe) -> Recipe:
    """The same recipe made to take seconds: a small network, small pictures, two epochs of three batches of eight."""
    size = min(full.data.size, 32 if full.data.size >= 128 else 16)
    replace = dataclasses.replace
    return replace(
        full,
        data=replace(full.data, size=size, test_size=full.data.test_size and size, classes=min(full.data.classes, 10)),
        network=replace(full.network, weights=None, settings={**full.network.settings, **full.network.quick}),
        schedule=replace(full.schedule, warm_up=min(full.schedule.warm_up, 0.5), milestones=(1,) if full.schedule.milestones else ()),
        augmentation=replace(full.augmentation, pad=min(full.augmentation.pad, 2)),
        epochs=2,
        steps=3,
        batch=8,
        published="",  # which is not of this
    )
