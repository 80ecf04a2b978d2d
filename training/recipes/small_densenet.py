"""DenseNet-BC of 100 layers, growth rate 12, for small pictures.

    python -m training fashion_densenetbc100_k12

300 epochs of batches of 64, the rate 0.1 to a tenth at a half and at three quarters; Nesterov's momentum; no dropout, since the pictures
are augmented.

Source: Huang et al. 2017, arXiv:1608.06993, section 4.2 and table 2. Published errors: CIFAR-10 4.51 %, CIFAR-100 22.27 %. Fashion-MNIST:
95.4 % (table of results of its repository, for a DenseNet-BC of 768,000 parameters). Not measured here.
"""

from training.recipe import Augmentation, Network, Optimizer, Recipe, Schedule
from training.recipes.small_pictures import on_each

RECIPES = on_each(
    Recipe(
        "densenetbc100_k12",
        network=Network("densenetbc100_k12", quick={"depths": (2, 2, 2), "growth_rate": 4}),
        optimizer=Optimizer("sgd", rate=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4),
        schedule=Schedule("step", milestones=(150, 225)),
        augmentation=Augmentation(pad=4),
        epochs=300,
        batch=64,
    ),
    {
        "fashion": "95.4 % (github.com/zalandoresearch/fashion-mnist)",
        "cifar10": "95.49 % (arXiv:1608.06993, table 2)",
        "cifar100": "77.73 % (arXiv:1608.06993, table 2)",
    },
)
