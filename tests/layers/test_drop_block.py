"""DropBlock beside timm's from the same centres, the share it drops and the mean it keeps."""

import keras
import numpy as np
import pytest

from keras_resnet import layers
from tests import tolerances
from tests.arrays import as_numpy, normal
from tests.golden.layers import GOLDEN, recorded


@pytest.mark.parametrize(("case", "size", "rate"), [("drop", 5, 0.15), ("drop_even", 4, 0.2), ("drop_clipped", 7, 0.1)])
def test_blocks_are_timms(case, size, rate):
    arrays = recorded(case)
    layer = layers.DropBlock2D(rate, size)
    height, width = arrays["x"].shape[2:]
    assert np.isclose(float(layer.probability(height, width)), arrays["gamma"], rtol=1e-6)
    keep = as_numpy(layer.kept(keras.ops.convert_to_tensor(arrays["centres"][:, 0])))
    assert tolerances.difference(arrays["x"] * keep[:, None], arrays["y"]) < GOLDEN["float32"]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_the_share_dropped_and_the_mean(data_format):
    first = data_format == "channels_first"
    x = np.ones((400, 3, 20, 21) if first else (400, 20, 21, 3), "float32")
    layer = layers.DropBlock2D(0.1, 3, seed=5, data_format=data_format)
    y = as_numpy(layer(x, training=True))
    y = y if first else y.transpose(0, 3, 1, 2)
    assert (y == y[:, :1]).all()
    assert abs(y.mean() - 1) < 1e-5
    # 9 centres in reach of an inner pixel.
    inner = (y[:, 0, 1:-1, 1:-1] == 0).mean()
    assert abs(inner - (1 - (1 - float(layer.probability(20, 21))) ** 9)) < 0.01
    again = as_numpy(layer(x, training=True))
    assert ((again if first else again.transpose(0, 3, 1, 2)) != y).any()
    for mode in (False, None):
        assert (as_numpy(layer(x, training=mode)) == x).all()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_all_dropped_is_zero(dtype):
    layer = layers.DropBlock2D(0.9, 5, gamma_scale=100.0, dtype=dtype)
    assert not as_numpy(layer(normal(2, 6, 6, 3), training=True)).any()


def test_images_of_unknown_size():
    image = keras.Input((None, None, 2))
    model = keras.Model(image, layers.DropBlock2D(0.3, 7, data_format="channels_last", seed=1)(image))
    model.compile(loss="mse")
    for size in (4, 30):
        x = np.ones((20, size, size + 1, 2), "float32")
        y = as_numpy(model(keras.ops.convert_to_tensor(x), training=True))
        assert (y == 0).any()
        assert abs(y.mean() - 1) < 1e-5
        assert (model.predict(x, verbose=0) == 1).all()


@pytest.mark.parametrize("settings", [dict(rate=1.0), dict(rate=-0.1), dict(block_size=0), dict(gamma_scale=-1.0)])
def test_impossible_settings_are_refused(settings):
    (name,) = settings
    with pytest.raises(ValueError, match=f"`{name}` must"):
        layers.DropBlock2D(**{"rate": 0.1, **settings})
