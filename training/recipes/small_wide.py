"""Wide ResNets 28-10 and 40-4 for small pictures.

    python -m training fashion_wrn40_4

SGD with Nesterov's momentum and weight decay 5e-4, 200 epochs of batches of 128, the rate 0.1 times 0.2 at epochs 60, 120 and 160; 28-10
with dropout 0.3, 40-4 without. Pictures are padded by their reflections.

Source: Zagoruyko and Komodakis 2016, arXiv:1605.07146, section 3 and tables 4 to 6. Published errors, 28-10 with dropout: CIFAR-10 3.89 %,
CIFAR-100 18.85 %; 40-4 without: 4.53 % and 21.18 %. Fashion-MNIST: 96.7 % for 40-4 (table of results of its repository, with padded crops
and flips). Not measured here.
"""

from training.recipe import Augmentation, Network, Optimizer, Recipe, Schedule
from training.recipes.small_pictures import on_each

TINY = {"depths": (1, 1, 1), "widths": (4, 8, 16), "stem_width": 4}
DROPOUT = {"wrn28_10": 0.3, "wrn40_4": 0.0}
PUBLISHED: dict[str, dict[str, str]] = {
    "wrn28_10": {"cifar10": "96.11 % (arXiv:1605.07146, with dropout)", "cifar100": "81.15 % (arXiv:1605.07146, with dropout)"},
    "wrn40_4": {
        "fashion": "96.7 % (github.com/zalandoresearch/fashion-mnist)",
        "cifar10": "95.47 % (arXiv:1605.07146, without dropout)",
        "cifar100": "78.82 % (arXiv:1605.07146, without dropout)",
    },
}

RECIPES = {
    name: recipe
    for network, published in PUBLISHED.items()
    for name, recipe in on_each(
        Recipe(
            network,
            network=Network(network, settings={"dropout": DROPOUT[network]}, quick=TINY),
            optimizer=Optimizer("sgd", rate=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4),
            schedule=Schedule("step", milestones=(60, 120, 160), factor=0.2),
            augmentation=Augmentation(pad=4, pad_mode="reflect"),
            epochs=200,
            batch=128,
        ),
        published,
    ).items()
}
