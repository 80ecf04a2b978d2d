"""Schedules at every step beside their formulas, Keras's own ones that the docstrings rely on among them."""

import math

import keras
import numpy as np
import pytest

from keras_resnet.learning import StepDecay, WarmUp
from tests.arrays import as_numpy
from tests.quick import quick_on_torch

Keras = keras.optimizers.schedules


def rates(schedule, steps: int) -> np.ndarray:
    return np.array([float(schedule(step)) for step in range(steps)])


def cosine(step: int, peak: float, end: float, steps: int) -> float:
    return end + (peak - end) * 0.5 * (1 + math.cos(math.pi * min(step, steps) / steps))


def polynomial(step: int, peak: float, end: float, steps: int, power: float) -> float:
    return end + (peak - end) * (1 - min(step, steps) / steps) ** power


def stepped(step: int) -> float:
    return 0.5 * 0.1 ** sum(step >= milestone for milestone in (4, 9))


AFTER = {
    "cosine": (lambda: Keras.CosineDecay(0.5, 12, alpha=0.1), lambda step: cosine(step, 0.5, 0.05, 12)),
    "polynomial": (lambda: Keras.PolynomialDecay(0.5, 12, 0.01, power=2.0), lambda step: polynomial(step, 0.5, 0.01, 12, 2)),
    "steps": (lambda: StepDecay(0.5, (4, 9)), stepped),
    "constant": (lambda: 0.5, lambda step: 0.5),
}


@pytest.mark.parametrize("name", AFTER)
def test_a_rise_in_front_of_every_schedule(name):
    make, formula = AFTER[name]
    schedule = WarmUp(make(), steps=5, start=0.1)
    expected = [0.1 + 0.4 * step / 5 if step < 5 else formula(step - 5) for step in range(20)]
    np.testing.assert_allclose(rates(schedule, 20), expected, rtol=1e-6)
    again = Keras.deserialize(Keras.serialize(schedule))
    assert isinstance(again, WarmUp)
    assert (rates(again, 20) == rates(schedule, 20)).all()


def test_a_rate_that_holds_and_then_starts():
    schedule = WarmUp(StepDecay(0.5, (4, 9)), steps=5, start=0.1, hold=True)
    np.testing.assert_allclose(rates(schedule, 20), [0.1 if step < 5 else stepped(step - 5) for step in range(20)], rtol=1e-6)
    assert (rates(Keras.deserialize(Keras.serialize(schedule)), 20) == rates(schedule, 20)).all()


def test_keras_own_rise_is_the_same():
    own = Keras.CosineDecay(0.1, 12, alpha=0.1, warmup_target=0.5, warmup_steps=5)
    np.testing.assert_allclose(rates(own, 20), rates(WarmUp(Keras.CosineDecay(0.5, 12, alpha=0.1), 5, start=0.1), 20), rtol=1e-6)


@quick_on_torch
def test_steps_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, device="cpu", requires_grad=True)], lr=0.5)
    theirs, expected = torch.optim.lr_scheduler.MultiStepLR(optimizer, [4, 9], gamma=0.3), []
    for _ in range(12):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    np.testing.assert_allclose(rates(StepDecay(0.5, (4, 9), factor=0.3), 12), expected, rtol=1e-6)
    late = rates(Keras.PiecewiseConstantDecay([4], [0.5, 0.15]), 6)  # why there is a class of ours
    assert (late[4], late[5]) == (0.5, pytest.approx(0.15))


def test_an_optimizer_follows_and_is_saved():
    optimizer = keras.optimizers.SGD(WarmUp(StepDecay(1.0, (2,)), steps=2))
    variable, seen = keras.Variable(np.zeros(1, "float32")), []
    for _ in range(6):
        before = float(as_numpy(variable)[0])
        optimizer.apply([keras.ops.ones((1,))], [variable])
        seen.append(before - float(as_numpy(variable)[0]))
    np.testing.assert_allclose(seen, [0, 0.5, 1, 1, 0.1, 0.1], atol=1e-6)
    again = keras.optimizers.SGD.from_config(optimizer.get_config())
    assert rates(again._learning_rate, 6).tolist() == pytest.approx([0, 0.5, 1, 1, 0.1, 0.1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WarmUp("cosine", 5), "`after` must be a number from 0"),
        (lambda: WarmUp(0.1, 0), "`steps` must be an integer of at least 1"),
        (lambda: WarmUp(0.1, 5, start=-1.0), "`start` must be a number from 0"),
        (lambda: StepDecay(0.1, (4, 4)), r"each above the one before. Received: milestones=\(4, 4\)"),
        (lambda: StepDecay(0.1, 30), "`milestones` must be steps from 1"),
        (lambda: StepDecay(-0.1, (4,)), "`rate` must be a number from 0"),
        (lambda: StepDecay(0.1, (4,), factor=math.nan), "`factor` must be a number from 0"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
