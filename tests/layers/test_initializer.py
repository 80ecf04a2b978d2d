"""Starting values: the same numbers everywhere, different ones for different kernels."""

import statistics

import keras
import numpy as np
import pytest

from keras_resnet import layers
from keras_resnet.layers import initializer
from tests.arrays import as_numpy

NUMBERS = [0.2616254985332489, -0.03816717863082886, -0.1721668243408203, 0.3828866481781006]


def test_the_same_numbers_on_every_backend():
    numbers = as_numpy(layers.HeNormal(seed=7)((3, 3, 4, 8))).ravel()
    assert numbers[:4].tolist() == NUMBERS


def test_the_curve_is_the_normal_one():
    numbers = np.sort(as_numpy(layers.HeNormal(scale=1, mode="fan_in", seed=2)((64, 64, 1, 256)))).ravel() * 64
    normal = statistics.NormalDist()
    for bound in (-3.8, -3.0, -1.5, -0.3, 0.0, 0.01, 0.7, 2.0, 3.6541528853610088):
        share, expected = np.mean(numbers < bound), normal.cdf(bound)
        assert abs(share - expected) < 5 * np.sqrt(expected * (1 - expected) / numbers.size), bound  # five deviations of 1,048,576 draws
    assert np.abs(numbers).max() < 6


@pytest.mark.parametrize("distribution", ["untruncated_normal", "truncated_normal", "uniform"])
@pytest.mark.parametrize(("mode", "fan"), [("fan_out", 9 * 96), ("fan_in", 9 * 32), ("fan_avg", 9 * 64)])
def test_variance(distribution, mode, fan):
    numbers = as_numpy(layers.HeNormal(seed=1, mode=mode, distribution=distribution)((3, 3, 32, 96)))
    assert np.var(numbers) == pytest.approx(2 / fan, rel=0.04)  # 27,648 numbers: 4.7 deviations
    assert abs(np.mean(numbers)) < 5 * np.sqrt(2 / fan / numbers.size)


def test_kernels_differ_and_a_seed_repeats_them():
    def kernels() -> list[np.ndarray]:
        keras.utils.set_random_seed(5)
        block = layers.BasicBlock(4)
        block.build((None, 8, 8, 4))
        return [as_numpy(v) for v in block.trainable_variables if v.path.endswith("kernel")]

    first, second = kernels(), kernels()
    assert first[0].shape == first[1].shape
    assert (first[0] != first[1]).mean() > 0.9
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    shared = layers.HeNormal(seed=2)
    assert (as_numpy(shared((3, 4))) != as_numpy(shared((4, 3))).reshape(3, 4)).mean() > 0.9
    assert (as_numpy(layers.HeNormal(seed=3)((3, 4))) != as_numpy(shared((3, 4)))).mean() > 0.9


def test_places_beside_the_curve_are_given_up():
    """Of all places in the 256 layers the share that lies under the curve is kept: 98.5 % by their layer alone, the others by the curve."""
    count = 2**20
    numbers = np.empty(count, "float32")
    initializer._normal(np.random.Generator(np.random.SFC64(5)), 1.0, numbers)
    bits = np.random.SFC64(5).random_raw(count // 2).astype("<u8").view("<u4")
    places = ((bits >> 8) - (2**23 - 0.5)) / 2**23 * initializer.EDGES[bits & 255]
    kept = np.mean(np.abs(numbers - places) < 1e-6)
    normal = statistics.NormalDist()
    under_the_curve = np.sqrt(2 * np.pi) * (normal.cdf(initializer.TAIL) - 0.5)
    expected = under_the_curve / (256 * initializer.AREA)
    assert abs(kept - expected) < 5 * np.sqrt(expected * (1 - expected) / count)
