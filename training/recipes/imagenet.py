"""The data set of the ImageNet recipes."""

from training.recipe import Data

IMAGENET = Data(
    "imagenet2012",
    classes=1000,
    size=224,
    channels=3,
    mean=(123.675, 116.28, 103.53),
    deviation=(58.395, 57.12, 57.375),
    test_size=224,
    test_crop=0.875,
)
TINY = {"depths": (1, 1, 1, 1), "widths": (4, 8, 8, 16), "stem_width": 4}  # of the ResNets' builder
