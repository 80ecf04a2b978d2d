"""Models that have their weights, models that only say so, and models that have none to have."""

import keras
import numpy as np
import pytest

from keras_resnet.learning import AveragedWeights, Checkpoint, Distilled, restore_checkpoint, save_checkpoint
from keras_resnet.learning.built import check_built
from tests.arrays import as_numpy, normal
from tests.quick import quick_on_torch

IMAGES = normal(8, 8)
REFUSED = "has no weights yet. Build it first, by calling it on a batch"

pytestmark = pytest.mark.filterwarnings("ignore:.*it looks like it has unbuilt state")


class Chain(keras.Model):
    """Calls its layers in turn, and has one that it never calls."""

    def __init__(self, *called: keras.layers.Layer):
        super().__init__()
        self.called, self.spare = list(called), keras.layers.Dense(2)

    def call(self, x):
        for layer in self.called:
            x = layer(x)
        return x


class Trainer(keras.Model):
    """Trains another network, and is never called itself."""

    def __init__(self, network: keras.Model):
        super().__init__()
        self.network = network


def told_to_build(model: keras.Model) -> keras.Model:
    """Built by its name alone: Keras warns, and builds no layer."""
    model.build((None, 8))
    assert model.built
    return model


def functional(*layers: keras.layers.Layer) -> keras.Model:
    x = inputs = keras.Input((8,))
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)


def called(model: keras.Model) -> keras.Model:
    model(IMAGES[:1])
    return model


def dense() -> keras.Model:
    return functional(keras.layers.Dense(3))


WITHOUT = {
    "subclass": lambda: told_to_build(Chain(keras.layers.Dense(3))),
    "subclass within": lambda: told_to_build(Chain(told_to_build(Chain(keras.layers.Dense(3))))),
    "sequential": lambda: keras.Sequential([keras.layers.Dense(3)]),
    "trainer": lambda: Trainer(told_to_build(Chain(keras.layers.Dense(3)))),
}
WITH = {
    "subclass": lambda: called(Chain(keras.layers.Dense(3))),
    "subclass, called after": lambda: called(told_to_build(Chain(keras.layers.Dense(3)))),
    "subclass within": lambda: functional(Chain(keras.layers.Dense(3))),
    "sequential": lambda: told_to_build(keras.Sequential([keras.layers.Dense(3)])),
    "sequential of a network": lambda: keras.Sequential([dense()]),
    "functional without weights": lambda: functional(keras.layers.Activation("softmax")),
    "functional of a subclass without weights": lambda: functional(Chain(keras.layers.Activation("softmax"))),
    "subclass without weights": lambda: called(Chain(keras.layers.Activation("softmax"))),
    "trainer": lambda: Trainer(dense()),
    "trainer of a subclass": lambda: Trainer(called(Chain(keras.layers.Dense(3)))),
    "distilled": lambda: Distilled(dense(), dense()),
}


@pytest.mark.parametrize("name", WITHOUT)
def test_without_weights(name):
    with pytest.raises(ValueError, match=REFUSED):
        check_built(WITHOUT[name]())


@pytest.mark.parametrize("name", WITH)
def test_with_weights(name):
    check_built(WITH[name]())


def compiled(model: keras.Model) -> keras.Model:
    model.compile("sgd", "mse")
    return model


def test_a_model_that_only_says_it_is_built(tmp_path):
    """TensorFlow makes its weights within the first step; the others before `fit` calls anything."""
    chain, averages = compiled(WITHOUT["subclass"]()), AveragedWeights(0.6)
    for use in (Checkpoint(tmp_path).restore, lambda one: save_checkpoint(tmp_path, one), lambda one: restore_checkpoint(tmp_path, one)):
        with pytest.raises(ValueError, match=REFUSED):
            use(chain)
    assert not list(tmp_path.iterdir())
    settings = dict(batch_size=4, verbose=0, callbacks=[averages])
    if keras.backend.backend() == "tensorflow":
        with pytest.raises(ValueError, match=REFUSED):
            chain.fit(IMAGES, normal(8, 3), **settings)
        called(chain)
    chain.fit(IMAGES, normal(8, 3), **settings)
    assert averages.updates == 2


def test_a_model_of_which_a_part_is_not_built():
    chain, averages = compiled(told_to_build(Chain(dense(), keras.layers.Dense(3)))), AveragedWeights(0.6)
    settings = dict(batch_size=4, verbose=0, callbacks=[averages])
    if keras.backend.backend() == "tensorflow":
        with pytest.raises(ValueError, match=r"had 2 weights to average before its first step, and has 4 now. Build all of it first"):
            chain.fit(IMAGES, normal(8, 3), **settings)
        averages = AveragedWeights(0.6)
        settings["callbacks"] = [averages]
    chain.fit(IMAGES, normal(8, 3), **settings)
    assert averages.updates == 2


@quick_on_torch
@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights")
def test_averages_of_a_model_without_weights(tmp_path):
    chain, averages = compiled(functional(keras.layers.Activation("softmax"))), AveragedWeights(0.6)
    chain.fit(IMAGES, IMAGES, batch_size=4, verbose=0, callbacks=[averages], validation_data=(IMAGES, IMAGES))
    assert averages.updates == 2
    save_checkpoint(tmp_path, chain, parts={"averages": averages})
    again = AveragedWeights(0.6)
    restore_checkpoint(tmp_path, chain, parts={"averages": again})
    with again.applied(chain) as averaged:
        np.testing.assert_allclose(as_numpy(averaged(IMAGES)).sum(-1), 1, rtol=1e-5)
