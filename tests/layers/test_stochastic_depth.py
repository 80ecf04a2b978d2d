"""Stochastic depth drops whole samples and keeps the mean."""

import numpy as np
import pytest

from keras_resnet import layers
from tests.arrays import as_numpy


@pytest.mark.parametrize("rate", [0.0, 0.25, 0.8])
def test_whole_samples_and_the_mean(rate):
    samples = 4000
    x = np.ones((samples, 2, 2, 3), "float32")
    layer = layers.StochasticDepth(rate, seed=11)
    y = as_numpy(layer(x, training=True)).reshape(samples, -1)
    assert (y == y[:, :1]).all()
    kept = y[:, 0] > 0
    assert np.allclose(y[kept], 1 / (1 - rate), rtol=1e-6)
    assert abs(kept.mean() - (1 - rate)) <= 5 * np.sqrt(rate * (1 - rate) / samples)
    assert (as_numpy(layer(x, training=False)) == 1).all()
    if rate:
        assert (as_numpy(layer(x, training=True)).reshape(samples, -1) != y).any()


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5])
def test_an_impossible_rate_is_refused(rate):
    with pytest.raises(ValueError, match="rate"):
        layers.StochasticDepth(rate)
