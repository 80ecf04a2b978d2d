"""Learning rates and optimizers of recipes, against formulas."""

import dataclasses
import math

import keras
import numpy as np
import pytest

from keras_resnet import learning
from tests.arrays import as_numpy, normal
from training.optimization import class_loss, network, optimizer, rate
from training.recipe import Loss, Network, Optimizer, Recipe, Schedule

STEPS = 10  # an epoch


def rates(schedule: Schedule, *steps: int) -> list[float]:
    found = rate(Recipe("mine", schedule=schedule, optimizer=Optimizer(rate=0.4), epochs=10), STEPS)
    return [float(as_numpy(found(step))) if callable(found) else found for step in steps]


def test_rates():
    steps = Schedule("step", milestones=(3, 6), factor=0.2)
    assert rates(steps, 0, 29, 30, 59, 60) == pytest.approx([0.4, 0.4, 0.08, 0.08, 0.016])
    behind = dataclasses.replace(steps, warm_up=1, start=0.1)  # milestones are of the whole training
    assert rates(behind, 0, 5, 10, 29, 30, 60) == pytest.approx([0.04, 0.22, 0.4, 0.4, 0.08, 0.016])
    held = dataclasses.replace(behind, hold=True)
    assert rates(held, 0, 9, 10, 29, 30) == pytest.approx([0.04, 0.04, 0.4, 0.4, 0.08])
    cosine = Schedule("cosine", warm_up=2)
    assert rates(cosine, 10, 20, 60, 100) == pytest.approx([0.2, 0.4, 0.2, 0.0], abs=1e-6)
    assert rates(Schedule("cosine"), 25) == pytest.approx([0.2 * (1 + math.cos(math.pi / 4))])
    assert rates(Schedule("polynomial", power=0.9), 0, 50, 100) == pytest.approx([0.4, 0.4 * 0.5**0.9, 0.0])
    assert rates(Schedule("constant"), 7) == [0.4]
    assert rates(Schedule("constant", warm_up=1), 5, 70) == pytest.approx([0.2, 0.4])


def model() -> keras.Model:
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.BatchNormalization()])


def made(**settings) -> keras.optimizers.Optimizer:
    return optimizer(Recipe("mine", optimizer=Optimizer(**settings)), STEPS, model())


def test_optimizers():
    sgd = made(momentum=0.8, nesterov=True, weight_decay=0.1, clip_norm=2.0, accumulate=4)
    assert isinstance(sgd, learning.SGD)
    assert (sgd.momentum, sgd.nesterov, sgd.weight_decay, sgd.global_clipnorm) == (0.8, True, 0.1, 2.0)
    assert sgd.gradient_accumulation_steps == 4
    assert made().gradient_accumulation_steps is None
    assert isinstance(made(kind="lamb"), learning.Lamb)
    assert made(kind="adamw", weight_decay=0.02).weight_decay == 0.02
    assert made(kind="adam").weight_decay is None


@pytest.mark.parametrize("decay_all", [True, False])
def test_what_decays(decay_all):
    chain = model()
    found = optimizer(Recipe("mine", optimizer=Optimizer(weight_decay=0.1, decay_all=decay_all)), STEPS, chain)
    assert [found._use_weight_decay(one) for one in chain.trainable_variables] == [True] + [decay_all] * 3


def test_losses():
    assert isinstance(class_loss(Recipe("mine", loss=Loss("binary", threshold=0.2))), learning.BinaryCrossentropy)
    with pytest.raises(ValueError, match=r"`loss.kind` of a classification"):
        class_loss(Recipe("mine", loss=Loss("noise")))


def test_a_head_that_starts_at_zero_behind_dropout():
    small = {"depths": (1, 1, 1), "widths": (4, 8, 8)}
    made = network(Recipe("mine", network=Network("resnet20", small, zero_head=True, dropout=0.5)), input_shape=(8, 8, 3), classes=5)
    plain = network(Recipe("mine", network=Network("resnet20", small)), input_shape=(8, 8, 3), classes=5)
    assert type(made) is type(plain)
    assert [variable.path for variable in made.trainable_variables] == [variable.path for variable in plain.trainable_variables]
    assert not any(as_numpy(variable).any() for variable in made.get_layer("head").weights)
    made.set_weights(plain.get_weights())
    images = normal(2, 8, 8, 3)
    expected = as_numpy(plain(images))
    np.testing.assert_array_equal(as_numpy(made(images)), expected)
    assert (as_numpy(made(images, training=True)) != as_numpy(made(images, training=True))).any()
    with pytest.raises(ValueError, match=r"`network.zero_head` and `network.dropout` are for classifiers. Received: network.name='unet'"):
        network(Recipe("mine", network=Network("unet", {"widths": (4, 8)}, dropout=0.5)))


def test_networks_that_there_are_not():
    with pytest.raises(ValueError, match="no network named 'resnet21'"):
        network(Recipe("mine", network=Network("resnet21")))
    with pytest.raises(ValueError, match=r"`network.settings`: resnet20 has no argument 'dephts'. Did you mean 'depths'"):
        network(Recipe("mine", network=Network("resnet20", settings={"dephts": (1, 1, 1)})))
