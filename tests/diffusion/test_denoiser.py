"""The trainable model: what it learns from, that `fit` learns, averaged weights, files, and wrong data."""

import keras
import numpy as np
import pytest

from keras_resnet.diffusion import Diffusion, Schedule
from keras_resnet.models import diffusion_unet
from tests.arrays import as_numpy, normal, values
from tests.quick import ON_TORCH, quick_on_torch


def network(**settings) -> keras.Model:
    defaults = dict(width=8, multipliers=(1,), depth=1, attention_strides=(), scale_shift=True, input_shape=(4, 4, 1))
    return diffusion_unet(**{**defaults, **settings})


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_what_is_learned_from(prediction):
    schedule = Schedule("cosine", 50)
    model = Diffusion(network(), schedule, prediction, seed=1)
    images = normal(4000, 4, 4, 1)
    found = {key: as_numpy(value).astype("float64") for key, value in model(images).items()}
    times = found["timesteps"].astype(int)
    assert set(times) == set(range(50))
    left = schedule.alphas_cumprod[times].reshape(-1, 1, 1, 1)
    noise = (found["images"] - np.sqrt(left) * images) / np.sqrt(1 - left)
    target = noise if prediction == "epsilon" else np.sqrt(left) * noise - np.sqrt(1 - left) * images
    late = times > 5  # where dividing by the noise's share costs no digits
    assert np.abs(target - found["target"])[late].max() < 1e-4
    assert abs(noise[late].mean()) < 0.02
    assert abs(noise[late].var() - 1) < 0.03
    again = as_numpy(model(images)["images"])
    assert np.abs(again - found["images"]).max() > 0.1
    twin = Diffusion(network(), schedule, prediction, seed=1)
    assert (as_numpy(twin(images)["target"]) == found["target"]).all()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model that has learned from two classes of flat pictures, its losses, its file, and the weights' running average."""
    keras.utils.set_random_seed(0)
    labels = np.arange(32, dtype="int32") % 2
    images = np.broadcast_to((labels * 1.2 - 0.6)[:, None, None, None], (32, 4, 4, 1)).astype("float32").copy()
    model = Diffusion(network(classes=2), Schedule("cosine", 50), seed=0)
    model.compile(keras.optimizers.Adam(1e-2, use_ema=True, ema_momentum=0.9))
    losses = model.fit(images, labels, batch_size=32, epochs=100, verbose=0).history["loss"]
    path = tmp_path_factory.mktemp("diffusion") / "model.keras"
    model.save(path)
    return model, losses, path, images, labels


def test_fit_learns(trained):
    model, losses, *_ = trained
    assert 0.8 < losses[0] < 1.3
    assert np.mean(losses[-10:]) < 0.6 * np.mean(losses[:3])
    written = model.sample(64, steps=20, labels=np.arange(64) % 2, guidance=2.0, seed=0, verbose=False)
    sides = written.mean((1, 2, 3))
    assert sides[1::2].mean() - sides[0::2].mean() > 0.4


def test_what_is_left_is_the_average(trained):
    """Keras puts the averages in the weights' place; without `use_ema` the same steps end elsewhere."""
    model, *_ = trained
    averages = [v for v in model.optimizer.variables if "average" in v.path]
    assert len(averages) == len(model.trainable_variables) > 10
    for variable, average in zip(model.trainable_variables, averages, strict=True):
        assert (as_numpy(variable) == as_numpy(average)).all()


def test_file(trained):
    model, _, path, images, labels = trained
    loaded = keras.saving.load_model(path)
    settings = [{k: v for k, v in one.get_config().items() if k != "network"} for one in (loaded, model)]
    assert settings[0] == settings[1]
    assert loaded.optimizer.use_ema
    draw = dict(steps=3, labels=[0, 1], guidance=1.5, seed=5, verbose=False)
    assert np.abs(loaded.sample(2, **draw) - model.sample(2, **draw)).max() < 1e-6
    before = values(loaded)
    loaded.fit(images, labels, batch_size=32, verbose=0)
    after = values(loaded)
    assert [path for path in before if "seed" not in path and (before[path] == after[path]).all()] == []
    assert loaded.get_compile_config()["optimizer"]["module"] == "keras.optimizers"


def test_dropped_labels():
    """The stated share becomes -1 in training, and none outside."""
    model = Diffusion(network(classes=3), label_dropout=0.25, seed=0)
    labels = keras.ops.convert_to_tensor(np.arange(3000, dtype="int32") % 3)
    seen = as_numpy(model._labels(labels, labels, True)[0])
    assert abs((seen == -1).mean() - 0.25) < 0.03
    assert (seen[seen >= 0] == as_numpy(labels)[seen >= 0]).all()
    assert (as_numpy(model._labels(labels, labels, False)[0]) == as_numpy(labels)).all()


@quick_on_torch
def test_weighted_samples():
    """Twice the weight is twice the loss, of the same times and noise."""
    images, labels = normal(8, 4, 4, 1), np.zeros(8, "int32")
    losses = []
    for weight in (1.0, 2.0):
        keras.utils.set_random_seed(0)
        model = Diffusion(network(classes=1), seed=0)
        model.compile("sgd")
        losses.append(model.evaluate(images, labels, sample_weight=np.full(8, weight, "float32"), batch_size=8, verbose=0))
    assert 0.6 < losses[0] < 1.6
    assert abs(losses[1] / losses[0] - 2) < 1e-4


@quick_on_torch
def test_each_sample_has_its_own_weight():
    """Of one weight that is not zero the loss is that sample's alone, in either shape."""
    images, labels = normal(4, 4, 4, 1), np.zeros(4, "int32")
    losses = []
    for weights in (np.eye(4, dtype="float32")[1], np.eye(4, dtype="float32")[1][:, None], np.ones(4, "float32")):
        keras.utils.set_random_seed(0)
        model = Diffusion(network(classes=1), seed=0)
        model.compile("sgd")
        losses.append(model.evaluate(images, labels, sample_weight=weights, batch_size=4, verbose=0))
    assert abs(losses[0] - losses[1]) < 1e-6
    assert 0 < losses[0] < losses[2]
    with pytest.raises(ValueError, match="needs labels"):
        Diffusion(network()).fit(images, sample_weight=np.ones(4, "float32"))


@quick_on_torch
def test_a_wrong_label_in_a_data_set_costs_no_weights():
    """The loss is NaN, and the weights are those of a step in which it was no class."""
    found = []
    for label in (5, -1):
        keras.utils.set_random_seed(0)
        model = Diffusion(network(classes=2), seed=0, label_dropout=0.0)
        model.compile(keras.optimizers.SGD(0.1))
        labels = np.array([0, label, 1, 1], "int32")
        loss = model.fit(((normal(4, 4, 4, 1), labels) for _ in range(1)), steps_per_epoch=1, shuffle=False, verbose=0).history["loss"][0]
        assert np.isnan(loss) == (label == 5)
        found.append(values(model.network))
    assert all(np.isfinite(value).all() and (value == found[1][key]).all() for key, value in found[0].items())


def test_without_labels():
    model = Diffusion(network(), seed=0)
    model.compile(keras.optimizers.SGD(1e-3))
    assert 0.6 < model.fit(normal(8, 4, 4, 1), batch_size=8, verbose=0).history["loss"][0] < 1.6


def test_mixed_precision_learns_in_float32():
    model = Diffusion(network(dtype="mixed_bfloat16"), seed=0)
    assert keras.backend.standardize_dtype(model(normal(2, 4, 4, 1))["images"].dtype) == "float32"
    if ON_TORCH:
        model.compile("sgd")
        assert np.isfinite(model.fit(normal(2, 4, 4, 1), verbose=0).history["loss"][0])


LOW = np.full(8, 1e-6, "float32")  # weights of samples: without a scale the gradients would be zero in float16


def fitted(dtype: str) -> tuple[keras.Model, np.ndarray]:
    """A model after a step, and how far its variables moved."""
    keras.utils.set_random_seed(0)
    model = Diffusion(network(dtype=dtype, classes=1, norm=None), seed=0, label_dropout=0.0)
    for place, variable in enumerate(model.network.trainable_variables):  # else the last of each block starts near zero
        variable.assign(np.random.default_rng(place).normal(0, 0.1, variable.shape))
    before = values(model.network)
    model.compile(keras.optimizers.SGD(2e4, use_ema=True, ema_momentum=0.5))
    model.fit(normal(8, 4, 4, 1), np.zeros(8, "int32"), sample_weight=LOW, batch_size=8, verbose=0)
    return model, np.concatenate([(value - before[path]).ravel() for path, value in values(model.network).items()])


def test_float16_learns():
    model, moved = fitted("mixed_float16")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert np.isfinite(moved).all()
    assert (moved != 0).mean() > 0.9  # without a scale 0.006


@quick_on_torch
def test_float16_learns_what_float32_does(tmp_path):
    """And the file keeps the scale and the averaged weights."""
    _, expected = fitted("float32")
    model, moved = fitted("mixed_float16")
    assert np.linalg.norm(moved - expected) < 0.01 * np.linalg.norm(expected)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.optimizer, keras.optimizers.LossScaleOptimizer)
    assert loaded.optimizer.inner_optimizer.use_ema
    assert loaded.optimizer.inner_optimizer.built


@pytest.mark.parametrize(
    ("images", "labels", "says"),
    [
        (np.zeros((4, 4, 4, 1), "uint8"), np.zeros(4, int), "floating-point"),
        (np.zeros((4, 5, 4, 1), "float32"), np.zeros(4, int), r"of the shape \(None, 4, 4, 1\)"),
        (np.zeros((4, 4, 1), "float32"), np.zeros(4, int), "of the shape"),
        (np.zeros((0, 4, 4, 1), "float32"), np.zeros(0, int), "no image"),
        (np.full((4, 4, 4, 1), np.nan, "float32"), np.zeros(4, int), "finite"),
        (np.linspace(0, 255, 64, dtype="float32").reshape(4, 4, 4, 1), np.zeros(4, int), r"images / 127.5 - 1 .*Received: 0 to 255\."),
        (np.full((4, 4, 4, 1), -17, "float32"), np.zeros(4, int), "-16 to 16"),
        ([np.zeros((4, 4, 1), "float32")] * 4, np.zeros(4, int), r"np\.stack\(images\)\. Received: list of 4"),
        (np.zeros((4, 4, 4, 1), "float32"), [0, 1, 2, 0], r"np\.array\(labels\)\. Received: list of 4"),
        ({"images": np.zeros((4, 4, 4, 1), "float32")}, None, "one array. Received: dict"),
        (None, None, r"pass fit\(images\)"),
        (np.zeros((4, 4, 4, 1), "float32"), np.full(4, 3), "from 0 to 2"),
        (np.zeros((4, 4, 4, 1), "float32"), np.eye(4)[:, :3], "Labels must be integers"),
        (np.zeros((4, 4, 4, 1), "float32"), None, "pass labels"),
    ],
)
def test_wrong_data(images, labels, says):
    model = Diffusion(network(classes=3))
    model.compile("sgd")
    before = values(model)
    with pytest.raises(ValueError, match=says):
        model.fit(images, labels, verbose=0)
    after = values(model)
    assert all((before[path] == after[path]).all() for path in before)


def test_wrong_batches_leave_the_model_as_it_was():
    """Data sets are not looked at before training; on JAX Keras then forgets the values of the variables."""
    model = Diffusion(network(classes=3))
    model.compile("sgd")
    before = values(model)
    with pytest.raises(ValueError, match="pass labels"):
        model.fit(((np.zeros((4, 4, 4, 1), "float32"),) for _ in range(2)), shuffle=False, verbose=0)
    after = values(model)
    assert all((before[path] == after[path]).all() for path in before if "seed" not in path)


def test_labels_for_a_network_without():
    model = Diffusion(network())
    model.compile("sgd")
    with pytest.raises(ValueError, match="has no classes"):
        model.fit(np.zeros((4, 4, 4, 1), "float32"), np.zeros(4, int), verbose=0)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Diffusion(network(), prediction="score"), "'epsilon', 'v'"),
        (lambda: Diffusion(network(), label_dropout=1.0), "`label_dropout`"),
        (lambda: Diffusion(network(learn_sigma=True)), "learns the variance"),
        (lambda: Diffusion(network(), schedule=3), "`schedule`"),
        (lambda: Diffusion("ddpm_cifar10"), r"\[images, timesteps\]"),
        (lambda: Diffusion(network()).compile("sgd", "mse"), "own loss.*leave out `loss`.*loss='mse'"),
        (lambda: Diffusion(network()).compile("sgd", metrics=["mae"]), "leave out `metrics`"),
    ],
)
def test_wrong_arguments(make, says):
    with pytest.raises(ValueError, match=says):
        make()
