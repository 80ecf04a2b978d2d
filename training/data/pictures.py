"""Pictures by their numbers, opened and cut when they are asked for, and passed over where they are damaged."""

import concurrent.futures
import math
import os
import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from keras_resnet_cli.pictures import read_picture

KINDS = ("bilinear", "bicubic")  # of interpolation


class Pictures:
    """Pictures of files by their indices, `(n, size, size, 3)` in uint8, opened by a pool of threads.

    With a seed each is a random part of the file's, mirrored or not, which depends on seed, epoch, index and time alone; else the middle.
    In the place of a picture that cannot be read comes the next that can, whose number `places` says. `unread` says which, and why, and
    `unopened` how many nobody has asked for yet, of which it is not known. Both are a part of checkpoints.

    JPEG files are decoded at their full size. At a fraction of it (Pillow's draft mode), as far as the part's size allows, 150 files of
    500 to 620 px took 0.70 of the CPU time for parts of 64 px, 0.82 for 160 and 0.98 for 224 (measured), but the pictures then differ, by
    5.2, 1.7 and 0.5 of 255 in the mean.

    Args:
        paths: of the files, or other names of the pictures.
        size: height and width in pixels.
        seed: `None` for the middles.
        area: least and largest share of the picture.
        ratio: least and largest width of a part over its height.
        flip: whether to mirror each second one.
        keep: side of the middle, of the shorter side.
        stop: whether a damaged file raises a `ValueError` instead.
        squeeze: whether pictures are taken for squares as long as their longer sides.
        interpolation: "bilinear" or "bicubic", or with a seed "random" for one of both, drawn for each picture as its part is.
        opened: gives Pillow's picture of a number, where they are no files.
    """

    def __init__(
        self,
        paths: Sequence[str],
        size: int,
        seed: int | None = None,
        area: tuple[float, ...] = (1.0, 1.0),
        ratio: tuple[float, ...] = (3 / 4, 4 / 3),
        flip: bool = False,
        keep: float = 1.0,
        stop: bool = False,
        squeeze: bool = False,
        interpolation: str = "bilinear",
        opened: Callable[[int], Any] | None = None,
    ):
        self.paths, self.size, self.seed, self.area, self.ratio = paths, size, seed, area, ratio
        self.flip, self.keep, self.stop, self.squeeze, self.interpolation = flip, keep, stop, squeeze, interpolation
        self.open = opened or (lambda index: read_picture(self.paths[index]))
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
        return self.repeated(indices, np.zeros(len(indices), int))

    def repeated(self, indices: np.ndarray, times: np.ndarray) -> np.ndarray:
        """The same where a picture comes more than once an epoch, as in repeated augmentation: of each time, from 0, another part."""
        return np.stack(list(self._pool.map(self._one, map(int, indices), map(int, times))))

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
        """Takes in what a state knows besides; raises a `ValueError` if it is one of another number of pictures."""
        if state.get("count") != len(self.paths):
            raise ValueError(f"The run was begun with {state.get('count')} pictures, and now there are {len(self.paths)}.")
        self._met[np.unpackbits(state["met"], count=len(self.paths)).astype(bool)] = True
        with self._lock:
            self.unread.update(state["unread"])

    def places(self, indices: np.ndarray) -> np.ndarray:
        """Which pictures came for these indices."""
        return np.array([self._instead.get(int(index), int(index)) for index in indices])

    def tried(self, indices: Iterable[int]) -> None:
        """Opens each of these once, so that `unread` has those which cannot be read."""
        for _ in self._pool.map(self._tried, indices):
            pass

    def part(self, indices: np.ndarray) -> "Pictures":
        """Those at `indices`; what could not be read so far stays known."""
        cut: tuple = (self.size, self.seed, self.area, self.ratio, self.flip, self.keep)
        settings = (*cut, self.stop, self.squeeze, self.interpolation)
        of = Pictures([self.paths[i] for i in indices], *settings, opened=lambda index: self.open(int(indices[index])))
        of.unread = self.unread
        return of

    def _one(self, index: int, time: int) -> np.ndarray:
        return self._cut(self._opened(index)[1], index, time)

    def _opened(self, index: int) -> tuple[int, Any]:
        for place in range(index, index + len(self.paths)):
            place %= len(self.paths)
            picture = self._tried(place)
            if picture is None:
                continue
            if place != index:
                self._instead[index] = place
            return place, picture
        raise ValueError(f"None of {len(self.paths)} pictures can be read; the first: {next(iter(self.unread.values()))}")

    def _tried(self, place: int) -> Any:
        """The picture, or `None` if it cannot be read."""
        path = self.paths[place]
        self._met[place] = True
        if path in self.unread:
            return None
        try:
            return self.open(place)
        except (ValueError, OSError) as error:
            if self.stop:
                raise ValueError(f"{error} It was not to be passed over (--stop-at-damaged).") from error
            with self._lock:
                self.unread[path] = " ".join(str(error).split())
            return None

    def _cut(self, picture: Any, index: int, time: int) -> np.ndarray:
        from PIL import Image

        if not hasattr(picture, "resize"):
            picture = Image.fromarray(np.asarray(picture))
        true_width, true_height = picture.size
        width, height = (max(picture.size),) * 2 if self.squeeze else picture.size
        wide, high = true_width / width, true_height / height

        def cut_to(box: tuple[float, float, float, float], kind: str, **settings: Any) -> np.ndarray:
            left, top, right, bottom = box
            box = (left * wide, top * high, right * wide, bottom * high)
            return np.asarray(picture.resize((self.size, self.size), Image.Resampling[kind.upper()], box, **settings))

        if self.seed is None:
            side = self.keep * min(width, height)
            box = ((width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2)
            return cut_to(box, self.interpolation)
        rng = np.random.default_rng((self.seed, self.epoch, index, time))
        box = _random_box(rng, width, height, self.area, self.ratio)
        mirrored = self.flip and rng.random() < 0.5
        kind = KINDS[rng.integers(len(KINDS))] if self.interpolation == "random" else self.interpolation
        cut = cut_to(box, kind, reducing_gap=2.0)
        return cut[:, ::-1] if mirrored else cut


def _random_box(
    rng: np.random.Generator, width: int, height: int, area: tuple[float, ...], ratio: tuple[float, ...]
) -> tuple[float, float, float, float]:
    """Of ten parts of random area and shape the first that fits, else the largest square in the middle."""
    for _ in range(10):
        pixels = rng.uniform(area[0], area[1]) * width * height
        shape = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        wide, high = round(math.sqrt(pixels * shape)), round(math.sqrt(pixels / shape))
        if 0 < wide <= width and 0 < high <= height:
            left, top = int(rng.integers(0, width - wide + 1)), int(rng.integers(0, height - high + 1))
            return left, top, left + wide, top + high
    side = min(width, height)
    return (width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2
