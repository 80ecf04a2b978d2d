"""Pictures in one folder a class: found by name, opened when they are asked for, and passed over where they are damaged."""

import concurrent.futures
import math
import os
import pathlib
import threading
import warnings
from typing import Any

import numpy as np

from keras_resnet_cli.pictures import read_picture
from training.data.dataset import Dataset, Part, split
from training.recipe import Augmentation, Data

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
HELD_BACK = ("test", "val", "validation")


def folder(path: pathlib.Path, data: Data, augmentation: Augmentation, seed: int, stop: bool = False) -> Dataset:
    """The pictures below `path/train` and `path/val` (or `test`), or below `path`, of which some are then held back to test on.

    Raises:
        ValueError: if a class has no pictures, or there are not as many classes as the recipe says.
    """
    train = path / "train" if (path / "train").is_dir() else path
    back = next((path / name for name in HELD_BACK if train != path and (path / name).is_dir()), None)
    paths, labels, names = _listed(train)
    if len(names) != data.classes:
        raise ValueError(f"{str(train)!r} holds {len(names)} classes; the recipe is for {data.classes}. Set data.classes={len(names)}.")
    if data.channels != 3:
        raise ValueError(
            f"Pictures of a folder have 3 channels; the recipe is for {data.channels}. Set data.channels=3, data.mean and so on."
        )
    if back is None:
        kept, held = split(labels, data.held_back)
        test_paths, test_labels, paths, labels = [paths[i] for i in held], labels[held], [paths[i] for i in kept], labels[kept]
    else:
        test_paths, test_labels, test_names = _listed(back)
        if test_names != names:
            raise ValueError(f"{str(back)!r} has other classes than {str(train)!r}: {sorted(set(names) ^ set(test_names))}.")
    cut = tuple(augmentation.crop_area) or (1.0, 1.0)
    learnt = Pictures(paths, data.size, seed=seed, area=cut, flip=augmentation.flip, stop=stop)
    tested = Pictures(test_paths, data.test_size or data.size, keep=data.test_crop, stop=stop)
    readable = tested.readable()
    return Dataset(Part(learnt, labels), Part(tested.part(readable), test_labels[readable]), names)


class Pictures:
    """Pictures of files by their indices, `(n, size, size, 3)` in uint8, opened by a pool of threads.

    With a seed each is a random part of the file's, mirrored or not, which depends on seed, epoch and index alone; without one the middle.
    In the place of a picture that cannot be read comes the next that can, whose number `places` says. `unread` says which, and why, and
    `unopened` how many nobody has asked for yet, of which it is not known. Both are a part of checkpoints.

    Args:
        paths: of the files.
        size: height and width in pixels.
        seed: `None` for the middles.
        area: least and largest share of the picture.
        flip: whether to mirror each second one.
        keep: side of the middle, of the shorter side.
        stop: whether a damaged file raises a `ValueError` instead.
    """

    def __init__(
        self,
        paths: list[str],
        size: int,
        seed: int | None = None,
        area: tuple[float, ...] = (1.0, 1.0),
        flip: bool = False,
        keep: float = 1.0,
        stop: bool = False,
    ):
        self.paths, self.size, self.seed, self.area, self.flip, self.keep, self.stop = paths, size, seed, area, flip, keep, stop
        self.epoch = 0
        self.unread: dict[str, str] = {}
        self._met = np.zeros(len(paths), bool)
        self._instead: dict[int, int] = {}
        self._lock = threading.Lock()
        # Each of Pillow's, at odd pictures, and not for the length of a call: there are threads.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        self._pool = concurrent.futures.ThreadPoolExecutor(min(32, os.cpu_count() or 1))  # Pillow decodes without Python's lock

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        seen: dict[int, int] = {}
        jobs = []
        for index in map(int, indices):
            seen[index] = seen.get(index, -1) + 1  # repeated augmentation: another part each time
            jobs.append((index, seen[index]))
        return np.stack(list(self._pool.map(lambda job: self._one(*job), jobs)))

    def go_to(self, epoch: int) -> None:
        """Makes the random parts those of this epoch."""
        self.epoch = epoch

    @property
    def unopened(self) -> int:
        """How many pictures nobody has asked for yet."""
        return int(len(self.paths) - self._met.sum())

    def state(self) -> dict:
        """Which were asked for, and which of them could not be read."""
        with self._lock:
            return {"count": len(self.paths), "unread": dict(self.unread), "met": np.packbits(self._met)}

    def set_state(self, state: dict) -> None:
        """Goes on from a state; raises a `ValueError` if it is one of another number of pictures."""
        if state.get("count") != len(self.paths):
            raise ValueError(f"The run was begun with {state.get('count')} pictures, and now there are {len(self.paths)}.")
        self._met |= np.unpackbits(state["met"], count=len(self.paths)).astype(bool)
        with self._lock:
            self.unread.update(state["unread"])

    def places(self, indices: np.ndarray) -> np.ndarray:
        """Which pictures came for these indices."""
        return np.array([self._instead.get(int(index), int(index)) for index in indices])

    def readable(self) -> np.ndarray:
        """The indices of those that can be read, each opened once: in a test no other picture may stand in."""
        places = list(self._pool.map(lambda index: self._opened(index)[0], range(len(self))))
        return np.array([index for index, place in enumerate(places) if place == index])

    def part(self, indices: np.ndarray) -> "Pictures":
        """Those at `indices`; what could not be read so far stays known."""
        of = Pictures([self.paths[i] for i in indices], self.size, self.seed, self.area, self.flip, self.keep, self.stop)
        of.unread = self.unread
        return of

    def _one(self, index: int, time: int) -> np.ndarray:
        return self._cut(self._opened(index)[1], index, time)

    def _opened(self, index: int) -> tuple[int, Any]:
        for place in range(index, index + len(self.paths)):
            place %= len(self.paths)
            path = self.paths[place]
            self._met[place] = True
            if path in self.unread:
                continue
            try:
                picture = read_picture(path)
            except (ValueError, OSError) as error:
                if self.stop:
                    raise ValueError(f"{error} It was not to be passed over (--stop-at-damaged).") from error
                with self._lock:
                    self.unread[path] = " ".join(str(error).split())
                continue
            if place != index:
                self._instead[index] = place
            return place, picture
        raise ValueError(f"None of {len(self.paths)} pictures can be read; the first: {next(iter(self.unread.values()))}")

    def _cut(self, picture: Any, index: int, time: int) -> np.ndarray:
        from PIL import Image

        if not hasattr(picture, "resize"):
            picture = Image.fromarray(np.asarray(picture))
        width, height = picture.size
        if self.seed is None:
            side = self.keep * min(width, height)
            box = ((width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2)
            return np.asarray(picture.resize((self.size, self.size), Image.Resampling.BILINEAR, box))
        rng = np.random.default_rng((self.seed, self.epoch, index, time))
        box = _random_box(rng, width, height, self.area)
        cut = np.asarray(picture.resize((self.size, self.size), Image.Resampling.BILINEAR, box, reducing_gap=2.0))
        return cut[:, ::-1] if self.flip and rng.random() < 0.5 else cut


def _random_box(rng: np.random.Generator, width: int, height: int, area: tuple[float, ...]) -> tuple[float, float, float, float]:
    """Of ten parts of random area and shape the first that fits, else the largest square in the middle."""
    for _ in range(10):
        pixels = rng.uniform(area[0], area[1]) * width * height
        ratio = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        wide, high = round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))
        if 0 < wide <= width and 0 < high <= height:
            left, top = int(rng.integers(0, width - wide + 1)), int(rng.integers(0, height - high + 1))
            return left, top, left + wide, top + high
    side = min(width, height)
    return (width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2


def _listed(path: pathlib.Path) -> tuple[list[str], np.ndarray, list[str]]:
    names = sorted(place.name for place in path.iterdir() if place.is_dir() and not place.name.startswith("."))
    if len(names) < 2:
        raise ValueError(f"{str(path)!r} must hold a folder of pictures for each of two classes or more; it has {len(names)}.")
    paths: list[str] = []
    labels: list[int] = []
    for number, name in enumerate(names):
        found = sorted(str(place) for place in (path / name).rglob("*") if place.suffix.lower() in SUFFIXES and place.name[0] != ".")
        if len(found) < 2:
            raise ValueError(f"The class {name!r} in {str(path)!r} needs two pictures or more. It has {len(found)}.")
        paths += found
        labels += [number] * len(found)
    return paths, np.asarray(labels, "int32"), names
