"""Batches without end, and those that a thread fetches ahead."""

import itertools
import threading
import time

import numpy as np
import pytest
from PIL import Image

from keras_resnet import learning
from tests.arrays import as_numpy
from training.data.pictures import Pictures
from training.data.prepared import Targets
from training.data.stream import BatchesAhead, PairsAhead, ahead, endless, fed


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


def test_what_is_fed_is_what_the_batches_are(tmp_path):
    """The same pictures, crops and augmentations whether one asks for a batch or threads read ahead, from any place on."""
    for number in range(10):
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (20, 24 + number, 3), "uint8")).save(tmp_path / f"{number}.png")
    paths = sorted(map(str, tmp_path.iterdir()))

    def made() -> learning.Batches:
        images = Pictures(paths, 16, seed=1, area=(0.2, 1.0), flip=True)
        augment = [learning.PadAndCrop(2), learning.Mix(10, cutmix=1.0)]
        return learning.Batches(images, Targets(np.arange(10), 10, images=images), augment, batch_size=3, seed=4)

    straight, expected = made(), []
    for epoch in range(2):
        straight.go_to(epoch)
        straight.images.go_to(epoch)
        expected += [[as_numpy(one) for one in straight[index]] for index in range(3)]
    for first in (0, 2, 4):
        with fed(made(), 3, first) as batches:
            for batch, wanted in zip(batches, expected[first:]):
                for one, other in zip(batch, wanted, strict=True):
                    np.testing.assert_array_equal(as_numpy(one), other)


def test_an_end_is_an_end():
    with ahead(iter([1, 2]), count=1) as first, ahead(first) as second:
        assert list(second) == [1, 2]
    with ahead(itertools.count()) as first, ahead(first) as second:
        assert next(second) == 0
    assert not any(thread.name == "fetching ahead" for thread in threading.enumerate())


def test_what_is_tested_on_is_read_ahead(tmp_path):
    begun, let = [], threading.Event()

    class Slow:
        def __len__(self):
            return 7

        def __getitem__(self, indices):
            begun.append(indices.tolist())
            if len(begun) > 1:
                let.wait(30)
            return np.zeros((len(indices), 1, 1, 1), "uint8")

    tested = BatchesAhead(Slow(), np.arange(7), (), 3)
    assert tested[0][1].tolist() == [0, 1, 2]
    end = time.monotonic() + 20
    while len(begun) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    assert begun == [[0, 1, 2], [3, 4, 5]]  # and nobody has asked for the second
    let.set()
    for _ in range(2):  # one test behind the other, the first of them left
        assert [batch[1].tolist() for batch in (tested[i] for i in range(2))] == [[0, 1, 2], [3, 4, 5]]
    assert [tested[i][1].tolist() for i in range(3)][2] == [6]
    with pytest.raises(IndexError):
        tested[3]
    pairs = PairsAhead(np.arange(4, dtype="uint8").reshape(4, 1, 1, 1), np.zeros((4, 1, 1), "uint8"), batch_size=3)
    assert [pairs[i][0].ravel().tolist() for i in (0, 1, 0)] == [[0, 1, 2], [3], [0, 1, 2]]
