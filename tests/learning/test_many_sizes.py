"""Tests on pictures of many sizes: by one replica or several, the numbers are those of the pictures one by one."""

import keras
import numpy as np
import pytest

from keras_resnet import learning
from keras_resnet.learning.pair_augmentation import PairAugmentation
from tests.arrays import as_numpy
from tests.launching import Together
from tests.learning import many_sizes

NAME = keras.backend.backend()
DEVICES = {"jax": ["cpu:0", "cpu:1"], "tensorflow": ["CPU:0", "CPU:1"]}
ALONE = learning.Replicas(None, False)


def check(found: dict) -> None:
    expected = many_sizes.tested(ALONE)
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(value, abs=1e-5), name
        assert expected[name.removeprefix("val_")] == pytest.approx(value, abs=1e-6)


def quick_but_on_jax(test):
    """Which compiles anew for each size."""
    return pytest.mark.full(test) if NAME == "jax" else test


@quick_but_on_jax
def test_one_replica():
    found = many_sizes.tested(ALONE)
    image = keras.Input((None, None, 2))
    keras.utils.set_random_seed(0)
    model = keras.Model(image, keras.layers.Conv2D(2, 3, padding="same")(image))
    loss = learning.losses.DiceCrossEntropy()
    losses = [float(as_numpy(loss(mask, model(picture)))) for picture, mask in map(many_sizes.pairs(ALONE).__getitem__, range(5))]
    assert found["loss"] == pytest.approx(np.mean(losses), abs=1e-5)
    assert len(ALONE.testing(many_sizes.pairs(ALONE))) == 5  # which `fit` shows how far it is


def test_which_sets_have_many_sizes():
    assert many_sizes.pairs(ALONE).any_size
    crop, none = PairAugmentation(crop=4), PairAugmentation(flip=True)
    images, masks = np.zeros((3, 8, 8, 1)), np.zeros((3, 8, 8), "uint8")
    assert not learning.Pairs(images, masks).any_size
    wide = [*images, np.zeros((8, 9, 1))], [*masks, np.zeros((8, 9), "uint8")]
    assert [learning.Pairs(*wide, augment).any_size for augment in (crop, none, None)] == [False, True, True]
    volumes = [np.zeros((4, 4, depth, 1)) for depth in (3, 5)], [np.zeros((4, 4, depth), "uint8") for depth in (3, 5)]
    assert learning.Pairs(*volumes).any_size
    channels = [np.zeros((4, 4, count)) for count in (3, 1)], [np.zeros((4, 4), "uint8")] * 2
    assert not learning.Pairs(*channels).any_size


@pytest.mark.full
def test_two_processes(tmp_path):
    with Together("tests.learning.many_sizes", [str(tmp_path)], tmp_path) as those:
        assert those.codes() == [0, 0], those.said()
    for rank in range(2):
        check(dict(np.load(tmp_path / f"{rank}.npz")))


@pytest.mark.full
@pytest.mark.skipif(NAME not in DEVICES, reason="PyTorch has a process for each device")
def test_two_devices(tmp_path):
    with Together("tests.learning.many_sizes", [str(tmp_path), *DEVICES[NAME]], tmp_path, count=1, devices=2) as those:
        assert those.codes() == [0], those.said()
    found = dict(np.load(tmp_path / "0.npz"))
    assert found["count"] == 2
    check(found)
    if NAME == "tensorflow":
        assert "each of the 2 replicas tests on all, one by one. Pass batches of 1. Received: batches of 2." in str(found["said"])
