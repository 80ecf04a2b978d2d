"""Batch normalization beside Keras's, and beside the formulas."""

import keras
import numpy as np
import pytest

from keras_resnet import layers
from tests import tolerances
from tests.arrays import as_numpy, assert_unchanged, normal, values


def test_config_keys_and_variables_are_keras_s():
    ours, theirs = layers.BatchNormalization(name="norm"), keras.layers.BatchNormalization(name="norm")
    assert ours.get_config() == theirs.get_config()
    for layer in (ours, theirs):
        layer.build((None, 4, 4, 3))
    assert [v.path for v in ours.variables] == [v.path for v in theirs.variables]


@pytest.mark.parametrize("shape", [(6, 5), (4, 7, 5), (3, 4, 4, 5)])
@pytest.mark.parametrize("masked", [False, True])
def test_training_and_moving_statistics(shape, masked):
    x = normal(*shape, mean=2.0, deviation=3.0)
    mask = normal(*shape[:-1], seed=4) > 0 if masked else np.ones(shape[:-1], bool)
    assert mask.sum() > 1
    layer = layers.BatchNormalization(momentum=0.75, epsilon=1e-3)
    y = as_numpy(layer(x, training=True, mask=mask if masked else None))
    counted = x[mask].astype("float64")
    mean, variance = counted.mean(0), counted.var(0)
    assert tolerances.difference(y, (x - mean) / np.sqrt(variance + 1e-3)) < tolerances.OPERATION["float32"]
    assert tolerances.difference(as_numpy(layer.moving_mean), 0.25 * mean) < tolerances.OPERATION["float32"]
    unbiased = 0.75 + 0.25 * counted.var(0, ddof=1)
    assert tolerances.difference(as_numpy(layer.moving_variance), unbiased) < tolerances.OPERATION["float32"]


def test_a_mask_of_the_wrong_rank_is_refused():
    layer = layers.BatchNormalization()
    layer.build((2, 3, 3, 4))
    before = values(layer)
    with pytest.raises(ValueError, match="one dimension less"):
        layer(normal(2, 3, 3, 4), training=True, mask=np.ones((2, 3), bool))
    assert_unchanged(before, layer)
    with pytest.raises(ValueError, match="renorm"):
        layers.BatchNormalization(renorm=True)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_layer_normalization_is_over_a_whole_image(data_format):
    """Ba et al.'s formula over all that an image has; for images of any size, and so that none depends on the others."""
    layer = layers.NormActivation("layer", norm_epsilon=1e-5, activation=None, data_format=data_format)
    layer.build((None, None, None, 6) if data_format == "channels_last" else (None, 6, None, None))
    gamma, beta = normal(6, seed=1), normal(6, seed=2)
    layer.norm_layer.set_weights([gamma, beta])
    for height, width in ((5, 7), (1, 1), (8, 2)):
        x = normal(3, height, width, 6, mean=2.0, deviation=3.0)
        wide = x.astype("float64")
        axes = (1, 2, 3)
        expected = (wide - wide.mean(axes, keepdims=True)) / np.sqrt(wide.var(axes, keepdims=True) + 1e-5) * gamma + beta
        first = data_format == "channels_first"
        y = as_numpy(layer(np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if first else x))
        assert tolerances.difference(y.transpose(0, 2, 3, 1) if first else y, expected) < tolerances.OPERATION["float32"]
