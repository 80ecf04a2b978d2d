"""Networks of segmentation_models.pytorch of which there are golden logits, with their arguments there and ours."""

import pathlib
from typing import Any

import numpy as np

from tests.golden import seeded
from tests.golden.seeded_unets import weight as weight  # of the same names' endings

FILE = pathlib.Path(__file__).parent / "smp.npz"
ENCODER = "resnet18"
SIZES = ((33, 41), (64, 32))  # that nothing divides, and that 32 does
NARROW = (32, 32, 16, 16, 16)  # scSE squeezes by 16
# Its class and arguments, our constructor and arguments.
CASES: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "Unet": ("Unet", dict(decoder_channels=NARROW, classes=2), "UNet", dict(widths=NARROW, classes=2)),
    "Unet_scse": (
        "Unet",
        dict(decoder_channels=NARROW, decoder_attention_type="scse"),
        "UNet",
        dict(widths=NARROW, attention="scse"),
    ),
    "UnetPlusPlus": (
        "UnetPlusPlus",
        dict(decoder_channels=NARROW, in_channels=1),
        "UNetPlusPlus",
        dict(widths=NARROW, input_shape=(None, None, 1)),
    ),
    "FPN": (
        "FPN",
        dict(decoder_pyramid_channels=32, decoder_segmentation_channels=32, classes=1),
        "FPN",
        dict(pyramid_width=32, width=32, classes=1),
    ),
    "DeepLabV3Plus": (
        "DeepLabV3Plus",
        dict(decoder_channels=16, decoder_atrous_rates=(1, 2, 3), classes=1),
        "DeepLabV3Plus",
        dict(width=16, rates=(1, 2, 3), classes=1),
    ),
}


def image(name: str, size: tuple[int, int]) -> np.ndarray:
    """Two pictures of this size for a network, channels last."""
    return seeded.images(3, 2, max(size))[:, : size[0], : size[1], : CASES[name][1].get("in_channels", 3)]
