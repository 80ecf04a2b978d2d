"""Deep networks, whose equal blocks JAX compiles once and runs in a loop: the numbers are those of one block after the other."""

import keras
import numpy as np
import pytest

from keras_resnet import backend
from keras_resnet.models import cifar_resnet, functional
from tests import tolerances
from tests.arrays import as_numpy, normal
from tests.one_backend import gradients

pytestmark = pytest.mark.skipif(not backend.scans, reason="blocks are repeated in a loop where XLA would compile each by itself: on JAX")
SETTINGS = [
    dict(activation="gelu"),
    dict(
        depths=(4, 1, 1),
        activation="gelu",
        preactivation=True,
        block="bottleneck",
        shortcut="projection",
        remat=True,
        residual_scale="learned",
        norm="group",
        attention="se",
    ),
]


def built(depths=(5, 4, 1), **settings):
    keras.utils.set_random_seed(0)
    model = cifar_resnet(depths, (4, 8, 8), input_shape=(12, 12, 3), classifier_activation=None, **settings)
    for number, variable in enumerate(model.trainable_variables):
        if len(variable.shape) < 2:
            variable.assign(as_numpy(variable) + normal(*variable.shape, seed=number, deviation=0.2))
    return model


def in_turn_and_in_a_loop(monkeypatch, measure):
    """What `measure` gives each way."""
    found = []
    for least in (1000, 3):
        monkeypatch.setattr(functional, "REPEATED", least)
        found.append(measure())
    return found


@pytest.mark.parametrize("settings", [SETTINGS[0], pytest.param(SETTINGS[1], marks=pytest.mark.full)], ids=["plain", "remat"])
def test_a_loop_gives_the_numbers_of_the_blocks_in_turn(settings, monkeypatch):
    images, labels = normal(4, 12, 12, 3), np.arange(4)

    def measure():
        model = built(**settings)
        assert bool(model._repeated_blocks()) == (functional.REPEATED == 3)
        found = [*map(as_numpy, gradients(model, images, labels)), model.predict(images, verbose=0)]
        model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(images, labels, epochs=2, verbose=0)
        return found, [as_numpy(variable) for variable in model.variables], as_numpy(model(images))

    (found, after, eager), (looped, looped_after, looped_eager) = in_turn_and_in_a_loop(monkeypatch, measure)
    for one, other in zip([*looped, looped_eager], [*found, eager], strict=True):
        assert tolerances.difference(one, other) < tolerances.GRADIENTS
    for one, other in zip(looped_after, after, strict=True):
        assert tolerances.difference(one, other) < tolerances.LOSSES


def test_only_equal_blocks_of_a_chain_are_repeated(monkeypatch):
    monkeypatch.setattr(functional, "REPEATED", 3)
    runs = built()._repeated_blocks()
    assert [[block.name for block in run] for run in runs] == [
        [f"stage1_block{i}" for i in range(2, 6)],
        [f"stage2_block{i}" for i in range(2, 5)],
    ]
    model = built(stochastic_depth=0.5)
    assert model._repeated_blocks() == []
    model = built()
    model.get_layer("stage1_block3").trainable = False
    assert [len(run) for run in model._repeated_blocks()] == [3]
    model.get_layer("stage1_block3").trainable = True
    assert [len(run) for run in model._repeated_blocks()] == [4, 3]


def test_a_run_with_dropout_draws_anew_in_each_block(monkeypatch):
    monkeypatch.setattr(functional, "REPEATED", 3)
    model = built(dropout=0.5)
    assert model._repeated_blocks()
    images = normal(2, 12, 12, 3)
    one, other = (as_numpy(model(images, training=True)) for _ in range(2))
    assert np.abs(one - other).max() > 1e-3
    seeds = [as_numpy(v) for v in model.variables if "seed" in v.path]
    model(images, training=True)
    assert all((before != as_numpy(v)).any() for before, v in zip(seeds, [v for v in model.variables if "seed" in v.path], strict=True))


def test_a_reloaded_network_repeats_too(monkeypatch, tmp_path):
    monkeypatch.setattr(functional, "REPEATED", 3)
    model = built()
    model.save(tmp_path / "model.keras")
    images = normal(2, 12, 12, 3)
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [len(run) for run in loaded._repeated_blocks()] == [4, 3]
    assert tolerances.difference(loaded.predict(images, verbose=0), model.predict(images, verbose=0)) < 1e-6
