"""From what a recipe and `--data` say to a data set: which reader it is."""

import dataclasses
import os
import pathlib
import struct
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from training.data import cifar, idx, made_up, picture_folders, tfds
from training.data.dataset import Dataset, of_arrays
from training.data.readable import only_readable
from training.fields import READ_OF_FILES
from training.recipe import Recipe
from training.recipes.small_pictures import CIFAR10, CIFAR100, DIGITS, FASHION

FASHION_PLACE = pathlib.Path("/usr/share/datasets/fashion-mnist")  # of Debian's package dataset-fashion-mnist
NAMED = {"digits": DIGITS, "fashion": FASHION, "cifar10": CIFAR10, "cifar100": CIFAR100}
FASHION_NAMES = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]
FASHION_LABELS = (9, 0, 0, 3, 0, 2, 7, 2, 5, 5)  # of its first pictures


def told(recipe: Recipe, where: str | None) -> Recipe:
    """The recipe for the set that `--data` names, where it names one: its size, channels, classes, mean and deviation."""
    if where not in NAMED or recipe.task == "segmentation" or NAMED[where].name == recipe.data.name:
        return recipe
    data, half = NAMED[where], 127.5
    if recipe.augmentation.crop_area:  # pictures are brought to the recipe's size anyway
        data = dataclasses.replace(data, size=recipe.data.size, test_size=recipe.data.test_size or recipe.data.size)
    if set(recipe.data.mean) == {half}:  # the network wants -1 to 1
        data = dataclasses.replace(data, mean=(half,) * data.channels, deviation=(half,) * data.channels)
    pad = min(recipe.augmentation.pad, max(1, data.size // 8))
    # What was published is of the recipe's own set.
    return dataclasses.replace(recipe, data=data, augmentation=dataclasses.replace(recipe.augmentation, pad=pad), published="")


def placed(where: str | None) -> str | None:
    """What `--data` says, for whoever goes on from another folder: a path from the root, names as they are."""
    scheme, path = ("tfds_folder:", where[12:]) if where and where.startswith("tfds_folder:") else ("", where)
    if path is None or (not scheme and (path in {*NAMED, "made_up", "tfds"} or path.startswith("tfds:"))):
        return where
    return scheme + os.path.abspath(os.path.expanduser(path))


def dataset(recipe: Recipe, where: str | None, stop: bool = False) -> Dataset:
    """The pictures and labels to learn from and, but for those that cannot be read, to test on; see `source`."""
    return only_readable(source(recipe, where, stop))


def check_read(found: Dataset, asked: Sequence[str]) -> Dataset:
    """The set itself; a `ValueError` if its pictures come as arrays and nobody would look at one of the fields that a user has set."""
    unread = [path for path in READ_OF_FILES if path in asked]
    if unread and isinstance(found.train.images, np.ndarray):
        raise ValueError(
            f"`{unread[0]}` counts where pictures are opened one by one, as of a folder, and these come as arrays. Leave it out."
        )
    return found


def source(recipe: Recipe, where: str | None, stop: bool = False) -> Dataset:
    """The pictures and labels to learn from and to test on, of which no file was opened.

    Args:
        recipe: whose `data` says what is meant.
        where: `--data`: a folder or file; "tfds", "tfds:NAME", "tfds_folder:PATH"; "digits", "fashion", "made_up"; `None`: where it
            usually is.
        stop: whether a picture that cannot be read ends the run.

    Raises:
        ValueError: if they are not there, damaged, or of other classes, channels or labels; one error that says what to do.
    """
    found = _found(recipe, where, stop)
    known = isinstance(found.train.images, np.ndarray)  # labels of records are those of the pictures that were opened
    if recipe.task == "classification" and known and len(np.unique(found.train.labels)) < 2:
        raise ValueError(f"--data {where} has pictures of one class alone. Learning needs two or more.")
    return found


def _found(recipe: Recipe, where: str | None, stop: bool) -> Dataset:
    data = recipe.data
    if where == "made_up":
        return of_arrays(made_up.pictures(data), data, "What was made up")
    if where == "digits" or (where is None and data.name == "digits"):
        return of_arrays(_digits(), data, "scikit-learn's set of digits")
    if where == "fashion" or (where is None and data.name == "fashion_mnist"):
        if FASHION_PLACE.is_dir():
            arrays = idx.folder(FASHION_PLACE) or {}
            return of_arrays(arrays, data, str(FASHION_PLACE), _names(arrays))
        if where == "fashion":
            raise ValueError(
                f"Fashion-MNIST is not at {FASHION_PLACE}. Install Debian's dataset-fashion-mnist, or pass its folder: --data FOLDER."
            )
    if where is None or where == "tfds" or where.startswith("tfds:") or where in NAMED:
        name = where[5:] if where is not None and where.startswith("tfds:") else data.name
        return tfds.dataset(name, recipe, stop)
    if where.startswith("tfds_folder:"):
        return tfds.folder(where[12:], recipe, stop)
    return _of_path(recipe, pathlib.Path(where).expanduser(), stop)


def _of_path(recipe: Recipe, path: pathlib.Path, stop: bool) -> Dataset:
    data, said = recipe.data, repr(str(path))
    if path.suffix.lower() == ".npz" and path.is_file():
        if not zipfile.is_zipfile(path):
            raise ValueError(f"{said} cannot be read as arrays of NumPy: it is no archive as np.savez writes them.")
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                loaded = dict(file)
        # An archive may be torn, encrypted, or packed in a way that is not known here.
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, struct.error) as error:
            raise ValueError(f"{said} cannot be read as arrays of NumPy ({error}).") from error
        return of_arrays(loaded, data, said)
    if not path.is_dir():
        raise ValueError(
            f"--data {said} is no folder, no .npz file and no name: digits, fashion, cifar10, cifar100, tfds, tfds:NAME, tfds_folder:PATH."
        )
    if not any(path.iterdir()):
        raise ValueError(f"--data {said} is an empty folder.")
    arrays = idx.folder(path) or cifar.folder(path)
    if arrays is not None:
        return of_arrays(arrays, data, said, _names(arrays))
    return picture_folders.folder(path, data, recipe.augmentation, recipe.seed, stop, 1 if recipe.task == "diffusion" else 2)


def _names(arrays: dict[str, Any]) -> list[str] | None:
    """Of Fashion-MNIST's classes, if it is that set: others come in files of the same names."""
    labels = arrays.get("train_labels", np.empty(0))
    return FASHION_NAMES if len(labels) == 60_000 and tuple(labels[:10]) == FASHION_LABELS else None


def _digits() -> dict[str, Any]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ValueError(f"The digits come with scikit-learn, which is not installed: `pip install scikit-learn` ({error}).") from error
    found = load_digits()
    return {"train_images": np.round(found.images * (255 / 16)).astype("uint8"), "train_labels": found.target}
