"""Networks of segmentation_models.pytorch of which there are golden logits, with their arguments there and ours."""

import pathlib
from typing import Any

import numpy as np

from tests.golden import seeded
from tests.golden.seeded_unets import weight as weight  # of the same names' endings

FILE = pathlib.Path(__file__).parent / "smp.npz"
ENCODER = "resnet18"
SIZES = ((33, 41), (64, 32))  # that nothing divides, and that 32 does
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "FPN": (
        dict(decoder_pyramid_channels=32, decoder_segmentation_channels=32, classes=1),
        dict(pyramid_width=32, width=32, classes=1),
    ),
    "DeepLabV3Plus": (
        dict(decoder_channels=16, decoder_atrous_rates=(1, 2, 3), classes=1),
        dict(width=16, rates=(1, 2, 3), classes=1),
    ),
}


def image(size: tuple[int, int]) -> np.ndarray:
    """Two pictures of this size, channels last."""
    return seeded.images(3, 2, max(size))[:, : size[0], : size[1]]
