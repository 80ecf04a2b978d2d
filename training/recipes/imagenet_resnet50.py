"""ResNet-50 on ImageNet in 90 epochs: the original way, as PyTorch's examples have it.

    python -m training imagenet_resnet50 --data /data/imagenet --mixed-precision bfloat16

SGD, batches of 256, rate 0.1 to a tenth at epochs 30 and 60, random-resized crops, bilinear, and flips. Not measured here.

Source: He et al. 2015, arXiv:1512.03385, section 3.4, whose rate fell where the error stood; the crops of Szegedy et al. 2014,
arXiv:1409.4842. Published: 76.130 % (torchvision's IMAGENET1K_V1, stride in the 3x3 convolution as here).
"""

from training.recipe import Augmentation, Network, Optimizer, Recipe, Schedule
from training.recipes.imagenet import IMAGENET, TINY

RECIPES = {
    "imagenet_resnet50": Recipe(
        "imagenet_resnet50",
        data=IMAGENET,
        network=Network("resnet50", quick=TINY),
        optimizer=Optimizer("sgd", rate=0.1, momentum=0.9, weight_decay=1e-4),
        schedule=Schedule("step", milestones=(30, 60)),
        augmentation=Augmentation(crop_area=(0.08, 1.0)),
        epochs=90,
        batch=256,
        published="76.130 % (torchvision IMAGENET1K_V1)",
    )
}
