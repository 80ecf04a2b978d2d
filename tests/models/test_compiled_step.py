"""`compile(jit_compile=True)`: on PyTorch our own step, elsewhere Keras's; the same training as without."""

import importlib

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet import learning
from tests import tolerances
from tests.arrays import as_numpy, normal

# What PyTorch's own compiler imports.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")
ON_TORCH = keras.backend.backend() == "torch"


def network(**settings):
    return keras_resnet.models.cifar_resnet(depths=(1, 1), widths=(8, 16), classes=3, input_shape=(16, 16, 3), **settings)


def trained(jit_compile, precision="float32", steps=4):
    """Losses and weights of a small network after some steps."""
    keras.utils.set_random_seed(1)
    model = network(dtype=precision)
    model.compile(
        learning.SGD(0.05, momentum=0.9, weight_decay=1e-4),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=jit_compile,
    )
    x, y = normal(steps * 8, 16, 16, 3), np.arange(steps * 8) % 3
    history = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0).history
    return history, [as_numpy(variable) for variable in model.variables]


def compared(precision, bound):
    """Raises unless training is the same with and without."""
    plain, weights = trained(False, precision)
    compiled, others = trained(True, precision)
    for name in plain:
        assert tolerances.difference(compiled[name], plain[name]) < bound, name
    if precision == "float32":  # in less, eight steps of equal losses have weights that differ
        assert max(tolerances.difference(other, weight) for other, weight in zip(others, weights, strict=True)) < bound


@pytest.mark.skipif(not ON_TORCH, reason="about PyTorch's step")
def test_a_compiled_step_is_one_graph_and_the_same_step(monkeypatch):
    import torch

    monkeypatch.setattr(importlib.import_module("keras_resnet.backend.torch_step"), "COMPILER", "eager")
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    compared("float32", tolerances.LOSSES)
    assert not torch._dynamo.utils.counters["graph_break"]
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


@pytest.mark.full
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_with_compiled_kernels(precision):
    compared(precision, tolerances.LOSSES if precision == "float32" else 0.05)


def test_a_step_of_ones_own_stays():
    class Own(keras_resnet.models.functional.Network):
        def train_step(self, *args, **kwargs):
            seen.append(1)
            return super().train_step(*args, **kwargs)

    seen: list = []
    made = network()
    model = Own(made.input, made.output)
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=keras.backend.backend() == "jax")
    model.train_on_batch(normal(4, 16, 16, 3), np.arange(4) % 3)
    assert seen
