"""Batches without end, and those that a thread fetches ahead."""

import itertools
import threading

import numpy as np
import pytest

from keras_resnet import learning
from training.data.stream import ahead, endless


def batches() -> learning.Batches:
    return learning.Batches(np.arange(10, dtype="uint8").reshape(10, 1, 1, 1), np.arange(10), batch_size=3)


def labels(first: int, count: int) -> list[list[int]]:
    return [batch[1].tolist() for batch in itertools.islice(endless(batches(), 3, first), count)]


def test_a_training_goes_on_from_any_batch():
    whole = labels(0, 8)
    assert whole[:3] != whole[3:6]  # another order each epoch
    assert all(len(batch) == 3 for batch in whole)
    for first in range(8):
        assert labels(first, 8 - first) == whole[first:]


def test_pairs_too():
    images, masks = np.arange(4, dtype="uint8").reshape(4, 1, 1, 1), np.zeros((4, 1, 1), "uint8")

    def read(first: int, count: int) -> list:
        pairs = learning.Pairs(images, masks, batch_size=2)
        return [batch[0].ravel().tolist() for batch in itertools.islice(endless(pairs, 2, first), count)]

    assert read(3, 5) == read(0, 8)[3:]


def test_the_thread_ends_with_the_block():
    with ahead(itertools.count()) as fetched:
        assert list(itertools.islice(fetched, 5)) == [0, 1, 2, 3, 4]
    assert not any(thread.name == "fetching ahead" for thread in threading.enumerate())


def test_what_the_thread_raises_is_raised():
    def torn():
        yield 1
        raise OSError("the disk is gone")

    with ahead(torn()) as fetched, pytest.raises(OSError, match="the disk is gone"):
        list(fetched)
