"""Samplers against a case that is known in closed form, their random numbers, guidance, and wrong arguments."""

import keras
import numpy as np
import pytest

from keras_resnet.diffusion import Schedule, sample
from keras_resnet.models import diffusion_unet
from tests.arrays import as_numpy, normal
from tests.quick import quick_on_torch

MEAN, DEVIATION = 0.4, 0.5  # of normally distributed data, pixel by pixel


def exact(kind: str, prediction: str = "epsilon"):
    """What a perfect network gives for that data, as a function that `sample` takes: the expectation given the noisy picture."""
    schedule = Schedule(kind)

    def run(images, times, labels):
        left = schedule.alphas_cumprod[times].reshape(-1, 1, 1, 1)
        total = left * DEVIATION**2 + 1 - left
        noise = np.sqrt(1 - left) * (images - np.sqrt(left) * MEAN) / total
        picture = (MEAN * (1 - left) + np.sqrt(left) * DEVIATION**2 * images) / total
        return (noise if prediction == "epsilon" else np.sqrt(left) * noise - np.sqrt(1 - left) * picture).astype("float32")

    return run


def measured(model, **settings) -> np.ndarray:
    return sample(model, 64, shape=(16, 16, 4), seed=0, clip=False, verbose=False, **settings)


@quick_on_torch
@pytest.mark.parametrize("kind", ["linear", "cosine"])
@pytest.mark.parametrize("prediction", ["epsilon", "v"])
@pytest.mark.parametrize(
    "settings",
    [
        dict(sampler="ddpm"),
        dict(sampler="ddpm", variance="small"),
        dict(sampler="ddim", steps=500),
        dict(sampler="ddim", steps=1000, eta=1.0),
    ],
    ids=str,
)
def test_closed_form(kind, prediction, settings):
    """Mean and variance within 2 %, of 65,536 numbers: their own standard errors are 0.5 % and 0.6 %."""
    images = measured(exact(kind, prediction), schedule=kind, prediction=prediction, **settings).astype("float64")
    assert abs(images.mean() / MEAN - 1) < 0.02
    assert abs(images.var() / DEVIATION**2 - 1) < 0.02
    # Normal too: the fourth moment is 3 variances squared.
    assert abs(((images - images.mean()) ** 4).mean() / images.var() ** 2 - 3) < 0.1


def test_both_predictions_are_one_sampler():
    first, second = (measured(exact("cosine", kind), schedule="cosine", prediction=kind, steps=20) for kind in ("epsilon", "v"))
    assert np.abs(first - second).max() < 1e-3


def test_a_learned_variance_lies_between():
    """Half of the output says where between the small and the large one: at its ends it is they."""
    noise = exact("linear")
    for variance, says in (("small", -1.0), ("large", 1.0)):

        def both(images, times, labels, says=says):
            return np.concatenate([noise(images, times, labels), np.full_like(images, says)], -1)

        settings = dict(sampler="ddpm", steps=100)
        assert np.abs(measured(both, **settings) - measured(noise, variance=variance, **settings)).max() < 1e-4


def test_pictures_depend_on_seed_and_place_alone():
    settings = dict(shape=(4, 4, 1), steps=5, sampler="ddpm", verbose=False)
    images = sample(exact("linear"), 7, seed=3, **settings)
    assert images.dtype == "float32"
    assert np.abs(images).max() <= 1
    assert (sample(exact("linear"), 7, seed=3, batch_size=2, **settings) == images).all()
    assert (sample(exact("linear"), 4, seed=3, **settings) == images[:4]).all()
    assert np.abs(sample(exact("linear"), 7, seed=4, **settings) - images).max() > 0.1
    assert np.abs(images[0] - images[1]).max() > 0.1
    one, other = (sample(exact("linear"), 2, seed=None, **settings) for _ in range(2))
    assert np.abs(one - other).max() > 0.1


def test_one_step_of_ddim_by_hand():
    """From pure noise straight to the picture that it aims at."""
    image = sample(exact("linear"), 1, steps=1, seed=0, shape=(2, 2, 1), clip=False, schedule="linear", verbose=False)
    stream = np.random.Generator(np.random.PCG64(np.random.SeedSequence(0).spawn(1)[0]))
    noise = stream.standard_normal((1, 2, 2, 1), "float32")
    left = Schedule().alphas_cumprod[-1]
    aim = (noise - np.sqrt(1 - left) * exact("linear")(noise, np.array([999]), None)) / np.sqrt(left)
    assert np.abs(image - aim).max() < 1e-4


def test_guidance():
    """`without + w (with - without)`, the network asked once for both."""
    asked = []

    def run(images, times, labels):
        asked.append(labels.tolist())
        return np.broadcast_to(np.where(labels < 0, 0.0, 0.01 * labels)[:, None, None, None], images.shape).astype("float32")

    settings = dict(shape=(2, 2, 1), steps=1, seed=0, clip=False, verbose=False)
    free, led, more = (sample(run, 2, labels=[1, 3], guidance=w, **settings) for w in (0, 1, 2.5))
    assert asked == [[1, 3, -1, -1], [1, 3], [1, 3, -1, -1]]
    assert np.abs((more - free) - 2.5 * (led - free)).max() < 1e-3
    assert np.abs(led - free).min() > 0.1
    sample(run, 3, labels=2, **settings)
    assert asked[-1] == [2, 2, 2]


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    model = diffusion_unet(width=8, multipliers=(1,), depth=1, attention_strides=(), scale_shift=True, input_shape=(6, 4, 1), classes=3)
    for number, variable in enumerate(model.weights):
        variable.assign(as_numpy(variable) + normal(*variable.shape, seed=number, deviation=0.1))
    return model


# Drawn with the network above by PyTorch: sums of each picture's columns.
COLUMNS = {
    "ddim": [[-4.0, 0.0, 2.0, 2.0], [0.0, 3.9448, -2.16632, -2.33097]],
    "ddpm": [[-2.18896, -2.194, -1.6441, 1.55665], [0.21685, -1.24795, -0.63141, 2.73545]],
}


@pytest.mark.parametrize("sampler", COLUMNS)
def test_a_bare_network_on_every_backend(network, sampler):
    images = sample(network, 2, sampler=sampler, steps=4, labels=[0, 2], seed=1, verbose=False)
    assert images.shape == (2, 6, 4, 1)
    assert np.abs(images.sum((1, 3)) - COLUMNS[sampler]).max() < 1e-3


@quick_on_torch
def test_channels_first_and_a_learned_variance():
    """Guided, both halves of the output, whichever axis they are on."""
    settings = dict(width=8, multipliers=(1,), depth=1, attention_strides=(), scale_shift=True, learn_sigma=True, classes=2)
    last = diffusion_unet(input_shape=(6, 4, 1), data_format="channels_last", **settings)
    first = diffusion_unet(input_shape=(1, 6, 4), data_format="channels_first", **settings)
    for number, (new, old) in enumerate(zip(first.weights, last.weights, strict=True)):
        old.assign(as_numpy(old) + normal(*old.shape, seed=number, deviation=0.1))
        new.assign(as_numpy(old))
    noise = normal(2, 6, 4, 1)
    draws = dict(sampler="ddpm", steps=1, labels=[0, 1], guidance=2.0, seed=0, verbose=False)
    images = sample(first, 2, **draws)
    assert images.shape == (2, 1, 6, 4)
    times = np.array([5, 900], "int32")
    turned = [
        np.asarray(model.predict_on_batch([x, times, times % 2])) for model, x in ((last, noise), (first, noise.transpose(0, 3, 1, 2)))
    ]
    assert np.abs(turned[0].transpose(0, 3, 1, 2) - turned[1]).max() < 1e-4
    # The first noise is drawn in the order of memory, which with one channel is the same.
    assert np.abs(images.transpose(0, 2, 3, 1) - sample(last, 2, **draws)).max() < 1e-3


def test_progress_bar(capsys):
    sample(exact("linear"), 2, steps=3, shape=(2, 2, 1))
    assert "0/3" in capsys.readouterr().err
    sample(exact("linear"), 2, steps=3, shape=(2, 2, 1), verbose=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (dict(num=0), "`num`"),
        (dict(sampler="euler"), "'ddpm', 'ddim'"),
        (dict(steps=1001), "from 1 to the schedule's 1000"),
        (dict(steps=0), "`steps`"),
        (dict(steps=30, schedule=Schedule(steps=20)), "the schedule's 20"),
        (dict(eta=1.5), "`eta`"),
        (dict(eta=0.5, sampler="ddpm"), "`eta` is DDIM's"),
        (dict(labels=[0, 3]), "from 0 to 2"),
        (dict(labels=-2), "labels from -2"),
        (dict(labels=[0, 1, 2]), "each of 2 pictures"),
        (dict(labels=[0.5, 1]), "integers"),
        (dict(guidance=2.0), "labels=None"),
        (dict(guidance=-1.0, labels=1), "`guidance`"),
        (dict(shape=(8, 8, 1)), "`shape`"),
        (dict(schedule="sigmoid"), "'linear', 'cosine'"),
        (dict(prediction="score"), "'epsilon', 'v'"),
        (dict(variance="medium"), "'small', 'large'"),
        (dict(clip=1), "`clip`"),
        (dict(batch_size=0), "`batch_size`"),
        (dict(seed=-1), "`seed`"),
        (dict(verbose=2), "`verbose`"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else value,
)
def test_wrong_arguments(network, settings, says):
    with pytest.raises(ValueError, match=says):
        sample(network, **{"num": 2, **settings})


def test_wrong_networks(network):
    with pytest.raises(ValueError, match="a network, or a function"):
        sample("ddpm_cifar10", 2)
    with pytest.raises(ValueError, match=r"\[images, timesteps\]"):
        sample(keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(1, 1)]), 2)
    with pytest.raises(ValueError, match="pass it by `shape`"):
        sample(exact("linear"), 2)
    with pytest.raises(ValueError, match="At step 999 the network gave NaN"):
        sample(lambda images, times, labels: images * np.nan, 2, shape=(2, 2, 1), verbose=False)
    for wrong, received in (
        (None, "Received: None"),
        (np.zeros((2, 2, 2, 3)), r"shape \(2, 2, 2, 1\), or .* of \(2, 2, 2, 2\)\. Received: the shape \(2, 2, 2, 3\)"),
        (np.zeros((1, 2, 2, 1)), r"Received: the shape \(1, 2, 2, 1\)"),
        ("noise", "must give numbers"),
    ):
        for guided in ({}, dict(labels=[0, 1], guidance=2.0)):
            with pytest.raises(ValueError, match=received if not guided else "`model`, a function, must give"):
                sample(lambda images, times, labels, wrong=wrong: wrong, 2, shape=(2, 2, 1), verbose=False, **guided)
    plain = diffusion_unet(width=8, multipliers=(1,), depth=1, attention_strides=(), input_shape=(None, None, 1))
    with pytest.raises(ValueError, match="has no classes"):
        sample(plain, 2, labels=1, shape=(4, 4, 1))
    with pytest.raises(ValueError, match="size of pictures is not known"):
        sample(plain, 2)
