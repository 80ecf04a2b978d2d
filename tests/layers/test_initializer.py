"""Starting values: the same numbers everywhere, different ones for different kernels."""

import keras
import numpy as np
import pytest

from keras_resnet import layers
from tests.arrays import as_numpy


def test_numbers_are_numpy_s():
    shape = (3, 3, 4, 8)
    expected = np.random.Generator(np.random.SFC64([7, *shape])).standard_normal(shape, dtype="float32") * np.float32(np.sqrt(2 / 72))
    assert (as_numpy(layers.HeNormal(seed=7)(shape)) == expected).all()


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
