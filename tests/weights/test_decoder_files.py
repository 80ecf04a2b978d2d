"""Which networks for dense prediction go into segmentation_models.pytorch's files, and which are none of its own."""

import pytest
import safetensors.numpy

import keras_resnet
from keras_resnet import FPN, DeepLabV3Plus, UNet
from tests.arrays import as_numpy
from tests.models.dense_networks import small
from tests.quick import quick_on_torch
from tests.weights import files


def test_a_decoder_without_norm_has_biases_there_too(tmp_path):
    """Its `Unet(decoder_use_norm=False)`, whose convolutions then have a bias."""
    model = files.filled(small(UNet, norm=None), 3)
    keras_resnet.save_weights(model, tmp_path / "m.safetensors")
    written = safetensors.numpy.load_file(tmp_path / "m.safetensors")
    block = {key: array.shape for key, array in written.items() if key.startswith("decoder.blocks.0.")}
    assert block == {
        "decoder.blocks.0.conv1.0.weight": (16, 28, 3, 3),
        "decoder.blocks.0.conv1.0.bias": (16,),
        "decoder.blocks.0.conv2.0.weight": (16, 16, 3, 3),
        "decoder.blocks.0.conv2.0.bias": (16,),
    }
    other = small(UNet, norm=None)
    keras_resnet.load_weights(other, tmp_path / "m.safetensors")
    assert files.same_numbers(model, other)
    bias = model.get_layer("up1").conv1.bias
    assert (written["decoder.blocks.0.conv1.0.bias"] == as_numpy(bias)).all()


@quick_on_torch
@pytest.mark.parametrize(
    ("builder", "settings", "says"),
    [
        (UNet, dict(norm="group"), "norm='batch' or None, this network has 'group'"),
        (UNet, dict(upsampling="transpose"), "has no names for|upsampling='nearest'"),
        (UNet, dict(attention="gate"), "has no names for"),
        (UNet, dict(deep_supervision=True), "has no names for aux1"),
        (UNet, dict(activation="gelu"), "activation='relu'"),
        (FPN, dict(activation="gelu"), "activation='relu'"),
        (FPN, dict(norm_epsilon=0.1), "norm_epsilon=1e-05"),
        (FPN, dict(norm="batch"), "norm='group'"),
        (FPN, dict(norm=None), "norm='group'"),
        (FPN, dict(upsampling="bilinear"), "upsampling='aligned'"),
        (FPN, dict(depth=4), "four maps, this network has 3"),
        (DeepLabV3Plus, dict(rates=(1, 2, 3), norm=None, early_width=48), "norm='batch'"),
        (DeepLabV3Plus, dict(rates=(1, 2, 3)), "early_filters=48"),
        (DeepLabV3Plus, dict(rates=(1, 2, 3, 4), early_width=48), "three rates, this network has 4"),
        (DeepLabV3Plus, dict(rates=(1, 2, 3), early_width=48, upsampling="nearest"), "upsampling='aligned'"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_decoder_that_is_none_of_theirs(builder, settings, says, tmp_path):
    with pytest.raises(ValueError, match=says):
        keras_resnet.save_weights(small(builder, **settings), tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


@quick_on_torch
def test_an_encoder_that_is_dilated_otherwise(tmp_path):
    encoder = keras_resnet.ResNet18(weights=None, include_top=False, output_stride=16, input_shape=(None, None, 3))
    model = DeepLabV3Plus(encoder, width=8, rates=(1, 2, 3))
    with pytest.raises(ValueError, match="dilates_first=True"):
        keras_resnet.save_weights(model, tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


@quick_on_torch
@pytest.mark.parametrize("builder", [FPN, DeepLabV3Plus])
def test_a_file_of_another_decoder_is_refused(builder, tmp_path):
    settings = dict(rates=(1, 2, 3), early_width=48) if builder is DeepLabV3Plus else {}
    keras_resnet.save_weights(small(builder, **settings), tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match=r"missing in the file:\n  decoder\.blocks\.0\.conv1\.0\.weight"):
        keras_resnet.load_weights(small(UNet), tmp_path / "m.safetensors")
