"""Pictures and their masks, from memory or from files, as batches for `model.fit`."""

import concurrent.futures
import functools
import operator
import os
import pathlib
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from keras_resnet.layers.configured import check_count, check_flag, check_place
from keras_resnet.learning.counted_epochs import CountedEpochs
from keras_resnet.learning.pair_shapes import check_ignored, check_labels, check_pair, generator
from keras_resnet.learning.parts_of_batches import checked_part, empty_last, part_of
from keras_resnet.vision import pillow_pictures
from keras_resnet.vision.host_arrays import as_host_array

NARROW = {"float64": "float32", "uint16": "int32", "uint32": "int32", "int64": "int32", "bool": "uint8"}  # what every backend takes
NAME = "keras_resnet pairs"  # of threads


class Pairs(CountedEpochs):
    """Batches of pictures with their masks, augmented anew each epoch: `model.fit(Pairs(images, masks, augment))`.

    ```python
    augment = keras_resnet.learning.PairAugmentation(crop=256, foreground=0.33, flip=True, scale=(0.7, 1.4))
    training = keras_resnet.learning.Pairs(sorted(glob("images/*.png")), sorted(glob("masks/*.png")), augment, batch_size=8, repeats=20)
    model.fit(training, epochs=10)
    ```

    What comes out depends on `seed`, the epoch and the pair alone, not on how many workers there are. The pairs of a batch are read and
    augmented by a pool of threads.

    Args:
        images: pictures, `(height, width, channels)`, volumes, or paths of pictures: a list, or an array of equal ones.
        masks: as many masks with whole labels, `(height, width)` or `(height, width, 1)`, or paths of pictures of one channel, grey or
            with a palette, whose indices are the labels. `True` of boolean masks and of black-and-white files is 1.
        augment: function of an image, a mask and `seed=`, such as a `PairAugmentation`; with a crop pictures may differ in size; without
            one in batches of one picture, which TensorFlow takes from `distribute().testing(pairs)`.
        batch_size: pairs in a batch; the last one may have fewer.
        mix: function of a batch of images, its masks and `seed=`, such as `cut_mix`, or `functools.partial(mix_up, classes=3)`.
        repeats: how often an epoch comes by each picture, each time with another augmentation.
        shuffle: whether each epoch has another order.
        seed: integer that everything random comes from.
        classes: number of labels, to check masks against; `None` checks nothing.
        ignore_label: label that may appear besides.
        part: `(number, parts)`: of each batch the one of so many equal parts, in order, that this has; see `distribute`.
        **kwargs: `workers`, `use_multiprocessing` and `max_queue_size` of `keras.utils.PyDataset`.

    Images and masks keep their type, but for those that not every backend has: float64 becomes float32, integers of 64 bits and unsigned
    ones above 8 become int32, booleans uint8.

    Raises:
        ValueError: at a set that is empty, at a pair whose sizes differ, at what are no pictures and masks, and at labels out of range,
            with the number of the pair, and its file.
    """

    def __init__(
        self,
        images: Sequence[Any],
        masks: Sequence[Any],
        augment: Callable | None = None,
        batch_size: int = 8,
        mix: Callable | None = None,
        repeats: int = 1,
        shuffle: bool = True,
        seed: int = 0,
        classes: int | None = None,
        ignore_label: int = 255,
        part: tuple[int, int] = (0, 1),
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        for name, values in (("images", images), ("masks", masks)):
            if isinstance(values, (str, os.PathLike)) or not hasattr(values, "__len__") or not hasattr(values, "__getitem__"):
                raise ValueError(f"`{name}` must be a list of arrays or of paths, or an array. Received: {name}={values!r}.")
        if len(images) != len(masks) or not len(images):
            raise ValueError(f"Pass as many masks as images, at least one. Received: {len(images)} images, {len(masks)} masks.")
        check_count("batch_size", batch_size)
        check_count("repeats", repeats)
        check_flag("shuffle", shuffle)
        if classes is not None:
            check_count("classes", classes)
        for name, function in (("augment", augment), ("mix", mix)):
            if function is not None and not callable(function):
                raise ValueError(f"`{name}` must be a function, or None. Received: {name}={function!r}.")
        check_ignored(ignore_label)
        generator(seed)
        self.part = checked_part(part)
        self.images, self.masks, self.augment, self.mix = images, masks, augment, mix
        self.batch_size, self.repeats, self.shuffle = operator.index(batch_size), operator.index(repeats), bool(shuffle)
        self.seed, self.classes, self.ignore_label, self.epoch = seed, classes, ignore_label, 0
        shapes = set()
        for i in range(len(images)):
            sizes = [_sizes(values[i], name, i) for name, values in (("images", images), ("masks", masks))]
            if sizes[0][:2] != sizes[1][:2]:
                raise ValueError(f"A mask must have the sizes of its image. Received: image {sizes[0]}, mask {sizes[1]}{self._where(i)}.")
            shapes.add(sizes[0][: max(2, len(sizes[0]) - 1)])
        self.any_size = len(shapes) > 1 and getattr(augment, "crop", None) is None  # whether batches may differ in size
        self._order = self._shuffled()

    def __len__(self) -> int:
        count = len(self.images) * self.repeats
        return -(-count // self.batch_size) - empty_last(count, self.batch_size, False, self.part)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        self._count(index)
        places = part_of(self._order[index * self.batch_size : (index + 1) * self.batch_size], self.part)
        if not 0 <= index < len(self):
            raise IndexError(f"There are {len(self)} batches. Received: index={index}.")
        pairs = list(_each(self._pair, map(int, places)))
        for place, pair in zip(places, pairs, strict=True):
            for name, value, first in zip(("images", "masks"), pair, pairs[0], strict=True):
                if value.shape != first.shape:
                    raise ValueError(
                        f"All {name} of a batch must have one shape; a `PairAugmentation` with `crop` cuts them so. Received: {first.shape}"
                        f"{self._where(int(places[0]) // self.repeats)}, {value.shape}{self._where(int(place) // self.repeats)}."
                    )
        images, masks = (np.stack(values) for values in zip(*pairs, strict=True))
        if self.mix is not None:
            # Seeds of pairs have three numbers with the place, those of batches four.
            images, masks = self.mix(images, masks, seed=(self.seed, self.epoch, index, 1 + self.part[0]))
        return _narrow(images), _narrow(masks)

    @property
    def epoch_now(self) -> int:
        """The epoch that batches are of."""
        return self.epoch

    def go_to(self, epoch: int) -> None:
        """Makes this epoch the next one, with its augmentations and, with `shuffle`, its order: of a resumed run, `initial_epoch`."""
        check_place("epoch", epoch)
        self.epoch = int(epoch)
        self._order = self._shuffled()

    def _shuffled(self) -> np.ndarray:
        count = len(self.images) * self.repeats
        return generator((self.seed, self.epoch)).permutation(count) if self.shuffle else np.arange(count)

    def _pair(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        i = place // self.repeats
        image, mask = _opened(self.images[i], i, False), _opened(self.masks[i], i, True)
        check_pair(image, mask, self._where(i))
        if self.classes is not None:
            check_labels(mask, self.classes, self.ignore_label, self._where(i))
        if self.augment is not None:
            image, mask = self.augment(image, mask, seed=(self.seed, self.epoch, place))
        return image, mask

    def _where(self, i: int) -> str:
        """The pair, and its files where it has some."""
        files = [str(value) for value in (self.images[i], self.masks[i]) if isinstance(value, (str, os.PathLike))]
        return f" of pair {i}" + (f" ({', '.join(files)})" if files else "")


class UnreadableError(ValueError):
    """A file that is no picture that can be read: `path`, and why."""

    def __init__(self, path: str, reason: str, i: int):
        super().__init__(f"The file of pair {i} is no picture that can be read. Received: {path!r} ({reason}).")
        self.path, self.reason = path, reason


def _each(make: Callable, places: Iterable[int]) -> Iterable:
    """`make` of each place, by the threads; in one of them, where a pair asks for pairs, by itself: none would be left to wait for."""
    inside = threading.current_thread().name.startswith(NAME)
    return map(make, places) if inside else _threads(os.getpid()).map(make, places)


@functools.lru_cache(maxsize=1)
def _threads(process: int) -> concurrent.futures.ThreadPoolExecutor:
    """The pool of a process: one that was forked has none of its parent's threads."""
    return concurrent.futures.ThreadPoolExecutor(min(32, os.cpu_count() or 1), NAME)


def _sizes(value: Any, name: str, i: int) -> tuple[int, ...]:
    """The shape of an array, or height and width in the header of a file."""
    if hasattr(value, "shape"):
        return tuple(value.shape)
    if not isinstance(value, (str, os.PathLike)):
        raise ValueError(f"`{name}` must hold arrays, or paths of pictures. Received: {type(value).__name__} as number {i}.")
    return _picture(value, i, lambda picture: (picture.height, picture.width))


def _opened(value: Any, i: int, labels: bool) -> np.ndarray:
    if not isinstance(value, (str, os.PathLike)):
        return as_host_array(value, f"{'masks' if labels else 'images'}[{i}]")

    def pixels(picture: Any) -> np.ndarray:
        if not labels and picture.mode not in ("L", "RGB", "I;16", "I", "F"):
            picture = picture.convert("RGB")
        array = np.asarray(picture)
        array = array.astype("uint8") if array.dtype == bool else array  # a black-and-white file
        return array if labels or array.ndim == 3 else array[..., None]

    return _picture(value, i, pixels)


def _picture(path: str | os.PathLike, i: int, read: Callable) -> Any:
    from PIL import Image  # costs a tenth of a second that importing the library need not

    try:
        with pillow_pictures.opened(pathlib.Path(path)) as picture:
            return read(picture)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadableError(str(path), " ".join(str(error).split()), i) from error


def _narrow(values: np.ndarray) -> np.ndarray:
    return values.astype(NARROW.get(values.dtype.name, values.dtype), copy=False)
