"""Batches without end from a place in the training on, fetched ahead of the device by a thread."""

import contextlib
import queue
import threading
from collections.abc import Iterator
from typing import Any


def endless(batches: Any, whole: int, first: int) -> Iterator[Any]:
    """The batches of epoch after epoch from batch number `first` of the whole training on.

    Args:
        batches: `learning.Batches` or `learning.Pairs`.
        whole: batches of its that are full. Only those are given: another size would be compiled anew.
        first: from 0.
    """
    epoch, index = divmod(first, whole)
    while True:
        batches.go_to(epoch)
        if hasattr(batches.images, "go_to"):
            batches.images.go_to(epoch)
        for place in range(index, whole):
            yield batches[place]
        epoch, index = epoch + 1, 0


@contextlib.contextmanager
def ahead(iterator: Iterator[Any], count: int = 2) -> Iterator[Iterator[Any]]:
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
            for item in iterator:
                if not put((item, None)):
                    return
        except BaseException as error:
            put((None, error))

    def items() -> Iterator[Any]:
        while True:
            item, error = made.get()
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
