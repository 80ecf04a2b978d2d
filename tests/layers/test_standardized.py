"""Weight standardization, plain and scaled, beside timm's and beside the formula; and the cache of the standardized kernel."""

import itertools

import keras
import numpy as np
import pytest

from keras_resnet import backend, layers
from keras_resnet.backend import reference
from tests import tolerances
from tests.arrays import as_numpy, normal
from tests.check_layer import run
from tests.golden.layers import check
from tests.gradients import value_and_gradients

PLAIN = {
    "standardized": dict(strides=2, padding=1),
    "standardized_grouped": dict(padding=1, groups=2, use_bias=False, epsilon=1e-3),
    "standardized_same": dict(strides=2, padding="same", use_bias=False),
    "standardized_same_7": dict(kernel_size=7, strides=2, padding="same", use_bias=False),
}
SCALED = {
    "scaled": dict(strides=2, padding=1),
    "scaled_grouped": dict(padding=1, groups=2, use_bias=False, epsilon=1e-2, gamma=1.0),
    "scaled_same": dict(strides=2, padding="same"),
}
KEYS = {"kernel": "weight", "bias": "bias", "gain": "gain"}
LAYERS = [layers.StandardizedConv2D, layers.ScaledStandardizedConv2D]


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("case", [*PLAIN, *SCALED])
def test_numbers_are_timms(case, dtype):
    layer = layers.StandardizedConv2D if case in PLAIN else layers.ScaledStandardizedConv2D
    settings = {"filters": 4, "kernel_size": 3, **(PLAIN | SCALED)[case]}
    names = ["kernel", *(["bias"] if settings.get("use_bias", True) else []), *(["gain"] if case in SCALED else [])]
    check(layer(**settings, dtype=dtype), case, {name: KEYS[name] for name in names}, dtype.removeprefix("mixed_"))


def standardized(kernel, epsilon, factor=1.0):
    kernel = kernel.astype("float64")
    return factor * (kernel - kernel.mean((0, 1, 2))) / np.sqrt(kernel.var((0, 1, 2)) + epsilon)


@pytest.mark.parametrize("shape", [(3, 3, 5, 4), (1, 1, 1, 3)])
def test_values_and_gradients(shape):
    kernel, gain = normal(*shape, mean=0.5), normal(shape[-1], seed=1)
    expected = standardized(kernel, 1e-5, gain * 0.7)
    found = []
    for operation in (backend.standardize_kernel, reference.standardize_kernel):
        y, gradients = value_and_gradients(lambda k, g, op=operation: op(k, g, 0.7, 1e-5), kernel, gain)
        assert np.abs(y - expected).max() < 1e-5
        found.append(gradients)
    for gradient, plain in zip(*found, strict=True):
        assert np.isfinite(gradient).all()
        assert np.abs(gradient - plain).max() < 1e-4 * max(np.abs(plain).max(), 1)


def test_a_kernel_of_zeros_has_finite_gradients():
    for operation in (backend.standardize_kernel, reference.standardize_kernel):
        y, (gradient,) = value_and_gradients(lambda k, op=operation: op(k, None, 1.0, 1e-8), np.zeros((3, 3, 4, 2), "float32"))
        assert not y.any()
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("make", LAYERS)
def test_each_change_of_the_weights_is_seen(make):
    """By `assign`, by training, in inference and again: each time the output is the one of the weights as they are."""
    layer = make(4, 3, data_format="channels_last")
    layer.build((None, None, None, 5))
    x = normal(2, 6, 6, 5)
    model = keras.Sequential([layer, layers.GlobalAveragePooling2D()])
    model.compile(keras.optimizers.SGD(0.5), "mse")
    seen = []
    for step in range(4):
        if step == 1:
            layer.kernel.assign(normal(3, 3, 5, 4, seed=3))
        elif step == 2:
            model.fit(x, normal(2, 4), verbose=0)
        elif step == 3:
            layer.variables[-1].assign(as_numpy(layer.variables[-1]) + 0.5)
        factor = as_numpy(layer.gain) * layer.gamma / np.sqrt(45) if make is layers.ScaledStandardizedConv2D else 1.0
        kernel = standardized(as_numpy(layer.kernel), layer.epsilon, factor)
        views = [x[:, i : i + 4, j : j + 4] @ kernel[i, j] for i in range(3) for j in range(3)]
        expected = (sum(views) + as_numpy(layer.bias)).mean((1, 2))
        for _ in range(2):
            y = model.predict(x, verbose=0)
            assert tolerances.difference(y, expected) < tolerances.OPERATION["float32"]
        assert tolerances.difference(as_numpy(run(model, x)), expected) < tolerances.OPERATION["float32"]
        seen.append(y)
    for before, after in itertools.pairwise(seen):
        assert np.abs(after - before).max() > 1e-3


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="only PyTorch's twin keeps kernels")
@pytest.mark.parametrize("make", LAYERS)
def test_the_kernel_is_kept_while_nobody_trains(make):
    import torch

    layer = make(4, 3)
    layer.build((None, 8, 8, 5))
    assert layer.operands()[0] is not layer.operands()[0]
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            kept = layer.operands()[0]
            assert layer.operands()[0] is kept
            assert not kept.is_inference()
    layer.operands()
    with torch.no_grad():
        assert layer.operands()[0] is not kept


def test_the_gain_is_saved(tmp_path):
    layer = layers.ScaledStandardizedConv2D(4, 3, data_format="channels_last")
    model = keras.Sequential([keras.Input((6, 6, 5)), layer])
    layer.gain.assign(normal(4))
    model.save_weights(tmp_path / "a.weights.h5")
    layer.gain.assign(np.zeros(4))
    model.load_weights(tmp_path / "a.weights.h5")
    assert (as_numpy(layer.gain) == normal(4)).all()


@pytest.mark.parametrize(("make", "name"), [(LAYERS[0], "epsilon"), (LAYERS[1], "epsilon"), (LAYERS[1], "gamma")])
@pytest.mark.parametrize("value", [None, float("nan"), "1"])
def test_impossible_settings_are_refused(make, name, value):
    with pytest.raises(ValueError, match=f"`{name}` must"):
        make(4, 3, **{name: value})
    with pytest.raises(ValueError, match="epsilon"):
        make(4, 3, epsilon=0)
