"""What the golden files of the transformers share with those that read them: sizes, and weights drawn from names as in `seeded`."""

import zlib

import numpy as np

from tests.golden import seeded

# A network, what it is made smaller by, in our words and in timm's, and the least spread of its logits (see `seeded.spread`).
CASES: dict[str, tuple[dict, dict, float]] = {
    "vit_tiny_patch16_224": ({}, {}, 0.2),
    "vit_base_r50_s16_224": (dict(dim=192, depths=(2,), num_heads=3), dict(embed_dim=192, depth=2, num_heads=3), 0.07),
}
SIZES = ((224, 224), (160, 97))  # the published size, and one that needs other positions and padding, both unlike in height and width
IMAGES = 3
LOGITS_SEED = 2
TOKENS = ("cls_token", "pos_embed")


def weight(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """As `seeded.weight`, but positions and class token of a size that shows beside the patches."""
    if key in TOKENS:
        return np.random.RandomState(zlib.crc32(key.encode())).random_sample(shape).astype("float32") * 2 - 1
    return seeded.weight(key, shape)


def images(size: tuple[int, int]) -> np.ndarray:
    """The upper left part of the square pictures of `seeded`."""
    return seeded.images(LOGITS_SEED, IMAGES, max(size))[:, : size[0], : size[1]]


def name_of(size: tuple[int, int]) -> str:
    """Under which a file holds the logits for images of this size."""
    return f"logits{size[0]}x{size[1]}"
