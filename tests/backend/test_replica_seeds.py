"""Replicas draw random numbers of their own, and their generators' states stay alike."""

import keras
import numpy as np

from keras_resnet.backend.replica_seeds import seeds_apart
from tests.arrays import as_numpy


def drawn(number):
    """Two draws, and the state behind them, of a replica; `None` for a process by itself."""
    end = seeds_apart(lambda: number) if number is not None else lambda: None
    try:
        generator = keras.random.SeedGenerator(7)
        return [as_numpy(keras.random.uniform((50,), seed=generator)) for _ in range(2)], as_numpy(generator.state)
    finally:
        end()


def test_each_replica_draws_its_own():
    plain = keras.random.SeedGenerator.next
    (alone, state), (first, same), (second, other) = drawn(None), drawn(0), drawn(1)
    np.testing.assert_array_equal(first, alone)
    np.testing.assert_array_equal(state, same)
    np.testing.assert_array_equal(state, other)
    for one, another in zip(first, second, strict=True):
        assert abs(np.corrcoef(one, another)[0, 1]) < 0.5
        assert not np.isin(one, another).any()
    assert keras.random.SeedGenerator.next is plain
