"""DenseNet-121 on ImageNet in 90 epochs.

    python -m training imagenet_densenet121 --data /data/imagenet --mixed-precision bfloat16

As ResNet-50 in 90 epochs, with Nesterov's momentum, and pictures brought to their size by cubic values. Not measured here.

What differs from the code that the authors took, github.com/facebookarchive/fb.resnet.torch: no colours are changed at random; there
brightness, contrast and saturation are, by up to 0.4, and light along the principal components of ImageNet's colours.

Source: Huang et al. 2017, arXiv:1608.06993, section 4.2 and table 3. Published: an error of 25.02 %; torchvision's weights have 74.434 %.
"""

import dataclasses

from training.recipe import Augmentation, Network, Optimizer, Recipe, Schedule
from training.recipes.imagenet import IMAGENET

RECIPES = {
    "imagenet_densenet121": Recipe(
        "imagenet_densenet121",
        data=dataclasses.replace(IMAGENET, interpolation="bicubic", test_interpolation="bicubic"),
        network=Network("densenet121", quick={"depths": (1, 2, 1, 2), "growth_rate": 4, "stem_width": 8}),
        optimizer=Optimizer("sgd", rate=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4),
        schedule=Schedule("step", milestones=(30, 60)),
        augmentation=Augmentation(crop_area=(0.08, 1.0)),
        epochs=90,
        batch=256,
        published="74.98 % (arXiv:1608.06993, table 3)",
    )
}
