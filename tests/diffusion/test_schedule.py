"""Schedules: the published numbers, other lengths, files, and wrong arguments."""

import keras
import numpy as np
import pytest

from keras_resnet.diffusion import Schedule
from keras_resnet.diffusion.schedule import check_schedule


def test_linear():
    schedule = Schedule()
    assert schedule.betas[[0, -1]].tolist() == [1e-4, 0.02]
    found = schedule.alphas_cumprod[[0, 1, 499, 999]]
    assert np.abs(found - [0.9999, 0.99978009, 0.07858724, 4.03583e-5]).max() < 1e-6
    assert abs(found[-1] / 4.03583e-5 - 1) < 1e-6


def test_cosine():
    schedule = Schedule("cosine")
    assert np.abs(schedule.betas[[0, 499, 998, 999]] - [4.12842e-5, 0.00314589, 0.749999, 0.999]).max() < 1e-6
    assert abs(schedule.alphas_cumprod[499] - 0.4938436) < 1e-6


@pytest.mark.parametrize("kind", ["linear", "cosine"])
@pytest.mark.parametrize("steps", [2, 10, 4000])
def test_any_number_of_steps_ends_in_noise(kind, steps):
    schedule = Schedule(kind, steps)
    assert len(schedule.betas) == len(schedule.alphas_cumprod) == steps
    assert ((schedule.betas > 0) & (schedule.betas < 1)).all()
    assert (np.diff(schedule.alphas_cumprod) < 0).all()
    assert schedule.alphas_cumprod[-1] < 1e-2


def test_config_gives_the_same_schedule():
    schedule = Schedule("linear", 200, beta_start=1e-3, beta_end=0.05)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert again.get_config() == schedule.get_config()
    assert (again.betas == schedule.betas).all()
    assert check_schedule("cosine").kind == "cosine"
    assert check_schedule(None).get_config() == Schedule().get_config()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Schedule("sigmoid"), "'linear', 'cosine'"),
        (lambda: Schedule(steps=1), "at least 2"),
        (lambda: Schedule(steps=10.0), "`steps`"),
        (lambda: Schedule(beta_end=1.0), "`beta_end`"),
        (lambda: Schedule(beta_start=0.0), "above 0"),
        (lambda: Schedule("cosine", beta_start=0.1), "a cosine has none"),
        (lambda: Schedule(beta_start=0.5, beta_end=0.1), "at least `beta_start`.*beta_start=0.5, beta_end=0.1"),
        (lambda: Schedule(beta_start=0.5), r"beta_end=None, which for 1000 steps are 0\.5 and 0\.02"),
        (lambda: check_schedule(1000), r"diffusion\.Schedule"),
        (lambda: check_schedule("quadratic"), "'linear', 'cosine'"),
    ],
)
def test_wrong_arguments(make, says):
    with pytest.raises(ValueError, match=says):
        make()
