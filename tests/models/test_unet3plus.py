"""UNet 3+: published counts, a transcription in stock Keras layers, any size of image, several outputs, recomputation, wrong arguments."""

import keras
import numpy as np
import pytest

from keras_resnet import models
from keras_resnet.models.unet3plus import UNETS3PLUS
from tests import tolerances
from tests.arrays import as_numpy, normal, values
from tests.check_layer import run
from tests.gradients import layer_gradients
from tests.models.dense_networks import check_learns_and_is_kept
from tests.models.stock import convolved, normalized, spread
from tests.quick import quick_on_torch

# Trainable parameters and statistics of the authors' networks, one class, three channels.
COUNTS = {"unet3plus": 26_971_777, "unet3plus_ds": 26_989_637, "unet3plus_ds_cgm": 26_991_687}
STATISTICS = 13_056
on_torch = pytest.mark.skipif(keras.backend.backend() != "torch", reason="the same on every backend; PyTorch needs no memory for it")
SLOW = [pytest.mark.full] if keras.backend.backend() == "jax" else []  # there a case compiles for seconds


def small(**settings) -> keras.Model:
    return models.unet3plus(**{"widths": (4, 6, 8), "skip_width": 4, "classes": 3, **settings})


@on_torch
@pytest.mark.parametrize("name", UNETS3PLUS)
def test_counts(name):
    row = UNETS3PLUS[name]
    with keras.device("meta"):
        model = row.builder(**row.settings)
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == COUNTS[name] == row.params
    assert sum(int(np.prod(v.shape)) for v in model.non_trainable_variables if "seed" not in v.path) == STATISTICS


def transcription(model: keras.Model, height: int, width: int) -> keras.Model:
    """The paper's network of three scales, with the weights of `model`."""
    image = x = keras.Input((height, width, 3))
    maps = []
    for scale in (1, 2, 3):
        down = model.get_layer(f"down{scale}")
        x = halved(x) if maps else x
        for conv, norm in ((down.conv1, down.norm1), (down.conv2, down.norm2)):
            x = normalized(norm, convolved(conv, x))
        maps.append(x)
    for own in (1, 0):
        up = model.get_layer(f"up{own + 1}")
        joined = []
        for place, one in enumerate(maps):
            for _ in range(own - place):
                one = halved(one)
            if place > own:
                one = keras.layers.Resizing(*maps[own].shape[1:3], data_format="channels_last")(one)  # bilinear
            branch = getattr(up, f"branch{place + 1}")
            joined.append(normalized(branch.norm1, convolved(branch.conv1, one)))
        maps[own] = normalized(up.fuse.norm1, convolved(up.fuse.conv1, keras.layers.Concatenate()(joined)))
    outputs = {"out": convolved(model.get_layer("head"), maps[0])}
    for place in (1, 2):
        side = convolved(model.get_layer(f"aux{place}"), maps[place])
        outputs[f"aux{place}"] = keras.layers.Resizing(height, width, data_format="channels_last")(side)
    return keras.Model(image, keras.layers.Concatenate()([outputs[key] for key in ("out", "aux1", "aux2")]))


def halved(x):
    return keras.layers.MaxPooling2D(2, padding="same", data_format="channels_last")(x)


@pytest.mark.parametrize("size", [pytest.param((12, 16), marks=SLOW), (13, 11)])
def test_forward_is_the_papers(size):
    model = spread(small(deep_supervision=True, data_format="channels_last"))
    images = normal(2, *size, 3)
    joined = keras.Model(model.input, keras.layers.Concatenate()([model.output[key] for key in ("out", "aux1", "aux2")]))
    y, expected = (as_numpy(run(one, images)) for one in (joined, transcription(model, *size)))
    assert tolerances.difference(y, expected) < tolerances.LOGITS_FLOAT32


@pytest.mark.parametrize("size", [(65, 97), pytest.param((32, 31), marks=SLOW), pytest.param((1, 5), marks=SLOW)])
def test_output_has_the_images_size(size):
    model = small(widths=(4, 4, 6, 6, 8), skip_width=2, deep_supervision=size == (65, 97))
    y = run_dict(model, normal(2, *size, 3))
    assert {tuple(one.shape) for one in y.values()} == {(2, *size, 3)}
    assert sorted(y) == (["aux1", "aux2", "aux3", "aux4", "out"] if size == (65, 97) else ["out"])


def run_dict(model, images, training=False):
    y = model(keras.ops.convert_to_tensor(images), training=training)
    return {key: as_numpy(one) for key, one in y.items()} if isinstance(y, dict) else {"out": as_numpy(y)}


@pytest.mark.parametrize(
    "settings",
    [
        dict(remat=True),
        pytest.param(dict(norm="layer", upsampling="nearest", use_bias=None), marks=SLOW),
        pytest.param(dict(norm=None, activation="silu"), marks=SLOW),
    ],
    ids=str,
)
def test_every_option_learns_and_is_kept(settings, tmp_path):
    # A bias in front of batch normalization moves by rounding alone.
    check_learns_and_is_kept(lambda **form: small(**settings, **form), tmp_path, size=17, still=("bias",))


@quick_on_torch
def test_deep_supervision_and_guidance_learn(tmp_path):
    """Each output has a loss of its own by its name, and the file keeps them."""
    images, masks = normal(2, 12, 12, 3), np.arange(2 * 12 * 12).reshape(2, 12, 12) % 3
    model = small(deep_supervision=True, guided=True)
    names = ["out", "aux1", "aux2"]
    loss = {name: keras.losses.SparseCategoricalCrossentropy(from_logits=True) for name in names}
    model.compile(keras.optimizers.SGD(0.05), {**loss, "presence": "binary_crossentropy"})
    model.get_layer("presence_head").bias.assign(np.array([0.0, 9.0], "float32"))  # what is judged empty teaches the heads nothing
    before = values(model)
    model.fit(images, {**dict.fromkeys(names, masks), "presence": np.array([[0.0, 1.0]] * 2)}, batch_size=2, verbose=0)
    after = values(model)
    moved = [path for path in before if (before[path] != after[path]).any()]
    assert any("presence_head/kernel" in path for path in moved)
    assert {path.split("/")[0].split()[1] for path in moved} >= {"down1", "down2", "down3", "up1", "up2", "head", "aux1", "aux2"}
    model.save(tmp_path / "model.keras")
    y, again = run_dict(model, images), run_dict(keras.saving.load_model(tmp_path / "model.keras"), images)
    assert sorted(again) == sorted([*names, "presence"])
    assert all((again[key] == y[key]).all() for key in y)


def test_guidance_empties_images_without_anything():
    """As many zeros as there are numbers where the second score is the lower one; the outputs as they were elsewhere."""
    plain, guided = (small(guided=one, classifier_activation="sigmoid", data_format="channels_last") for one in (False, True))
    by_name = {layer.name: layer for layer in plain.layers}
    for layer in guided.layers:
        if layer.name in by_name:
            layer.set_weights([as_numpy(v) for v in by_name[layer.name].variables])
    images = normal(4, 12, 12, 3)
    expected = as_numpy(run(plain, images))
    head = guided.get_layer("presence_head")
    for bias, share in (([0.0, 99.0], 1.0), ([99.0, 0.0], 0.0)):
        head.bias.assign(np.array(bias, "float32"))
        y = run_dict(guided, images)
        assert tolerances.difference(y["out"], share * expected) < tolerances.LOGITS_FLOAT32 or (share == 0.0 and (y["out"] == 0).all())
        assert y["presence"].shape == (4, 2)
        assert (y["presence"].argmax(-1) == share).all()


@quick_on_torch
@pytest.mark.parametrize("remat", [False, True])
def test_dropout_is_of_the_two_deepest_scales(remat):
    """And of training alone."""
    model, plain = small(dropout=0.5, remat=remat), small(remat=remat)
    assert [layer.name for layer in model.layers if getattr(layer, "dropout", 0)] == ["down2", "down3"]
    for new, old in zip([v for v in model.variables if "seed" not in v.path], plain.variables, strict=True):
        new.assign(old.value)
    images = normal(2, 12, 12, 3)
    one, other = (run_dict(model, images, training=True)["out"] for _ in range(2))
    assert np.abs(one - other).max() > 1e-3
    fresh = small(dropout=0.5)
    assert (run_dict(fresh, images)["out"] == run_dict(fresh, images)["out"]).all()


def test_recomputing_changes_nothing():
    """The same output, gradients and statistics, moved once."""
    plain, lean = (small(widths=(4, 6), skip_width=1, remat=remat) for remat in (False, True))
    spread(plain)
    for new, old in zip(lean.variables, plain.variables, strict=True):
        new.assign(old.value)
    images = normal(2, 9, 10, 3)
    y, gradients, after = layer_gradients(plain, images)
    y2, gradients2, after2 = layer_gradients(lean, images)
    assert tolerances.difference(y2, y) < tolerances.OPERATION["float32"]
    largest = max(np.abs(one).max() for one in gradients.values())
    for (path, one), two in zip(gradients.items(), gradients2.values(), strict=True):
        if path.endswith("bias"):  # in front of batch normalization: nothing but rounding
            assert np.abs(two - one).max() < tolerances.OPERATION_GRADIENT["float32"] * largest, path
        else:
            assert np.abs(one).max() > 0, path
            assert tolerances.difference(two, one) < tolerances.GRADIENTS, path
    for (path, one), two in zip(after.items(), after2.values(), strict=True):
        assert tolerances.difference(two, one) < tolerances.OPERATION["float32"], path


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (dict(widths=(8,)), "`widths` must hold two"),
        (dict(widths=(8, 0)), "`widths`"),
        (dict(skip_width=0), "`skip_width`"),
        (dict(deep_supervision=1), "`deep_supervision`"),
        (dict(guided="yes"), "`guided`"),
        (dict(remat=None), "`remat`"),
        (dict(dropout=1.0), "`dropout`"),
        (dict(upsampling="cubic"), "'nearest', 'bilinear'"),
        (dict(norm="weight"), "`norm`"),
        (dict(use_bias="no"), "`use_bias`"),
        (dict(classes=0), "`classes`"),
        (dict(classifier_activation="sofmax"), "`classifier_activation`"),
        (dict(input_shape=(64, 64)), r"\(height, width, channels\)"),
        (dict(dtype="int32"), "`dtype`"),
    ],
    ids=str,
)
def test_wrong_arguments(settings, says):
    with pytest.raises(ValueError, match=says):
        small(**settings)
