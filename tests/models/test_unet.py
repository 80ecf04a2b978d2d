"""U-Nets on encoders: published counts, any size of image, what they share with every network, and wrong arguments."""

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet.segmentation import UNet, UNetPlusPlus
from tests.arrays import as_numpy, normal
from tests.check_layer import run
from tests.models.dense_networks import check_learns_and_is_kept, count, small
from tests.quick import ON_TORCH

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
    [
        {},
        *(
            pytest.param(settings, marks=() if ON_TORCH else pytest.mark.full)
            for settings in (
                dict(upsampling="transpose", merge="add", norm="layer"),
                dict(upsampling="bilinear", norm="group", attention="scse", dropout=0.2),
                dict(attention="scse", norm="instance"),
                dict(norm=None),
                dict(upsampling="pixel_shuffle", attention="gate"),
                dict(merge="add", attention="gate"),
            )
        ),
    ],
    ids=str,
)
def test_every_option_learns_and_is_kept(settings, tmp_path):
    # A gate of one narrow channel may be shut for all four images; a gate's bias in front of a norm has no gradient in training.
    check_learns_and_is_kept(lambda **form: small(size=40, **settings, **form), tmp_path, still=("/channel/fc", "conv_weight/bias"))


@pytest.mark.parametrize(
    "settings", [dict(upsampling="transpose"), dict(upsampling="pixel_shuffle", merge="add"), dict(attention="gate")], ids=str
)
@pytest.mark.parametrize("builder", [UNet, UNetPlusPlus])
def test_learned_enlargements_take_any_size(builder, settings):
    assert run(small(builder, **settings), normal(2, 35, 49, 3)).shape == (2, 35, 49, 3)


def test_maps_of_one_size_are_not_enlarged():
    """An encoder for small pictures keeps the image's size in its first stage, a dilated one keeps it in its last."""
    for encoder in ("resnet20", "resnet18"):
        dilated = dict(output_stride=16) if encoder == "resnet18" else {}
        model = UNet(encoder, depth=4 if encoder == "resnet20" else 5, upsampling="transpose", input_shape=(None, None, 3), **dilated)
        assert run(model, normal(1, 41, 38, 3)).shape == (1, 41, 38, 1)


def test_a_transposed_convolution_is_that_of_the_layer():
    """The block at an even size beside its own parts."""
    block = keras_resnet.layers.DecoderBlock(4, joins=False, upsampling="transpose", norm=None)
    x, like = keras.ops.convert_to_tensor(normal(2, 5, 6, 3)), keras.ops.zeros((2, 10, 12, 1))
    y = as_numpy(block([x, like]))
    stock = keras.layers.Conv2DTranspose(4, 2, 2)
    stock.build((None, None, None, 3))
    stock.set_weights([as_numpy(variable) for variable in block.enlarge.variables])
    z = stock(x)
    for conv in (block.conv1, block.conv2):
        z = keras.ops.relu(keras.ops.conv(z, conv.kernel, 1, "same") + conv.bias)
    assert np.allclose(y, as_numpy(z), atol=1e-5)


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
        (dict(merge="multiply"), "'concat', 'add'"),
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
    with pytest.raises(ValueError, match=r"task=\"classification\".*encoder='fc_densenet56'"):
        UNet("fc_densenet56")
    with pytest.raises(TypeError, match="no argument 'with'"):
        UNet("resnet18", **{"with": 3})
    with pytest.raises(TypeError, match=r"It takes: encoder, weights, encoder_weights, .*classifier_activation, name\.$") as raised:
        UNet(foo=1)
    assert str(raised.value).count(" encoder,") == 1
    for unknown in ("resnet999", None, ["resnet34"], "unet"):
        with pytest.raises(ValueError, match=r'such as "resnet34", or a network without top') as refused:
            UNet(unknown)
        assert f"encoder={unknown!r}" in str(refused.value)
        assert "unet" not in str(refused.value).replace("'unet'", "")


@pytest.mark.parametrize("settings", [dict(classes=0), dict(classifier_activation="softmix")], ids=str)
def test_nothing_is_built_on_an_encoder_by_wrong_arguments(settings):
    encoder = keras_resnet.models.resnet(include_top=False, depths=(1, 1), widths=(8, 8), block="basic")
    before = len(encoder.layers), len(encoder.get_layer("stem")._outbound_nodes)
    for builder in (UNet, UNetPlusPlus, keras_resnet.FPN, keras_resnet.DeepLabV3Plus):
        with pytest.raises(ValueError, match=r"`classes`|`classifier_activation`"):
            builder(encoder, depth=3, **settings)
    assert (len(encoder.layers), len(encoder.get_layer("stem")._outbound_nodes)) == before
