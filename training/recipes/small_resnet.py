"""ResNet-20, 56 and 110 for small pictures, as their paper trained them on CIFAR-10.

    python -m training cifar10_resnet56 --data tfds

64,000 steps of 128 pictures, which are 164 epochs of 390; the rate falls to a tenth behind 32,000 and 48,000 of them. ResNet-110 begins
at a tenth of the rate, for one epoch here and until the training error is below 80 %, about 400 steps, in the paper. Pictures are padded
by 4 pixels and cut at random. The paper trained on 45,000 pictures where it chose, and on all 50,000 in the end.

Source: He et al. 2015, arXiv:1512.03385, section 4.2 and table 6. Published, CIFAR-10: 91.25 %, 93.03 % and 93.39 % (mean of 5 runs, best
93.57 %). CIFAR-100 and Fashion-MNIST are not in it. Not measured here at full length.
Shortened to seven epochs: `small_short.py`.
"""

from typing import Any

from training.recipe import Augmentation, Network, Recipe, Schedule
from training.recipes.small_pictures import on_each

TINY = {"depths": (1, 1, 1), "widths": (4, 8, 16)}
HELD: dict[str, Any] = {"warm_up": 1, "start": 0.1, "hold": True}
PUBLISHED = {"resnet20": "91.25 %", "resnet56": "93.03 %", "resnet110": "93.39 %, mean of 5 runs"}

RECIPES = {
    name: recipe
    for network, accuracy in PUBLISHED.items()
    for name, recipe in on_each(
        Recipe(
            network,
            network=Network(network, quick=TINY),
            schedule=Schedule("step", milestones=(82, 123), **(HELD if network == "resnet110" else {})),
            augmentation=Augmentation(pad=4),
            epochs=164,
            batch=128,
        ),
        {"cifar10": f"{accuracy} (arXiv:1512.03385, table 6)"},
    ).items()
}
