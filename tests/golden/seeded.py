"""Weights drawn from the names of their tensors, and images drawn from a number: no file of 240 MB stands behind a golden file.

`RandomState` and not `Generator`: NumPy promises that its stream never changes (NEP 19).
"""

import dataclasses
import math
import pathlib
import zlib
from typing import Any

import numpy as np

FOLDER = pathlib.Path(__file__).parent
SIZES = (64, 75)  # pixels a side: even and odd at every stride of the network


@dataclasses.dataclass(frozen=True)
class Case:
    """A network of which there are golden logits: a row of the zoo, and what it is made smaller by, in our words and in timm's.

    `least_spread` is that of the logits between images (see `spread`). With statistics drawn at random, not taken from images, it is about
    0.13 for resnet18 and 0.03 for resnet152: almost all of a logit is then the same for any image, and a test would see little. Networks
    without batch statistics have less of it.
    """

    row: str
    ours: dict[str, Any] = dataclasses.field(default_factory=dict)
    timms: dict[str, Any] = dataclasses.field(default_factory=dict)
    sizes: tuple[int, ...] = SIZES
    least_spread: float = 0.2


def short(row: str, *depths: int, sizes: tuple[int, ...] = SIZES, word: str = "layers", least_spread: float = 0.2) -> Case:
    """A row with fewer blocks: every structure of it at a fraction of the time to compile."""
    return Case(row, dict(depths=depths), {word: depths}, sizes, least_spread)


CASES = {
    "resnet18": Case("resnet18"),
    "resnet26": Case("resnet26"),
    "resnet50": Case("resnet50"),
    "resnet152": Case("resnet152"),
    "resnet10t": Case("resnet10t"),  # tiered stem, mean in the shortcut
    "resnet18d": short("resnet18d", 1, 2, 1, 1),  # deep stem
    "resnet50s": short("resnet50s", 1, 2, 1, 1),  # wider deep stem
    "resnext50_32x4d": short("resnext50_32x4d", 1, 2, 1, 1),
    "wide_resnet50_2": short("wide_resnet50_2", 1, 2, 1, 1),
    "seresnext26t_32x4d": short("seresnext26t_32x4d", 1, 2, 1, 1),
    "seresnet18": short("seresnet18", 1, 2, 1, 1),
    "senet154": short("senet154", 1, 2, 1, 1),  # 3x3 projections, a narrower first convolution
    "ecaresnet26t": short("ecaresnet26t", 1, 2, 1, 1),
    "resnetrs50": short("resnetrs50", 1, 2, 1, 1),
    "resnetblur18": short("resnetblur18", 1, 2, 1, 1),
    "resnetblur50d": short("resnetblur50d", 1, 2, 1, 1),
    # timm's take no odd maps
    "resnetaa34d": short("resnetaa34d", 1, 2, 1, 1, sizes=(64, 96)),
    "resnetaa50": short("resnetaa50", 1, 2, 1, 1, sizes=(64, 96)),
    "resnet50_gn": short("resnet50_gn", 1, 2, 1, 1, least_spread=0.07),
    "resnetv2_18": short("resnetv2_18", 1, 2, 1, 1),
    "resnetv2_34d": short("resnetv2_34d", 1, 2, 1, 1),
    "resnetv2_50": short("resnetv2_50", 1, 2, 1, 1),
    "resnetv2_50t": short("resnetv2_50t", 1, 2, 1, 1),
    "resnetv2_50d_gn": short("resnetv2_50d_gn", 1, 2, 1, 1, least_spread=0.07),
    "resnetv2_50x1_bit": Case("resnetv2_50x1_bit", least_spread=0.07),
    "nf_resnet26": short("nf_resnet26", 1, 2, 1, 1, word="depths", least_spread=0.07),
    # timm ends in SkipInit's scalar
    "nf_resnet50": Case(
        "nf_resnet50", dict(depths=(1, 2, 1, 1), skip_init=True), dict(depths=(1, 2, 1, 1), skipinit=True), least_spread=0.07
    ),
    # dilation in place of strides, with a mean in the shortcut
    "resnet18d_8": Case("resnet18d", dict(depths=(1, 2, 1, 1), output_stride=8), dict(layers=(1, 2, 1, 1), output_stride=8)),
    "nf_seresnet26": short("nf_seresnet26", 1, 2, 1, 1, word="depths", least_spread=0.07),
    "densenet121": Case("densenet121"),
    "densenetblur121d": Case("densenetblur121d", dict(depths=(2, 3, 2, 2)), dict(block_config=(2, 3, 2, 2))),
    "densenet264d": Case("densenet264d", dict(depths=(2, 3, 2, 2)), dict(block_config=(2, 3, 2, 2))),
}
NAMES = tuple(CASES)
IMAGES = 3
STATISTICS = ("running_mean", "running_var")


def weight(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """The tensor of this name in PyTorch's layout: kernels of variance `2 / fan_in`, gammas around 1, betas around 0.

    The last gamma of a bottleneck is around 1/4. Around 1, resnet152 magnifies roundings until torchvision's own logits in float32 are
    4e-4 of the largest away from those in float64, and no test could ask for less; so they are 1e-5 away, while one variance in stage 3
    that is wrong by 1 % moves them by 4e-3.
    """
    noise = np.asarray(np.random.RandomState(zlib.crc32(key.encode())).random_sample(shape), "float32") * 2 - 1
    if key.endswith(".gain"):
        return 1 + noise / 2
    if len(shape) == 0:
        return np.asarray(1 + noise / 4)
    if len(shape) > 1:
        return noise * np.float32(math.sqrt(6 / math.prod(shape[1:])))
    if key.endswith(".bias"):
        return noise / 4
    return (1 + noise / 2) * np.float32(0.25 if key.endswith(".bn3.weight") else 1)


def images(seed: int, count: int, size: int) -> np.ndarray:
    """Pictures of large and small patches, channels last. White noise would not do: over a whole map its mean is always the same."""
    random = np.random.RandomState(seed)
    total = np.zeros((count, size, size, 3), "float32")
    for patches in (1, 2, 4, 9, size):
        place = np.arange(size) * patches // size
        total += (random.random_sample((count, patches, patches, 3)).astype("float32") * 2 - 1)[:, place][:, :, place]
    return total


def spread(logits: np.ndarray) -> float:
    """How far the logits of different images lie apart, in units of all logits' standard deviation."""
    return float(logits.std(axis=0).mean() / logits.std())
