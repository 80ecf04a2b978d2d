"""Batches mixed with themselves: blended as in MixUp, or with boxes pasted as in CutMix, pictures and masks alike."""

from typing import Any

import numpy as np

from keras_resnet.layers.configured import check_count, check_number
from keras_resnet.learning.pair_shapes import check_ignored, check_labels, check_pair, generator
from keras_resnet.vision.host_arrays import as_host_array


def mix_up(
    images: Any, masks: Any, classes: int, alpha: float = 0.2, seed: Any = None, ignore_label: int = 255
) -> tuple[np.ndarray, np.ndarray]:
    """Blends each picture with another of its batch: `images, targets = mix_up(images, masks, classes=3)`.

    `lambda x_i + (1 - lambda) x_j`, and the same of the one-hot masks, `lambda` from Beta(alpha, alpha) for each picture. Since a pixel
    then has two labels, the masks come back as probabilities, for losses of those: `"categorical_crossentropy"`, Keras's `Dice`. A pixel
    that does not count in one of both pictures has only zeros, so that a cross-entropy counts it as 0.

    Args:
        images: `(n, height, width, channels)`, or with a depth.
        masks: whole labels, `(n, height, width)` or `(n, height, width, 1)`, or with a depth.
        classes: how many labels there are.
        alpha: above 0; the smaller, the more a picture remains itself.
        seed: integer, several, or `None` for another each time.
        ignore_label: label of the pixels that do not count.

    Returns:
        Images in float32, and `(n, height, width, classes)` in float32.

    Raises:
        ValueError: at arrays that are no batch of pairs, labels out of range and an argument outside what is listed.

    Source: Zhang et al. 2018, arXiv:1710.09412.
    """
    images, masks = _batch(images, masks)
    check_count("classes", classes)
    check_ignored(ignore_label)
    _, share, partner = _drawn(len(images), alpha, seed)
    labels = masks.reshape(images.shape[:-1])
    check_labels(labels, classes, ignore_label)
    targets = (labels[..., None] == np.arange(classes)).astype("float32")
    targets[labels == ignore_label] = 0
    counts = (labels != ignore_label) & (labels[partner] != ignore_label)
    share = share.astype("float32").reshape(-1, *(1,) * (images.ndim - 1))
    images = images.astype("float32", copy=False)
    targets = (share * targets + (1 - share) * targets[partner]) * counts[..., None]
    return share * images + (1 - share) * images[partner], targets


def cut_mix(images: Any, masks: Any, alpha: float = 1.0, seed: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Pastes a box of another picture of the batch into each, and its labels into the mask: `images, masks = cut_mix(images, masks)`.

    The box has `1 - lambda` of the volume, `lambda` from Beta(alpha, alpha) for each picture, and its middle anywhere: what of it is
    beyond the border is left out. Masks stay whole labels of their type.

    Args:
        images: `(n, height, width, channels)`, or with a depth.
        masks: whole labels, `(n, height, width)` or `(n, height, width, 1)`, or with a depth.
        alpha: above 0; at 1 boxes of every volume are alike likely.
        seed: integer, several, or `None` for another each time.

    Returns:
        New arrays of the shapes and types that came in.

    Raises:
        ValueError: at arrays that are no batch of pairs and an argument outside what is listed.

    Source: Yun et al. 2019, arXiv:1905.04899, section 3.2.
    """
    images, masks = _batch(images, masks)
    random, share, partner = _drawn(len(images), alpha, seed)
    sizes = np.array(images.shape[1:-1])
    new_images, new_masks = images.copy(), masks.copy()
    for i, j in enumerate(partner):
        half = sizes * (1 - share[i]) ** (1 / len(sizes)) / 2
        middle = random.uniform(0, sizes)
        low, high = np.rint(np.maximum(0, middle - half)).astype(int), np.rint(np.minimum(sizes, middle + half)).astype(int)
        box = tuple(map(slice, low, high))
        new_images[i][box], new_masks[i][box] = images[j][box], masks[j][box]
    return new_images, new_masks


def _batch(images: Any, masks: Any) -> tuple[np.ndarray, np.ndarray]:
    images, masks = as_host_array(images, "images"), as_host_array(masks, "masks")
    if images.ndim < 2 or masks.ndim < 2 or len(images) != len(masks) or not len(images):
        raise ValueError(
            "`images` and `masks` must be batches of as many pictures as masks, at least one. "
            f"Received: images {images.shape}, masks {masks.shape}."
        )
    check_pair(images[0], masks[0], where=", the first of the batch")
    return images, masks


def _drawn(count: int, alpha: float, seed: Any) -> tuple[np.random.Generator, np.ndarray, np.ndarray]:
    """Random numbers, and for each picture what share of it remains and with which other one it is mixed."""
    check_number("alpha", alpha, 0)
    if alpha == 0:
        raise ValueError("`alpha` must be above 0; to mix nothing, leave the call out. Received: alpha=0.")
    random = generator(seed)
    return random, random.beta(alpha, alpha, count), random.permutation(count)
