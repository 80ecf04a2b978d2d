"""Diffusion U-Nets: published counts, any size of image, every option, labels, and wrong arguments."""

import keras
import numpy as np
import pytest

from keras_resnet.models import diffusion_unet
from keras_resnet.models.diffusion_unet import DIFFUSION_UNETS
from tests import tolerances
from tests.arrays import as_numpy, normal, values
from tests.quick import ON_TORCH

# Trainable parameters: DDPM's as in its authors' source, ADM's and the improved DDPM's as guided-diffusion builds them.
COUNTS = {
    "ddpm_28": 1_623_169,
    "ddpm_cifar10": 35_746_307,
    "ddpm_256": 113_673_219,
    "improved_ddpm_cifar10": 52_546_438,
    "adm_64": 295_904_454,
    "adm_128": 421_529_606,
    "adm_256": 553_838_086,
    "adm_256_uncond": 552_814_086,
    "adm_512": 558_997_638,
}
on_torch = pytest.mark.skipif(not ON_TORCH, reason="counts are the same on every backend; PyTorch needs no memory")
TIMES = np.array([3, 700], "int32")
LABELS = np.array([2, -1], "int32")


def small(**settings) -> keras.Model:
    """Two levels of one block, attention at the lower one; five channels a group, since a norm of single ones would hide what is added."""
    shape = (1, 16, 12) if settings.get("data_format") == "channels_first" else (16, 12, 1)
    defaults = dict(width=40, multipliers=(1, 2), depth=1, attention_strides=(2,), input_shape=shape)
    return diffusion_unet(**{**defaults, **settings})


def awake(model: keras.Model) -> keras.Model:
    """Every variable moved, so that no branch is shut."""
    for number, variable in enumerate(model.trainable_variables):
        variable.assign(as_numpy(variable) + normal(*variable.shape, seed=number, deviation=0.1))
    return model


def predict(model: keras.Model, images: np.ndarray, times: np.ndarray = TIMES, labels: np.ndarray = LABELS) -> np.ndarray:
    return as_numpy(keras.ops.convert_to_tensor(model.predict_on_batch([images, times, labels][: len(model.inputs)])))


@on_torch
@pytest.mark.parametrize("name", COUNTS)
def test_counts(name):
    row = DIFFUSION_UNETS[name]
    with keras.device("meta"):
        model = row.builder(name=name, **row.settings)
    assert sum(int(np.prod(variable.shape)) for variable in model.trainable_variables) == row.params == COUNTS[name]
    assert len(model.inputs) == (3 if row.settings.get("classes") else 2)
    assert model.output_shape[1:3] == model.inputs[0].shape[1:3]


def test_every_row_has_a_count():
    assert DIFFUSION_UNETS.keys() == COUNTS.keys()


def test_any_size():
    model = awake(small(multipliers=(1, 1, 1), attention_strides=(), input_shape=(None, None, 2)))
    assert tuple(model.output_shape) == (None, None, None, 2)
    for size in ((65, 97), (33, 40)):
        images = normal(2, *size, 2)
        output = predict(model, images)
        assert output.shape == images.shape
    padded = np.pad(images, ((0, 0), (0, 3), (0, 0), (0, 0)), mode="edge")
    assert tolerances.difference(output, predict(model, padded)[:, :33]) < tolerances.LOGITS_FLOAT32
    fixed = small(input_shape=(15, 10, 1))
    assert tuple(fixed.output_shape) == (None, 15, 10, 1)
    assert all(layer.name not in ("pad", "crop") for layer in small().layers)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(dict(classes=3, dropout=0.1), marks=() if ON_TORCH else pytest.mark.full),
        dict(classes=4, scale_shift=True, resampling="residual", head_channels=4, embedding="adm", learn_sigma=True, norm_epsilon=1e-5),
    ],
    ids=["ddpm", "adm"],
)
def test_every_option_learns_and_is_kept(settings, tmp_path):
    """A training step moves every variable; the `.keras` file, bfloat16 and channels first give the same."""
    images = normal(2, 16, 12, 1)
    model = awake(small(**settings))
    before = values(model)
    model.compile(keras.optimizers.SGD(0.05), "mse")
    model.train_on_batch([images, TIMES, LABELS], np.concatenate([images] * model.output_shape[-1], -1))
    after = values(model)
    moved = {path: (before[path] != after[path]).any(-1) for path in before if "seed" not in path}
    # No label 0 or 1, whose rows stay.
    assert [path for path in moved if not moved[path].any()] == []
    assert [list(rows[:3]) for path, rows in moved.items() if path.endswith("label/table")] == [[False, False, True]]
    expected = predict(model, images)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [v.path for v in loaded.weights] == [v.path for v in model.weights]
    assert all((as_numpy(new) == as_numpy(old)).all() for new, old in zip(loaded.weights, model.weights, strict=True))
    if ON_TORCH:
        assert (predict(loaded, images) == expected).all()
    if ON_TORCH:  # Keras's own doing, and one more compilation elsewhere
        by_name = dict(images=images, timesteps=TIMES, labels=LABELS)
        assert (as_numpy(keras.ops.convert_to_tensor(model.predict_on_batch(by_name))) == expected).all()
    forms = [
        (dict(dtype="mixed_bfloat16"), 5 * tolerances.LOGITS_BFLOAT16),
        (dict(data_format="channels_first"), tolerances.LOGITS_FLOAT32),
    ]
    for form, tolerance in forms:
        other = small(**settings, **form)
        for new, old in zip(other.weights, model.weights, strict=True):
            assert new.path == old.path
            new.assign(as_numpy(old))  # on JAX a prediction gives its model's arrays away
        first = "data_format" in form
        y = predict(other, np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if first else images)
        assert y.dtype == "float32"
        assert tolerances.difference(y.transpose(0, 2, 3, 1) if first else y, expected) < tolerance


def test_time_and_labels_count():
    model = awake(small(classes=3))
    images = np.repeat(normal(1, 16, 12, 1), 2, 0)

    def apart(times, labels) -> float:
        first, second = predict(model, images, np.array(times, "int32"), np.array(labels, "int32"))
        return float(np.abs(first - second).max())

    assert apart([5, 5], [1, 1]) < 1e-6
    assert apart([5, 900], [1, 1]) > 1e-2
    assert apart([5, 5], [1, 2]) > 1e-2
    assert apart([5, 5], [1, -1]) > 1e-2
    finite = np.isfinite(predict(model, np.repeat(images, 2, 0), np.full(4, 5, "int32"), np.array([3, 2, -1, -2], "int32")))
    assert finite.reshape(4, -1).all(1).tolist() == [False, True, True, False]
    # No class is as good as a network without: the same numbers without the table.
    plain = small()
    labelled = {variable.path: variable for variable in model.weights}
    for variable in plain.weights:
        variable.assign(as_numpy(labelled[variable.path]))
    none = np.array([-1, -1], "int32")
    assert tolerances.difference(predict(model, images, TIMES, none), predict(plain, images)) < tolerances.LOGITS_FLOAT32


def test_a_fresh_network_sees_no_noise():
    """Blocks start as their shortcuts and the head near zero: the first loss is that of saying nothing, 1."""
    assert np.abs(predict(small(), normal(2, 16, 12, 1))).max() < 1e-3


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (dict(multipliers=()), "`multipliers`"),
        (dict(multipliers=(0.33,)), "whole channels"),
        (dict(multipliers=(1, -1)), "`multipliers`"),
        (dict(multipliers=(0,)), "whole channels"),
        (dict(attention_strides=(3,)), "1, 2"),
        (dict(attention_strides=2), "`attention_strides`"),
        (dict(head_channels=7), "`head_channels`"),
        (dict(num_heads=3), "`num_heads`"),
        (dict(resampling="pool"), "'conv', 'residual'"),
        (dict(padding="valid"), "'symmetric', 'same'"),
        (dict(embedding="fourier"), "'ddpm', 'adm'"),
        (dict(dropout=1), "`dropout`"),
        (dict(classes=0), "`classes`"),
        (dict(input_shape=(16, 16)), "height, width, channels"),
        (dict(input_shape=(16, 16, None)), "height, width, channels"),
        (dict(norm="layers"), "`norm`"),
        (dict(activation="swoosh"), "`activation`"),
        (dict(depth=0), "`depth`"),
        (dict(scale_shift=1), "`scale_shift`"),
    ],
    ids=str,
)
def test_wrong_arguments(settings, says):
    with pytest.raises(ValueError, match=says):
        small(**settings)
