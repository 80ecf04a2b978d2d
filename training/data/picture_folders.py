"""Pictures in one folder a class, found by name."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_resnet_cli.picture_folders import folders_in, pictures_below, printable
from training.data.dataset import Dataset, Part, split
from training.data.pictures import Pictures
from training.recipe import Augmentation, Data

HELD_BACK = ("test", "val", "validation")


def folder(path: pathlib.Path, data: Data, augmentation: Augmentation, seed: int, stop: bool = False, classes: int = 2) -> Dataset:
    """The pictures below `path/train` and `path/val` (or `test`), or below `path`, of which some are then held back to test on.

    Of `classes` there are so many at least.

    Raises:
        ValueError: if a class has no pictures, or there are not as many classes as the recipe says.
    """
    train = path / "train" if (path / "train").is_dir() else path
    back = next((path / name for name in HELD_BACK if train != path and (path / name).is_dir()), None)
    each = 2 if back is None else 1  # pictures of a class
    paths, labels, names = _listed(train, classes, each)
    check_classes(repr(str(train)), names, data)
    if back is None:
        kept, held = split(labels, data.held_back)
        test_paths, test_labels, paths, labels = [paths[i] for i in held], labels[held], [paths[i] for i in kept], labels[kept]
    else:
        test_paths, test_labels, test_names = _listed(back, classes, each)
        if test_names != names:
            raise ValueError(f"{str(back)!r} has other classes than {str(train)!r}: {sorted(set(names) ^ set(test_names))}.")
    learnt, tested = cut(paths, test_paths, data, augmentation, seed, stop)
    return Dataset(Part(learnt, labels), Part(tested, test_labels), names)


def cut(
    paths: Sequence[str],
    test_paths: Sequence[str],
    data: Data,
    augmentation: Augmentation,
    seed: int,
    stop: bool,
    opened: tuple[Any, Any] = (None, None),
) -> tuple[Pictures, Pictures]:
    """Random parts to learn from, and middles to test on, as the recipe says; see `Pictures`."""
    area = tuple(augmentation.crop_area) or (1.0, 1.0)
    cut: dict[str, Any] = dict(area=area, ratio=tuple(augmentation.crop_ratio), flip=augmentation.flip)
    shared: dict[str, Any] = dict(stop=stop, squeeze=data.squeeze)
    learnt = Pictures(paths, data.size, seed=seed, opened=opened[0], interpolation=data.interpolation, **cut, **shared)
    middle: dict[str, Any] = dict(keep=data.test_crop, interpolation=data.test_interpolation)
    return learnt, Pictures(test_paths, data.test_size or data.size, opened=opened[1], **middle, **shared)


def check_classes(where: str, names: list[str], data: Data) -> None:
    """Raises a `ValueError` unless a set of colour pictures of these classes is what the recipe is for."""
    if len(names) != data.classes:
        raise ValueError(f"{where} holds {len(names)} classes; the recipe is for {data.classes}. Set data.classes={len(names)}.")
    if data.channels != 3:
        raise ValueError(
            f"Pictures of a folder have 3 channels; the recipe is for {data.channels}. Set data.channels=3, data.mean and so on."
        )


def _listed(path: pathlib.Path, classes: int, each: int) -> tuple[list[str], np.ndarray, list[str]]:
    places = folders_in(path)
    if len(places) < classes:
        raise ValueError(f"{str(path)!r} must hold a folder of pictures for {classes} classes or more; it has {len(places)}.")
    paths: list[str] = []
    labels: list[int] = []
    for number, place in enumerate(places):
        found = pictures_below(place)
        if len(found) < each:
            raise ValueError(f"The class {place.name!r} in {str(path)!r} needs {each} pictures or more. It has {len(found)}.")
        paths += found
        labels += [number] * len(found)
    return paths, np.asarray(labels, "int32"), [printable(place.name) for place in places]
