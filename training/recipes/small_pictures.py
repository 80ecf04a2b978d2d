"""The data sets of small pictures, and a recipe for each of them from one: Fashion-MNIST, CIFAR-10, CIFAR-100."""

import dataclasses

from training.recipe import Data, Recipe

FASHION = Data("fashion_mnist", classes=10, size=28, channels=1, mean=(72.94,), deviation=(90.02,), test_crop=1.0)
CIFAR10 = Data("cifar10", classes=10, size=32, channels=3, mean=(125.3, 123.0, 113.9), deviation=(63.0, 62.1, 66.7), test_crop=1.0)
CIFAR100 = Data("cifar100", classes=100, size=32, channels=3, mean=(129.3, 124.1, 112.4), deviation=(68.2, 65.4, 70.4), test_crop=1.0)
DIGITS = Data("digits", classes=10, size=8, channels=1, mean=(77.9,), deviation=(95.9,), held_back=0.25, test_crop=1.0)
SETS = {"fashion": FASHION, "cifar10": CIFAR10, "cifar100": CIFAR100}


def on_each(recipe: Recipe, published: dict[str, str]) -> dict[str, Recipe]:
    """`{"fashion_resnet20": ..., "cifar10_resnet20": ..., "cifar100_resnet20": ...}` for a recipe named `resnet20`."""
    names = {f"{place}_{recipe.name}": (place, data) for place, data in SETS.items()}
    return {
        name: dataclasses.replace(recipe, name=name, data=data, published=published.get(place, "")) for name, (place, data) in names.items()
    }
