"""Shortened trainings on Fashion-MNIST, for a machine without a GPU: seven epochs in place of the papers' 164 to 300.

    python -m training fashion_resnet20_short --mixed-precision bfloat16

The network and the batch of the recipe without `_short`; for all of them SGD with Nesterov's momentum and weight decay 5e-4, the rate
rising to 0.1 in half an epoch and falling by a cosine, crops from 2 padded pixels, flips.

Source: none; no paper trained these. Measured, one seed, ResNet-20: PyTorch in mixed bfloat16 on one of two busy CPU cores, 9.6 minutes:
92.79 %; JAX in float32: 92.86 %; TensorFlow in float32, 6.5 minutes: 92.87 %. ResNet-18, PyTorch in mixed bfloat16: 93.50 %. The other
two were run for less than their seven epochs, by `--set epochs=N`, on PyTorch in mixed bfloat16: DenseNet-BC-100 for one 88.91 %, WRN-40-4
for two 91.56 %.
"""

import dataclasses

from training.recipe import Augmentation, Optimizer, Schedule
from training.recipes import small_densenet, small_resnet, small_resnet18, small_wide

FULL = {**small_resnet.RECIPES, **small_wide.RECIPES, **small_densenet.RECIPES, **small_resnet18.RECIPES}

RECIPES = {
    f"{name}_short": dataclasses.replace(
        FULL[name],
        name=f"{name}_short",
        optimizer=Optimizer("sgd", rate=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4),
        schedule=Schedule("cosine", warm_up=0.5),
        augmentation=Augmentation(pad=2),
        epochs=7,
        published="",
    )
    for name in ("fashion_resnet20", "fashion_resnet18", "fashion_wrn40_4", "fashion_densenetbc100_k12")
}
