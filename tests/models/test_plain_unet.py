"""The original U-Net and its kin: published counts, Keras's own layers beside it, sizes, options, wrong arguments."""

import keras
import numpy as np
import pytest

from keras_resnet.models.plain_unet import PLAIN_UNETS, plain_unet
from tests import tolerances
from tests.arrays import as_numpy, normal
from tests.check_layer import run
from tests.models.classic_unets import check_any_size, check_deep_supervision, check_volumes, input_shape
from tests.models.dense_networks import check_learns_and_is_kept, count
from tests.quick import quick_on_torch

on_torch = pytest.mark.skipif(keras.backend.backend() != "torch", reason="counts are the same on every backend; PyTorch needs no memory")
full_elsewhere = [] if keras.backend.backend() == "torch" else [pytest.mark.full]
THREE = dict(input_shape=(None, None, 3))
COUNTS = [
    (dict(), 31_030_658),
    (dict(padding="valid"), 31_030_658),
    (dict(classes=1), 31_030_593),
    (dict(classes=1, **THREE), 31_031_745),
    (dict(classes=1, widths=(32, 64, 128, 256, 512)), 7_759_521),
    (dict(norm="batch", **THREE), 31_037_698),
    (dict(norm="batch", classes=1, **THREE), 31_037_633),
    (dict(norm="batch", upsampling="bilinear", **THREE), 17_263_042),
    (dict(norm="batch", upsampling="bilinear", classes=1, **THREE), 17_262_977),
    # What the 3-D U-Net's paper counts, which is without gammas and betas.
    (dict(widths=(64, 128, 256, 512), growth="late", classes=3, input_shape=(None, None, None, 3)), 19_069_955),
]
ROWS = {
    "unet": 31_030_658,
    "unet_valid": 31_030_658,
    "unet_bn": 31_037_698,
    "unet_bn_bilinear": 17_263_042,
    "unet_bn_nearest": 34_527_041,
    "attention_unet": 34_878_573,
    "unet3d": 19_069_955 + 4_672,
}


def small(**settings) -> keras.Model:
    form = {key: value for key, value in settings.items() if key == "data_format"}
    shape = settings.pop("input_shape", None) or input_shape(form, size=settings.pop("size", None))
    return plain_unet(**{"widths": (4, 6, 8), "classes": 3, "input_shape": shape, **settings})


@on_torch
@pytest.mark.parametrize(("settings", "expected"), COUNTS, ids=str)
def test_counts(settings, expected):
    with keras.device("meta"):
        assert count(plain_unet(**settings)) == expected


@on_torch
@pytest.mark.parametrize("name", PLAIN_UNETS)
def test_rows(name):
    row = PLAIN_UNETS[name]
    with keras.device("meta"):
        assert count(row.builder(**row.settings)) == row.params == ROWS[name]


def test_valid_padding_is_the_papers():
    """572 pixels become 388; without padding, so that what is far from a pixel does not reach it."""
    assert small(padding="valid", widths=(1,) * 5, size=572).output_shape == (None, 388, 388, 3)
    model = small(padding="valid", size=44)
    assert model.output_shape == (None, 4, 4, 3)
    with pytest.raises(ValueError, match=r"Images of 12x12 pixels .* this network takes 44x44 or larger\. .*or use padding='same'\.$"):
        small(padding="valid", size=12)
    for shape in ((1, 12, 12, 3), (1, 80, 43, 3)):
        with pytest.raises(ValueError, match="this network takes 44x44 or larger"):
            small(padding="valid")(np.zeros(shape, "float32"))


@quick_on_torch
@pytest.mark.parametrize(
    ("settings", "least"),
    [
        (dict(widths=(1,) * 5), 188),
        (dict(widths=(1, 1)), 18),
        (dict(widths=(1, 1, 1), convs=1), 20),
        (dict(widths=(1, 1, 1), convs=3), 68),
        (dict(widths=(1, 1), upsampling="bilinear", up_kernel=None), 18),
        (dict(widths=(2, 2), growth="late", input_shape=(None, None, None, 1)), 18),
    ],
    ids=str,
)
def test_the_smallest_image_without_padding(settings, least):
    """That size works, and one pixel less is told of it, and would leave nothing."""
    model = plain_unet(padding="valid", **settings)
    sides = len(model.input_shape) - 2
    assert min(model.compute_output_shape((1, *(least,) * sides, 1))[1:-1]) >= 1
    with pytest.raises(ValueError, match="nothing is left"):
        model.compute_output_shape((1, *(least - 1,) * sides, 1))
    sizes = "x".join([str(least)] * sides)
    with pytest.raises(ValueError, match=f"{'Volumes' if sides == 3 else 'Images'} of .*this network takes {sizes} or larger"):
        model(np.zeros((1, *(least - 1,) * sides, 1), "float32"))


def stock(model: keras.Model, widths: tuple, classes: int) -> keras.Model:
    """The same network in Keras's own layers, with the model's values."""
    pairs = []

    def apply(layer, source, x):
        y = layer(x)
        pairs.append((layer, source))
        return y

    def convs(x, block):
        for conv in (block.conv1, block.conv2):
            x = apply(keras.layers.Conv2D(conv.filters, 3, padding="same", activation="relu"), conv, x)
        return x

    image = keras.Input(model.input_shape[1:])
    x, skips = image, []
    for level in range(1, len(widths) + 1):
        x = keras.layers.MaxPooling2D(2)(x) if level > 1 else x
        x = convs(x, model.get_layer(f"down{level}"))
        skips.append(x)
    for level in range(len(widths) - 1, 0, -1):
        x = apply(keras.layers.Conv2DTranspose(widths[level - 1], 2, 2), model.get_layer(f"up{level}_enlarge").conv1, x)
        x = convs(keras.layers.Concatenate()([skips[level - 1], x]), model.get_layer(f"up{level}"))
    x = apply(keras.layers.Conv2D(classes, 1), model.get_layer("head"), x)
    for layer, source in pairs:
        for new, old in zip(layer.variables, source.variables, strict=True):
            new.assign(old.value)
    return keras.Model(image, x)


def test_beside_keras_own_layers():
    model = small(size=16, data_format="channels_last")
    for place, variable in enumerate(model.trainable_variables):
        variable.assign(as_numpy(variable) + normal(*variable.shape, seed=place, deviation=0.1))
    images = normal(2, 16, 16, 3)
    expected = as_numpy(run(stock(model, (4, 6, 8), 3), images))
    assert tolerances.difference(as_numpy(run(model, images)), expected) < tolerances.LOGITS_FLOAT32


@pytest.mark.parametrize("upsampling", ["transpose", "bilinear"])
def test_any_size(upsampling):
    model = small(upsampling=upsampling, norm="batch")
    check_any_size(model, (65, 97), (3, 1))


@pytest.mark.parametrize(
    "settings",
    [
        dict(upsampling="pixel_shuffle", norm="group", merge="add", dropout=0.2),
        pytest.param(dict(upsampling="bilinear", norm="instance"), marks=full_elsewhere),
        pytest.param(dict(upsampling="nearest", up_kernel=3, norm="layer", attention="gate"), marks=full_elsewhere),
        pytest.param(dict(attention="scse"), marks=full_elsewhere),
    ],
    ids=str,
)
def test_every_option_learns_and_is_kept(settings, tmp_path):
    # Of a gate's one channel with a norm over itself the bias has no gradient; a dead narrow gate has none at all.
    check_learns_and_is_kept(lambda **form: small(**settings, **form, size=22), tmp_path, size=22, still=("_gate/",))


def test_volumes():
    check_volumes(lambda **form: small(widths=(4, 6), norm="instance", growth="late", **form))


@quick_on_torch
def test_deep_supervision():
    check_deep_supervision(small(deep_supervision=True, norm="batch"), count=1)


def test_attention_weighs_the_skip():
    """A gate that is shut leaves nothing of the skip, one that is open all of it."""
    model = small(attention="gate", upsampling="nearest", up_kernel=3, size=8)
    gate = model.get_layer("up1_gate")
    for bias, share in ((-40.0, 0.0), (40.0, 1.0)):
        gate.conv_weight.bias.assign([bias])
        skip, other = normal(1, 8, 8, 4), normal(1, 8, 8, 4, seed=1)
        assert np.allclose(as_numpy(gate([keras.ops.convert_to_tensor(skip), keras.ops.convert_to_tensor(other)])), share * skip, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (dict(widths=(8,)), "`widths`"),
        (dict(widths=(8, 0)), "`widths`"),
        (dict(growth="slow"), "'early', 'late'"),
        (dict(padding="mirror"), "'same', 'valid'"),
        (dict(upsampling="cubic"), "'pixel_shuffle'"),
        (dict(up_kernel=0), "`up_kernel`"),
        (dict(up_kernel=2), "`up_kernel` must be odd"),
        (dict(merge="multiply"), "'concat', 'add'"),
        (dict(attention="se"), "'gate', 'scse'"),
        (dict(attention="scse", input_shape=(8, 8, 8, 1)), "is for images"),
        (dict(norm="bunch"), "`norm`"),
        (dict(dropout=1.0), "`dropout`"),
        (dict(classes=0), "`classes`"),
        (dict(classifier_activation="softmin2"), "`classifier_activation`"),
        (dict(deep_supervision="yes"), "`deep_supervision`"),
        (dict(dtype="int32"), "`dtype`"),
        (dict(input_shape=(32, 3)), r"depth,\] height"),
        (dict(input_shape=(32, 32, None)), r"depth,\] height"),
        (dict(padding="valid", deep_supervision=True), "neither of them"),
        (dict(growth="late", merge="add"), "merge='concat'"),
    ],
    ids=str,
)
def test_wrong_arguments(settings, says):
    with pytest.raises(ValueError, match=says):
        small(**settings)
