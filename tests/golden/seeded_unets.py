"""Small U-Nets of which there are golden logits: our settings, the pictures, and the weights by the names of their tensors."""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from tests.golden import seeded

FILE = pathlib.Path(__file__).parent / "unets.npz"
LEAVES = {
    "kernel": "weight",
    "gamma": "weight",
    "bias": "bias",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


@dataclasses.dataclass(frozen=True)
class Case:
    """A network: the function of `keras_resnet.models` that builds it, its settings, and a picture's shape.

    `quick`: whether the test runs on every backend, for one of each kind. `seed`: of the pictures.
    """

    builder: str
    settings: dict[str, Any]
    shape: tuple[int, ...]
    quick: bool = True
    seed: int = 7


COMMUNITY: dict[str, Any] = dict(norm="batch", use_bias=True, upsampling="nearest", up_kernel=3)
CASES = {
    # Sides that the depth does not divide are padded with the last pixels, and cut off again.
    "plain_bilinear": Case("plain_unet", dict(widths=(4, 6, 8, 10), norm="batch", upsampling="bilinear"), (13, 18, 3)),
    "plain_nearest": Case("plain_unet", dict(widths=(4, 6, 8), upsampling="nearest"), (12, 16, 1), quick=False),
    "plain_nearest_conv": Case("plain_unet", dict(widths=(4, 6, 8), **COMMUNITY), (9, 14, 1), quick=False),
    "plain_bilinear_conv": Case("plain_unet", dict(widths=(4, 6, 8), upsampling="bilinear", up_kernel=1), (12, 8, 1), quick=False),
    "plain_pixel_shuffle": Case("plain_unet", dict(widths=(4, 6, 8), upsampling="pixel_shuffle"), (8, 12, 1), quick=False),
    "plain_valid": Case("plain_unet", dict(widths=(4, 6, 8), padding="valid"), (44, 52, 1), quick=False),
    "plain_gate": Case("plain_unet", dict(widths=(4, 6, 8, 10), attention="gate", **COMMUNITY), (16, 24, 3)),
    "nested": Case("nested_unet", dict(widths=(4, 6, 8, 10)), (16, 24, 1), quick=False),
    "nested_four": Case("nested_unet", dict(widths=(4, 5, 6, 7, 8), deep_supervision=True, classifier_activation="sigmoid"), (16, 16, 1)),
    "resunet": Case("resunet", dict(widths=(4, 6, 8, 10)), (13, 20, 3)),
    "attention_3d": Case("attention_unet", dict(widths=(4, 6, 8)), (4, 12, 8, 1), quick=False),
    "attention_3d_multi": Case("attention_unet", dict(widths=(4, 5, 6, 7), gates=2), (8, 8, 16, 1)),
    "unet3plus": Case("unet3plus", dict(widths=(4, 6, 8, 10, 12), skip_width=4), (16, 32, 3), quick=False),
    "unet3plus_ds": Case("unet3plus", dict(widths=(4, 6, 8), skip_width=4, deep_supervision=True), (16, 12, 3), quick=False),
    "unet3plus_ds_cgm": Case(
        "unet3plus", dict(widths=(4, 6, 8, 10), skip_width=4, deep_supervision=True, guided=True), (16, 24, 3), seed=5
    ),
    "fc_densenet": Case("fc_densenet", dict(depths=(2, 3, 2, 3, 2), growth_rate=3, stem_width=6, classes=3), (12, 20, 3)),
    "fc_densenet56": Case("fc_densenet", dict(depths=(4,) * 11, growth_rate=12, classes=2), (32, 32, 3), quick=False),
}


def key(path: str) -> str:
    """What a variable of this path is called where its weights are drawn."""
    module, _, leaf = path.rpartition("/")
    return f"{module.replace('/', '.')}.{LEAVES[leaf]}"


def weight(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """As `seeded.weight`, and running statistics: means around 0, variances around 1."""
    return seeded.weight(f"{key}.bias" if key.endswith("running_mean") else key, shape)


def image(case: Case) -> np.ndarray:
    """Two pictures or volumes, channels last, of patches and noise."""
    random = np.random.RandomState(case.seed)
    *size, channels = case.shape
    coarse = random.random_sample((2, *(-(-side // 4) for side in size), channels))
    for axis in range(1, len(size) + 1):
        coarse = np.repeat(coarse, 4, axis)
    coarse = coarse[(slice(None), *map(slice, size))]
    return (4 * coarse + random.random_sample((2, *size, channels)) - 2.5).astype("float32")
