"""ResNet-18 for small pictures: the four stages of ImageNet's behind one 3x3 convolution, without stride and pool.

    python -m training fashion_resnet18

No paper trained this network; the schedule is that of the wide ResNets (arXiv:1605.07146), with a cosine in place of its steps.

Source: the network He et al. 2015, arXiv:1512.03385; its stem as it is usual on CIFAR. Published, Fashion-MNIST: 94.9 % (table of results
of its repository). CIFAR: none that a paper vouches for. Not measured here.
"""

from training.recipe import Augmentation, Network, Optimizer, Recipe, Schedule
from training.recipes.small_pictures import on_each

STAGES = {"depths": (2, 2, 2, 2), "widths": (64, 128, 256, 512), "shortcut": "projection"}

RECIPES = on_each(
    Recipe(
        "resnet18",
        # The CIFAR networks' builder, whose stem is the one meant here, by a row of its.
        network=Network("resnet20", settings=STAGES, quick={"depths": (1, 1, 1, 1), "widths": (4, 8, 8, 16)}),
        optimizer=Optimizer("sgd", rate=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4),
        schedule=Schedule("cosine", warm_up=5),
        augmentation=Augmentation(pad=4),
        epochs=200,
        batch=128,
    ),
    {"fashion": "94.9 % (github.com/zalandoresearch/fashion-mnist)"},
)
