"""What counts as a picture with its mask, and the one error where two arrays are none."""

from typing import Any

import numpy as np

from keras_resnet.layers.configured import is_count


def check_pair(image: np.ndarray, mask: np.ndarray, where: str = "") -> None:
    """Raises unless these are a picture `(h, w, channels)` or volume `(d, h, w, channels)` and whole labels of the same sizes.

    Args:
        image: numbers.
        mask: integers or booleans, `(h, w)`, `(h, w, 1)` or with a depth.
        where: what is said of the pair, such as `" of pair 3"`.
    """
    received = f"Received: image {image.shape} {image.dtype}, mask {mask.shape} {mask.dtype}{where}."
    if image.ndim not in (3, 4) or 0 in image.shape or image.dtype.kind not in "uifb":
        hint = " For a grey picture pass image[..., None]." if image.ndim == 2 else ""
        raise ValueError(
            f"`image` must hold numbers in the shape (height, width, channels) or (depth, height, width, channels). {received}{hint}"
        )
    if mask.shape[: image.ndim - 1] != image.shape[:-1] or mask.ndim > image.ndim or mask.shape[image.ndim - 1 :] not in ((), (1,)):
        hint = ""
        if mask.shape[:-1] == image.shape[:-1]:
            hint = " Of one-hot masks pass mask.argmax(axis=-1), and of masks in colours what label each colour is."
        if mask.shape == image.shape:
            hint += " Of a picture without channels pass image[..., None]."
        raise ValueError(f"`mask` must hold one whole label for each pixel, in its image's sizes {image.shape[:-1]}. {received}{hint}")
    if mask.dtype.kind not in "uib":
        raise ValueError(
            f"`mask` must hold integers or booleans; whole numbers held as floats are cast by mask.astype('uint8'). {received}"
        )


def check_ignored(ignore_label: Any) -> None:
    """Raises unless it is a whole number."""
    if isinstance(ignore_label, bool) or not hasattr(ignore_label, "__index__"):
        raise ValueError(f"`ignore_label` must be an integer. Received: ignore_label={ignore_label!r}.")


def check_fits(name: str, label: int, mask: np.ndarray) -> None:
    """Raises if the mask's type cannot hold the label that the option `name` gives to pixels outside the picture."""
    least, most = (0, 1) if mask.dtype.kind == "b" else (np.iinfo(mask.dtype).min, np.iinfo(mask.dtype).max)
    if not least <= label <= most:
        raise ValueError(
            f"`{name}` must fit into the mask's type, since pixels outside the picture get it. "
            f"Received: {name}={label}, mask of {mask.dtype}; pass mask.astype('uint8') or another label."
        )


def generator(seed: Any) -> np.random.Generator:
    """Random numbers of their own: the same for the same `seed`, an integer or several; for `None` new ones in every process.

    Raises:
        ValueError: at another seed.
    """
    if seed is None:
        return np.random.default_rng()
    numbers = np.ravel(seed)
    if not len(numbers) or not all(number == 0 or is_count(number) for number in numbers):
        raise ValueError(f"`seed` must be an integer from 0, several of them, or None. Received: seed={seed!r}.")
    return np.random.default_rng([int(number) for number in numbers])


def check_labels(mask: np.ndarray, classes: int, ignore_label: int, where: str = "") -> None:
    """Raises at a label that is none of `classes`, nor `ignore_label`."""
    wrong = (mask < 0) | (mask >= classes)
    wrong &= mask != ignore_label
    if wrong.any():
        raise ValueError(
            f"Masks hold labels from 0 to {classes - 1}, and {ignore_label} where pixels do not count. "
            f"Received: {np.unique(mask[wrong])[:5].tolist()}{where}."
        )
