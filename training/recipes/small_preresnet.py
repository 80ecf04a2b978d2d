"""Pre-activation ResNets of 110, 164 and 1001 layers for small pictures.

    python -m training cifar10_preresnet164 --data tfds

As for the original ones, with a tenth of the rate in the first 400 steps (one epoch here).

Source: He et al. 2016, arXiv:1603.05027, section 4 and tables 2 to 4. Published errors: CIFAR-10 6.37 %, 5.46 % and 4.92 % (median of 5
runs); CIFAR-100 24.33 % for 164 layers and 22.71 % for 1001. Fashion-MNIST is not in it. Not measured here.
"""

from training.recipe import Augmentation, Network, Recipe, Schedule
from training.recipes.small_pictures import on_each

TINY = {"depths": (1, 1, 1), "widths": (4, 8, 16)}
PUBLISHED: dict[str, dict[str, str]] = {
    "preresnet110": {"cifar10": "93.63 % (arXiv:1603.05027, table 2)"},
    "preresnet164": {"cifar10": "94.54 % (arXiv:1603.05027, table 4)", "cifar100": "75.67 % (arXiv:1603.05027, table 4)"},
    "preresnet1001": {"cifar10": "95.08 % (arXiv:1603.05027, table 4)", "cifar100": "77.29 % (arXiv:1603.05027, table 4)"},
}

RECIPES = {
    name: recipe
    for network, published in PUBLISHED.items()
    for name, recipe in on_each(
        Recipe(
            network,
            network=Network(network, quick=TINY),
            schedule=Schedule("step", warm_up=1, start=0.1, hold=True, milestones=(82, 123)),
            augmentation=Augmentation(pad=4),
            epochs=164,
            batch=128,
        ),
        published,
    ).items()
}
