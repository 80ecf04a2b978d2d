"""Pictures in one folder a class, or of tensorflow-datasets: found, checked, split, and read batch by batch."""

import dataclasses
import os
import pathlib
import textwrap
from typing import Any

import keras
import numpy as np

from keras_resnet_cli.picture_folders import folders_in, pictures_below, printable
from keras_resnet_cli.pictures import open_picture


@dataclasses.dataclass(frozen=True)
class Labelled:
    """Paths of pictures, the number of each one's class, and the names of the classes."""

    paths: list[str]
    labels: np.ndarray
    classes: list[str]

    def part(self, places: np.ndarray) -> "Labelled":
        """Those at `places`."""
        return Labelled([self.paths[i] for i in places], self.labels[places], self.classes)


def find(folder: pathlib.Path) -> tuple[Labelled, list[str]]:
    """The pictures below `folder`, each class in a folder of its name, and one line for each that cannot be read.

    Every picture is opened once, so that a damaged one is known before hours of training and not in them.
    """
    if not folder.is_dir():
        raise SystemExit(f"error: {str(folder)!r} is no folder. Pass one that holds a folder of pictures for each class.")
    places = folders_in(folder)
    if len(places) < 2:
        raise SystemExit(f"error: {str(folder)!r} must hold a folder of pictures for each of two classes or more; it has {len(places)}.")
    paths: list[str] = []
    labels: list[int] = []
    unread: list[str] = []
    for number, place in enumerate(places):
        for path in pictures_below(place):
            try:
                open_picture(path)
            except (ValueError, OSError) as error:
                unread.append(one_line(error))
                continue
            paths.append(path)
            labels.append(number)
        if labels.count(number) < 2:
            reason = f" ({unread[-1]})" if unread else ""
            raise SystemExit(
                f"error: the class {place.name!r} needs two pictures that can be read, one to learn from and one to hold back; "
                f"it has {labels.count(number)}.{reason}"
            )
    return Labelled(paths, np.asarray(labels), [printable(place.name) for place in places]), unread


def from_tfds(name: str, folder: pathlib.Path) -> pathlib.Path:
    """Writes the pictures of a data set of tensorflow-datasets below `folder`, as `find` takes them."""
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise SystemExit(
            f"error: tfds:{name} needs tensorflow-datasets: `pip install tensorflow-datasets tensorflow` ({error})."
        ) from error
    from PIL import Image

    try:
        dataset, info = tfds.load(name, split="all", with_info=True)
        label = info.features["label"]
        for number, example in enumerate(tfds.as_numpy(dataset)):
            place = folder / label.int2str(int(example["label"])).replace(os.sep, "_")
            place.mkdir(exist_ok=True)
            Image.fromarray(np.squeeze(example["image"])).save(place / f"{number:08d}.png")
    except Exception as error:  # of downloading, of preparing, or of a data set without pictures and labels
        raise SystemExit(f"error: tfds:{name} cannot be read as labelled pictures ({one_line(error)}).") from error
    return folder


def split(found: Labelled, share: float, seed: int) -> tuple[Labelled, Labelled]:
    """What is learnt from and what is held back: `share` of each class, at least one picture of it and never all."""
    rng = np.random.default_rng(seed)
    back: list[int] = []
    for number in range(len(found.classes)):
        places = rng.permutation(np.flatnonzero(found.labels == number))
        back += places[: min(max(1, round(share * len(places))), len(places) - 1)].tolist()
    held = np.zeros(len(found.labels), bool)
    held[back] = True
    return found.part(np.flatnonzero(~held)), found.part(np.flatnonzero(held))


class Batches(keras.utils.PyDataset):
    """Batches of pictures as the network takes them, opened when they are asked for.

    With a `seed` they are shuffled each epoch and changed at random, and only full batches are given: another size would be compiled anew.
    """

    def __init__(self, found: Labelled, prepare: Any, batch: int, size: tuple[int, int], seed: int | None = None):
        super().__init__()
        self.found, self.prepare, self.size = found, prepare, size
        self.batch = min(batch, len(found.paths))
        self.order = np.arange(len(found.paths))
        self.rng = None if seed is None else np.random.default_rng(seed)
        if self.rng is not None:
            layers = keras.layers
            settings: dict[str, Any] = dict(fill_mode="reflect", data_format="channels_last")
            self.changes = [
                layers.RandomFlip("horizontal", seed=seed, data_format="channels_last"),
                layers.RandomZoom((-0.3, 0.0), seed=seed, **settings),
                layers.RandomTranslation(0.08, 0.08, seed=seed, **settings),
                layers.CenterCrop(*size, data_format="channels_last"),
            ]
            self.on_epoch_end()

    def __len__(self) -> int:
        count = len(self.order)
        return count // self.batch if self.rng is not None else -(-count // self.batch)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        places = self.order[index * self.batch : (index + 1) * self.batch]
        images = self.prepare([open_picture(self.found.paths[i]) for i in places])
        if self.rng is not None:
            for change in self.changes:
                images = change(images, training=True)
        return keras.ops.convert_to_numpy(images), self.found.labels[places]

    def on_epoch_end(self) -> None:
        if self.rng is not None:
            self.rng.shuffle(self.order)


def one_line(error: BaseException) -> str:
    """What an error says, on one line."""
    return textwrap.shorten(" ".join(str(error).split()) or type(error).__name__, 400, placeholder=" ...")
