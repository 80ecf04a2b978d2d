"""Batches without end from a place in the training on, read and put on the device by threads beside the training.

Measured on two busy CPU cores with 2,000 JPEG files of about 288 px, random parts of 224 px, batches of 64, medians of three runs in turns,
images per second of reading alone: Pillow in a pool of threads, as here, 654; PyTorch's DataLoader with two processes 451; Grain's threads
461; tf.data with a picture an element 405. The CPU seconds of the last two were as many (2.3 and 2.5 to our 2.3). So no framework's own
pipeline reads: threads are not slower, give the same pictures on every backend, and start no process. Reading and augmenting in one thread
instead of two: PyTorch 317 to our 328, JAX 673 to 664, TensorFlow 519 to 551. On GPUs nothing was measured.
"""

import concurrent.futures
import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from keras_resnet import learning
from keras_resnet.backend import feeding


@contextlib.contextmanager
def fed(batches: Any, whole: int, first: int) -> Iterator[Iterator[Any]]:
    """What `fit` takes: the batches of `endless`, on the device. One thread reads, one sends and augments what was read.

    Args:
        batches, whole, first: see `endless`.
    """
    change = batches.augmented if hasattr(batches, "augmented") else lambda *batch: batch
    with ahead(endless(batches, whole, first)) as read, ahead(feeding.made(lambda one: change(*one), read)) as made:
        yield feeding.taken(made)


class BatchesAhead(learning.Batches):
    """Batches to test on, unshuffled: while one is worked on, a thread reads the next."""

    def __init__(self, *arguments: Any, **named: Any):
        super().__init__(*arguments, shuffle=False, **named)
        self._next = _Next(super().read)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self._next(index, len(self))


class PairsAhead(learning.Pairs):
    """Pictures with masks to test on, unshuffled, read ahead likewise."""

    def __init__(self, *arguments: Any, **named: Any):
        super().__init__(*arguments, shuffle=False, **named)
        self._next = _Next(super().__getitem__)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self._next(index, len(self))


class _Next:
    """What `read` gives for a number, and meanwhile in a thread what it gives for the one behind."""

    def __init__(self, read: Callable[[int], Any]):
        self._read, self._coming = read, dict[int, concurrent.futures.Future]()
        self._thread = concurrent.futures.ThreadPoolExecutor(1)

    def __call__(self, index: int, count: int) -> Any:
        for place in (index, index + 1):
            if place not in self._coming and (place < count or place == index):
                self._coming[place] = self._thread.submit(self._read, place)
        return self._coming.pop(index).result()


def endless(batches: Any, whole: int, first: int) -> Iterator[Any]:
    """The batches of epoch after epoch from batch number `first` of the whole training on, as `read` gives them where there is such.

    Args:
        batches: `learning.Batches` or `learning.Pairs`.
        whole: batches of its that are full. Only those are given: another size would be compiled anew.
        first: from 0.
    """
    read = getattr(batches, "read", batches.__getitem__)
    epoch, index = divmod(first, whole)
    while True:
        batches.go_to(epoch)
        if hasattr(batches.images, "go_to"):
            batches.images.go_to(epoch)
        for place in range(index, whole):
            yield read(place)
        epoch, index = epoch + 1, 0


@contextlib.contextmanager
def ahead(iterable: Iterable[Any], count: int = 2) -> Iterator[Iterator[Any]]:
    """The same, `count` items ahead by a thread, which ends with the block. What is raised in the thread is raised here."""
    made: queue.Queue = queue.Queue(count)
    over = threading.Event()

    def put(item: Any) -> bool:
        while not over.is_set():
            with contextlib.suppress(queue.Full):
                made.put(item, timeout=0.1)
                return True
        return False

    def fetch() -> None:
        try:
            for item in iterable:
                if not put((item, None)):
                    return
            put((None, StopIteration()))
        except BaseException as error:
            put((None, error))

    def items() -> Iterator[Any]:
        while True:
            try:
                item, error = made.get(timeout=0.1)
            except queue.Empty:
                if over.is_set():  # asked by a thread of an outer block, which ends as well
                    return
                continue
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item

    thread = threading.Thread(target=fetch, name="fetching ahead", daemon=True)
    thread.start()
    try:
        yield items()
    finally:
        over.set()
        thread.join()
