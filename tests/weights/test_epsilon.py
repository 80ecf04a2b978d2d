"""keras.applications' norms have another epsilon than timm's: a variance and its epsilon count by their sum, which files keep."""

import h5py
import numpy as np
import pytest

import keras_resnet
from keras_resnet.weights import keras_names
from tests.arrays import as_numpy
from tests.quick import quick_on_torch
from tests.weights import files


@quick_on_torch
@pytest.mark.parametrize("epsilon", [1e-5, 1e-3, keras_names.EPSILON])
def test_of_a_densenet(epsilon, tmp_path):
    arguments = dict(weights=None, norm_epsilon=epsilon, include_top=False, input_shape=(32, 32, 3))
    model, fresh = (keras_resnet.DenseNet121(**arguments) for _ in range(2))
    files.filled(model, 3)
    variance = next(v for v in model.weights if v.path.endswith("moving_variance"))
    variance.assign(np.geomspace(1e-9, 1e-3, variance.shape[0]))  # of channels that are as good as dead epsilon is the most
    keras_resnet.save_weights(model, tmp_path / "model.h5", layout="keras")
    with h5py.File(tmp_path / "model.h5") as file:
        theirs = file["conv1_bn/conv1_bn/moving_variance:0"][()].astype("float64")
    kept = min(epsilon, keras_names.EPSILON)  # the numbers stay as they are under a larger one
    assert np.allclose(theirs + keras_names.EPSILON, as_numpy(variance).astype("float64") + kept, rtol=1e-6)
    keras_resnet.load_weights(fresh, tmp_path / "model.h5")
    for one, other in zip(fresh.weights, model.weights, strict=True):
        assert np.allclose(as_numpy(one), as_numpy(other), rtol=1e-6, atol=1e-9), one.path
