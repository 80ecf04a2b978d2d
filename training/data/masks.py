"""Pictures with masks in folders, and of those the ones that can be read."""

import concurrent.futures
import json
import os
import pathlib
from typing import Any

import numpy as np

from keras_resnet import learning
from keras_resnet.learning.pairs import UnreadableError
from keras_resnet_cli.picture_folders import is_picture
from training.data import made_up
from training.recipe import Data

UNCOUNTED = 255  # the label of pixels that do not count


def files(data: Data, where: str | None) -> dict[str, list]:
    """Pictures and masks to learn from and to test on.

    Raises:
        ValueError: unless `where` is a folder with `images` and `masks`, files of equal names.
    """
    if where == "made_up":
        return made_up.masks(data)
    path = pathlib.Path(where or "")
    if where is None or not (path / "images").is_dir() or not (path / "masks").is_dir():
        raise ValueError(f"Masks are learnt from --data FOLDER that has the folders images and masks. Received: --data {where}.")
    images, masks = (_by_name(path / kind) for kind in ("images", "masks"))
    if images.keys() != masks.keys() or len(images) < 2:
        odd = sorted(images.keys() ^ masks.keys())[:5]
        raise ValueError(f"{str(path)!r} needs two pictures or more, and a mask of the same name for each. Without the other: {odd}.")
    names = [str(name) for name in np.random.default_rng(0).permutation(sorted(images))]
    back = min(max(1, round(data.held_back * len(names))), len(names) - 1)
    parts = (("train", names[back:]), ("test", names[:back]))
    kinds = (("images", images), ("labels", masks))
    return {f"{part}_{kind}": [by_name[name] for name in chosen] for part, chosen in parts for kind, by_name in kinds}


def _by_name(folder: pathlib.Path) -> dict[str, str]:
    """The paths of a folder's pictures by their names without the ending."""
    found: dict[str, str] = {}
    for file in sorted(folder.iterdir()):
        if is_picture(file.name):
            if file.stem in found:
                raise ValueError(
                    f"Pictures and masks belong together by their names, so one of these has to go: {found[file.stem]}, {file}."
                )
            found[file.stem] = str(file)
    return found


def only_readable(found: dict[str, list], data: Data, stop: bool, replicas: learning.Replicas) -> tuple[dict[str, list], dict[str, str]]:
    """The pairs of which both files can be read, and why others cannot be, by their paths.

    Each is opened once, before anything is written, and by one process: of several each opens its part.

    Raises:
        ValueError: with `stop` at files that cannot be read, else where none can be; at pictures of other channels or labels than the
            recipe's, and where all that is learnt from is background.
    """
    number, parts = replicas.part
    own = replicas.of_all(lambda: {part: _tried(found, part, number, parts, data) for part in ("train", "test")})
    said = [json.loads(one) for one in replicas.gathered(json.dumps(own).encode())]
    unread = {path: reason for one in said for part in one.values() for path, reason in part["unread"].items()}
    _check(unread, {label for one in said for label in one["train"]["labels"]}, stop)
    kept = {}
    for part in ("train", "test"):
        pairs = list(zip(found[f"{part}_images"], found[f"{part}_labels"], strict=True))
        pairs = [pair for pair in pairs if not any(isinstance(one, str) and one in unread for one in pair)]
        if not pairs:
            raise ValueError(f"None of the pictures to {part} on can be read with its mask; the first: {next(iter(unread.items()))}.")
        kept[f"{part}_images"], kept[f"{part}_labels"] = map(list, zip(*pairs, strict=True))
    return kept, unread


def _check(unread: dict[str, str], learnt: set[int], stop: bool) -> None:
    if unread and stop:
        raise ValueError(
            f"{len(unread)} files cannot be read, and were not to be passed over (--stop-at-damaged): "
            + "; ".join(f"{path} ({reason})" for path, reason in unread.items())
        )
    if learnt <= {0, UNCOUNTED} and learnt:
        raise ValueError(
            f"The masks to learn from show the labels {sorted(learnt)} alone: background, and {UNCOUNTED} where pixels do not count. "
            "What is to be found has the labels 1, 2, ...; in black-and-white masks write 1 in the place of 255."
        )


def _tried(found: dict[str, list], part: str, number: int, parts: int, data: Data) -> dict[str, Any]:
    """All labels that masks of one process's share show, and its files that cannot be read."""
    pairs = list(zip(found[f"{part}_images"], found[f"{part}_labels"], strict=True))[number::parts]
    unread: dict[str, str] = {}

    def labels(pair: tuple[Any, Any]) -> list[int]:
        try:
            one = learning.Pairs([pair[0]], [pair[1]], lambda image, mask, seed: checked(image, mask, data), 1, classes=data.classes)
            return np.flatnonzero(np.bincount(one[0][1].ravel())).tolist()
        except UnreadableError as error:
            unread[error.path] = error.reason
            return []

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return {"labels": sorted(set().union(*pool.map(labels, pairs))), "unread": unread}


def checked(image: np.ndarray, mask: Any, data: Data) -> tuple[np.ndarray, Any]:
    """The pair as it is; raises a `ValueError` where the recipe is for other channels. Grey pictures are the same in each."""
    if image.shape[-1] not in (1, data.channels):
        raise ValueError(
            f"`data.channels` is {data.channels}, and there is a picture of {image.shape[-1]}. Pass --set data.channels="
            f"{image.shape[-1]}, and as many numbers by data.mean and data.deviation."
        )
    return image, mask
