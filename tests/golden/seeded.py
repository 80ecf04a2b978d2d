"""Weights drawn from the names of their tensors, and images drawn from a number: no file of 240 MB stands behind a golden file.

`RandomState` and not `Generator`: NumPy promises that its stream never changes (NEP 19).
"""

import math
import pathlib
import zlib

import numpy as np

FOLDER = pathlib.Path(__file__).parent
NAMES = ("resnet18", "resnet26", "resnet50", "resnet152")
SIZES = (64, 75)  # pixels a side: even and odd at every stride of the network
IMAGES = 3
# Least spread of the logits between images (see `spread`). With statistics drawn at random, not taken from images, it is about 0.13
# for resnet18 and 0.03 for resnet152: almost all of a logit is then the same for any image, and a test would see little.
LEAST_SPREAD = 0.2
STATISTICS = ("running_mean", "running_var")


def weight(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """The tensor of this name in PyTorch's layout: kernels of variance `2 / fan_in`, gammas around 1, betas around 0.

    The last gamma of a bottleneck is around 1/4. Around 1, resnet152 magnifies roundings until torchvision's own logits in float32 are
    4e-4 of the largest away from those in float64, and no test could ask for less; so they are 1e-5 away, while one variance in stage 3
    that is wrong by 1 % moves them by 4e-3.
    """
    noise = np.random.RandomState(zlib.crc32(key.encode())).random_sample(shape).astype("float32") * 2 - 1
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
