"""Padding to a multiple and cropping back: values, open sizes, files, and wrong inputs."""

import keras
import numpy as np
import pytest

from keras_resnet import layers
from tests.arrays import as_numpy, normal


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("sides", [(5, 8), (4, 4), (1, 9), (3, 4, 6)])
def test_there_and_back(sides, data_format):
    last = data_format == "channels_last"
    x = normal(2, *sides, 3) if last else normal(2, 3, *sides)
    pads = [(0, -side % 4) for side in sides]
    expected = np.pad(x, [(0, 0), *pads, (0, 0)] if last else [(0, 0), (0, 0), *pads], mode="edge")
    layer = layers.PadToMultiple(4, data_format=data_format)
    y = layer(keras.ops.convert_to_tensor(x))
    assert (as_numpy(y) == expected).all()
    assert tuple(y.shape) == layer.compute_output_shape(x.shape)
    assert (as_numpy(layers.CropTo(data_format=data_format)([y, keras.ops.convert_to_tensor(x)])) == x).all()


def test_open_sizes_and_files(tmp_path):
    image = keras.Input((None, None, 2))
    y = layers.PadToMultiple(8, data_format="channels_last")(image)
    assert tuple(y.shape) == (None, None, None, 2)
    model = keras.Model(image, layers.CropTo(data_format="channels_last")([keras.layers.Conv2D(3, 1)(y), image]))
    assert tuple(model.output_shape) == (None, None, None, 3)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for size in ((9, 17), (16, 8)):
        images = normal(2, *size, 2)
        assert model.predict(images, verbose=0).shape == (2, *size, 3)
        assert (loaded.predict(images, verbose=0) == model.predict(images, verbose=0)).all()


def test_wrong_inputs():
    with pytest.raises(ValueError, match="`multiple`"):
        layers.PadToMultiple(0)
    with pytest.raises(ValueError, match=r"takes images.*shape=\(2, 3, 4\)"):
        layers.PadToMultiple(4)(np.zeros((2, 3, 4), "float32"))
    with pytest.raises(ValueError, match="nowhere smaller"):
        layers.CropTo(data_format="channels_last")([np.zeros((1, 3, 4, 1), "float32"), np.zeros((1, 4, 4, 1), "float32")])
    with pytest.raises(ValueError, match="two inputs"):
        layers.CropTo()(np.zeros((1, 3, 4, 1), "float32"))
