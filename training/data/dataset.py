"""What every source of pictures gives: a part to learn from and one to test on."""

import dataclasses
from typing import Any

import numpy as np

from training.recipe import Data


@dataclasses.dataclass(frozen=True)
class Part:
    """Pictures `(n, height, width, channels)`, uint8, or what gives some for an array of indices; the number of each one's class."""

    images: Any
    labels: np.ndarray


@dataclasses.dataclass(frozen=True)
class Dataset:
    """What to learn from, what to test on, and the names of the classes in order."""

    train: Part
    test: Part
    names: list[str]


def of_arrays(found: dict[str, Any], data: Data, where: str, names: list[str] | None = None) -> Dataset:
    """Checks arrays `train_images`, `train_labels` and, if there are some, `test_images`, `test_labels`.

    Names of classes are taken where there is one for each of the recipe's; else their numbers stand for them.

    Raises:
        ValueError: unless they are pictures and labels of the recipe's channels and classes, with what to do.
    """
    if "test_images" not in found and "test_labels" not in found:
        found = {**found, **_held_back(found, data.held_back, where)}
    train, test = (_part(found, name, data, where) for name in ("train", "test"))
    names = names if names is not None and len(names) == data.classes else [str(number) for number in range(data.classes)]
    return Dataset(train, test, names)


def split(labels: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Places to learn from and to test on: always the same, of each class alike."""
    rng = np.random.default_rng(0)
    back = np.zeros(len(labels), bool)
    for number in np.unique(labels):
        places = rng.permutation(np.flatnonzero(labels == number))
        back[places[: min(max(1, round(share * len(places))), len(places) - 1)]] = True
    return np.flatnonzero(~back), np.flatnonzero(back)


def _held_back(found: dict[str, Any], share: float, where: str) -> dict[str, np.ndarray]:
    missing = {"train_images", "train_labels"} - set(found)
    if missing:
        raise ValueError(
            f"{where} lacks {', '.join(sorted(missing))}; it has {', '.join(sorted(found)) or 'nothing'}. "
            "Pictures to test on are test_images and test_labels; without these some are held back."
        )
    images, labels = np.asarray(found["train_images"]), _labels(found, "train", where)
    if len(images) != len(labels) or not len(images):
        raise ValueError(f"{where} must have as many labels as pictures, and some. It has {len(images)} and {len(labels)}.")
    kept, back = split(labels, share)
    return {"train_images": images[kept], "train_labels": labels[kept], "test_images": images[back], "test_labels": labels[back]}


def _labels(found: dict[str, Any], name: str, where: str) -> np.ndarray:
    if f"{name}_labels" not in found:
        raise ValueError(f"{where} has {name}_images, and no {name}_labels to them.")
    labels = np.atleast_1d(found[f"{name}_labels"])
    if labels.dtype.kind not in "iu" or labels.size != len(labels):
        raise ValueError(f"{where} must have a whole number a picture in {name}_labels. It has {labels.shape} in {labels.dtype}.")
    return labels.reshape(-1)


def _part(found: dict[str, Any], name: str, data: Data, where: str) -> Part:
    if f"{name}_images" not in found:
        raise ValueError(f"{where} has {name}_labels, and no {name}_images to them.")
    images, labels = np.asarray(found[f"{name}_images"]), _labels(found, name, where)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.dtype != np.uint8 or not all(images.shape[1:]):
        raise ValueError(f"{where} must have pictures (n, height, width, channels) in uint8. It has {images.shape} in {images.dtype}.")
    if len(images) != len(labels) or not len(images):
        raise ValueError(f"{where} must have as many labels as pictures, and some. It has {len(images)} and {len(labels)} to {name}.")
    if images.shape[-1] != data.channels:
        raise ValueError(
            f"{where} has pictures of {images.shape[-1]} channels; the recipe is for {data.channels}. "
            f"Set data.channels={images.shape[-1]}, and as many numbers for data.mean and data.deviation."
        )
    if labels.min() < 0 or labels.max() >= data.classes:
        raise ValueError(
            f"{where} has labels from {labels.min()} to {labels.max()} in {labels.dtype}; those of {data.classes} classes are whole, "
            f"from 0 to {data.classes - 1}. Set data.classes, or look at the file."
        )
    return Part(images, labels.astype("int32"))
