"""Every row of the zoo at the smallest image it takes: a forward pass, and a finite gradient that is not zero for every variable."""

import gc

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet.zoo import ZOO
from tests.arrays import normal
from tests.one_backend import gradients

# A row's place among the others does not depend on the backend. PyTorch runs for all: it needs no compilation.
torch_runs = pytest.mark.skipif(keras.backend.backend() != "torch", reason="PyTorch runs for all")
# More parameters than this take seconds and gigabytes each.
LARGE = 30_000_000
DEEP = ("resnet1202", "preresnet1001", "densenetbc250_k24", "densenetbc190_k40")


def smallest(name: str) -> int:
    """Pixels a side that a row takes at least, as its own error says."""
    try:
        keras_resnet.create_model(name, input_shape=(1, 1, 3))
    except ValueError as error:
        return int(str(error).partition("this network takes ")[2].partition("x")[0])
    raise AssertionError(f"{name} takes an image of one pixel")


def take_statistics(model: keras.Model, images: np.ndarray, momentum: float) -> None:
    """Sets moving means and variances to those of these images, without which a deep network's gates are shut."""
    model(images, training=True)
    for variable in model.non_trainable_variables:
        if "moving_" in variable.path:
            start = momentum * float(variable.path.endswith("variance"))
            variable.assign((keras.ops.convert_to_numpy(variable.value) - start) / (1 - momentum))


@torch_runs
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.full if ZOO[name].params > LARGE or name in DEEP else ())
        for name in keras_resnet.list_models(task="classification")
    ],
)
def test_row(name):
    size = smallest(name)
    keras.utils.set_random_seed(0)
    model = keras_resnet.create_model(name, input_shape=(size, size, 3), classes=3, classifier_activation=None)
    for number, variable in enumerate(model.trainable_variables):
        # Gammas, gains and scales that start at zero would hide what lies behind them.
        if len(variable.shape) < 2:
            start = float(variable.path.endswith(("gamma", "gain")))
            variable.assign(start + normal(*variable.shape, seed=number, deviation=0.1))
    images = normal(4, size, size, 3)
    take_statistics(model, images, ZOO[name].settings.get("norm_momentum", 0.9))
    logits = model.predict(images, verbose=0)
    assert logits.shape == (4, 3)
    assert np.isfinite(logits).all()
    # With moving statistics: in training a bias in front of a norm has no gradient.
    found = gradients(model, images, np.array([0, 1, 2, 1]), training=False)
    for variable, gradient in zip(model.trainable_variables, found, strict=True):
        assert gradient is not None, variable.path
        value = keras.ops.convert_to_numpy(gradient)
        assert np.isfinite(value).all(), variable.path
        assert np.abs(value).max() > 0, variable.path
    del model, found
    gc.collect()
