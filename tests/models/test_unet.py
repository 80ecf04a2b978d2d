"""U-Nets on encoders: published counts, any size of image, what they share with every network, and wrong arguments."""

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet.segmentation import UNet, UNetPlusPlus
from tests import tolerances
from tests.arrays import as_numpy, normal, values
from tests.check_layer import run

# Trainable parameters, as segmentation_models.pytorch 0.6.0 builds them.
COUNTS = {
    "resnet18": 14_328_209,
    "resnet34": 24_436_369,
    "resnet50": 32_521_105,
    "resnet101": 51_513_233,
    "resnet152": 67_156_881,
    "resnext50_32x4d": 31_992_977,
    "resnet50d": 32_540_337,
    "densenet121": 13_607_633,
    "densenet169": 21_202_641,
    "densenet201": 28_580_561,
    "densenet161": 38_738_321,
}
PLUS_PLUS = {"resnet18": 15_970_449, "resnet34": 26_078_609, "resnet50": 48_985_745, "densenet121": 30_072_273}
on_torch = pytest.mark.skipif(keras.backend.backend() != "torch", reason="counts are the same on every backend; PyTorch needs no memory")


def count(model: keras.Model) -> int:
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def small(builder=UNet, **settings) -> keras.Model:
    """On an encoder of four stages of one block; the decoder is as narrow."""
    size = settings.pop("size", None)
    form = {key: settings.pop(key) for key in ("data_format", "dtype") if key in settings}
    shape = (3, size, size) if form.get("data_format") == "channels_first" else (size, size, 3)
    encoder = keras_resnet.models.resnet(
        depths=(1, 1, 1, 1), widths=(8, 8, 12, 16), stem_width=8, block="basic", include_top=False, input_shape=shape, **form
    )
    return builder(encoder, **{"classes": 3, "widths": (16, 12, 8, 8, 4), **settings})


@on_torch
@pytest.mark.parametrize(
    ("builder", "encoder", "expected"), [(UNet, *item) for item in COUNTS.items()] + [(UNetPlusPlus, *item) for item in PLUS_PLUS.items()]
)
def test_counts(builder, encoder, expected):
    with keras.device("meta"):
        assert count(builder(encoder)) == expected


@on_torch
def test_counts_of_options():
    with keras.device("meta"):
        assert count(UNet("resnet34", input_shape=(None, None, 1))) == 24_430_097
        assert count(UNet("resnet34", classes=21)) == 24_439_269
        assert count(UNet("resnet34", norm=None)) == 24_435_377
        # Without the 195 parameters of a gate in the last block that segmentation_models.pytorch has and never calls.
        assert count(UNet("resnet34", attention="scse")) == 24_550_360 - 195
        # What lies deeper than the maps that are used is not there: there, all of ResNet-34's 21,284,672 are.
        assert count(UNet("resnet34", depth=4)) < 23_452_641 - 13_000_000
        assert count(UNet("resnet34", depth=3)) < 22_945_921 - 19_000_000


@pytest.mark.parametrize("builder", [UNet, UNetPlusPlus])
@pytest.mark.parametrize("size", [(65, 97), (33, 64), (64, 64)])
def test_output_has_the_images_size(builder, size):
    model = small(builder, norm="layer" if size == (65, 97) else "batch")
    assert tuple(model.output_shape) == (None, None, None, 3)
    assert run(model, normal(2, *size, 3)).shape == (2, *size, 3)


@pytest.mark.parametrize(
    "settings",
    [{}, dict(upsampling="bilinear", norm="group"), dict(attention="scse", norm="instance", dropout=0.2), dict(norm=None)],
    ids=str,
)
def test_every_option_learns_and_is_kept(settings, tmp_path):
    """A training step moves every variable; the `.keras` file, bfloat16 and channels first give the same."""
    images = normal(4, 40, 40, 3)
    masks = np.arange(4 * 40 * 40).reshape(4, 40, 40) % 3
    model = small(size=40, **settings)
    before = values(model)
    model.compile(keras.optimizers.SGD(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, masks, batch_size=4, verbose=0)
    after = values(model)
    # A gate of one narrow channel may be shut for all four images.
    still = [path for path in before if (before[path] == after[path]).all() and "seed" not in path and "/channel/fc" not in path]
    assert still == []
    logits = as_numpy(run(model, images))
    model.save(tmp_path / "model.keras")
    assert (as_numpy(run(keras.saving.load_model(tmp_path / "model.keras"), images)) == logits).all()
    forms = [
        (dict(dtype="mixed_bfloat16"), 5 * tolerances.LOGITS_BFLOAT16),
        (dict(data_format="channels_first"), tolerances.LOGITS_FLOAT32),
    ]
    for form, tolerance in forms:
        other = small(size=40, **settings, **form)
        for new, old in zip(other.variables, model.variables, strict=True):
            new.assign(old.value)
        first = "data_format" in form
        y = as_numpy(run(other, np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if first else images))
        assert tolerances.difference(y.transpose(0, 2, 3, 1) if first else y, logits) < tolerance


@pytest.mark.parametrize("encoder", ["resnet18", "resnetv2_18", "densenet121", "seresnet18"])
def test_encoders_by_name(encoder):
    assert UNet(encoder, input_shape=(64, 64, 3), classes=2).output_shape == (None, 64, 64, 2)


def test_a_densenet_as_encoder_is_the_same_network():
    """The layers are cut in another way: all numbers but those behind the closing norm's activation are the same."""
    arguments = dict(depths=(2, 3), growth_rate=8, stem_width=16, include_top=False, input_shape=(32, 32, 3))
    plain, encoder = keras_resnet.models.densenet(**arguments), keras_resnet.models.densenet(**arguments, as_encoder=True)
    for new, old in zip(encoder.weights, plain.weights, strict=True):
        new.assign(old.value)
    images = normal(2, 32, 32, 3)
    assert np.allclose(np.maximum(as_numpy(run(encoder, images)), 0), as_numpy(run(plain, images)), atol=1e-5)
    with pytest.raises(ValueError, match="include_top=False"):
        keras_resnet.models.densenet(**{**arguments, "include_top": True}, as_encoder=True)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (dict(depth=6), "from 2 to the 5 maps"),
        (dict(depth=3, widths=(8, 4)), "3 integers"),
        (dict(upsampling="cubic"), "'nearest', 'bilinear'"),
        (dict(attention="se"), "'scse'"),
        (dict(classes=0), "`classes`"),
        (dict(norm="weight"), "`norm`"),
    ],
    ids=str,
)
def test_wrong_arguments(settings, says):
    with pytest.raises(ValueError, match=says):
        small(**settings)


def test_wrong_encoders():
    with pytest.raises(ValueError, match=r"Closest: .*resnet34"):
        UNet("resnet43")
    with pytest.raises(ValueError, match=r"must be a keras\.Model"):
        keras_resnet.models.unet("resnet34")
    with pytest.raises(ValueError, match="has no stages"):
        UNet(keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(3, 3)]))
    with pytest.raises(ValueError, match=r"input_shape.*is a model already"):
        UNet(keras_resnet.models.resnet(include_top=False, depths=(1,), widths=(8,)), input_shape=(32, 32, 3))
    with pytest.raises(TypeError, match="no argument 'with'"):
        UNet("resnet18", **{"with": 3})
