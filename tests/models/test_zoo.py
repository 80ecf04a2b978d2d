"""Every row of the zoo: its count of parameters, its constructor."""

import inspect

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet.constructors import CONSTRUCTORS, constructor_name
from keras_resnet.weights import catalogue
from keras_resnet.zoo import NETWORKS, ZOO

# Every network by the name that papers and timm give it. Their counts are beside the published ones in test_truth.py.
NAMES = tuple(
    """
    plain18 plain34 plain20 plain32 plain44 plain56
    resnet18 resnet26 resnet34 resnet50 resnet101 resnet152 resnet200
    resnet10t resnet14t resnet18d resnet26d resnet26t resnet34d resnet50c resnet50d resnet50s resnet50t resnet101c resnet101d resnet101s
    resnet152c resnet152d resnet152s resnet200d
    wide_resnet50_2 wide_resnet101_2
    resnext50_32x4d resnext50d_32x4d resnext101_32x4d resnext101_32x8d resnext101_32x16d resnext101_32x32d resnext101_64x4d
    seresnet18 seresnet34 seresnet50 seresnet50t seresnet101 seresnet152 seresnet152d seresnet200d seresnet269d
    seresnext26d_32x4d seresnext26t_32x4d seresnext50_32x4d seresnext101_32x4d seresnext101_32x8d seresnext101_64x4d seresnext101d_32x8d
    senet154
    ecaresnet26t ecaresnet50d ecaresnet50t ecaresnet101d ecaresnet200d ecaresnet269d
    resnetrs50 resnetrs101 resnetrs152 resnetrs200 resnetrs270 resnetrs350 resnetrs420
    resnetaa34d resnetaa50 resnetaa50d resnetaa101d resnetblur18 resnetblur50 resnetblur50d resnetblur101d seresnetaa50d
    seresnextaa101d_32x8d
    resnet50_gn
    nf_resnet26 nf_resnet50 nf_resnet101 nf_seresnet26 nf_seresnet50 nf_seresnet101 nf_ecaresnet26 nf_ecaresnet50 nf_ecaresnet101
    resnetv2_18 resnetv2_18d resnetv2_34 resnetv2_34d resnetv2_50 resnetv2_50d resnetv2_50t resnetv2_101 resnetv2_101d resnetv2_152
    resnetv2_152d resnetv2_50d_gn
    resnetv2_50x1_bit resnetv2_50x3_bit resnetv2_101x1_bit resnetv2_101x3_bit resnetv2_152x2_bit resnetv2_152x4_bit
    resnet50v1 resnet101v1 resnet152v1 resnet50v2 resnet101v2 resnet152v2
    resnet20 resnet32 resnet44 resnet56 resnet110 resnet1202 resnet110_sd
    preresnet20 preresnet56 preresnet110 preresnet164 preresnet1001
    wrn16_4 wrn16_8 wrn16_10 wrn22_8 wrn22_10 wrn28_10 wrn28_12 wrn40_1 wrn40_2 wrn40_4 wrn40_8
    resnext29_8x64d resnext29_16x64d
    densenet40_k12 densenet100_k12 densenet100_k24 densenetbc100_k12 densenetbc190_k40 densenetbc250_k24
    densenet121 densenet161 densenet169 densenet201 densenet264 densenet264d densenetblur121d
    vit_tiny_patch16_224 vit_small_patch16_224 vit_small_patch32_224 vit_base_patch16_224 vit_base_patch32_224 vit_large_patch16_224
    vit_large_patch32_224 vit_base_r50_s16_224
    """.split()  # noqa: SIM905
)
CAPITALS = {
    "resnet50": "ResNet50",
    "resnet50v2": "ResNet50V2",
    "resnet50d": "ResNet50d",
    "resnext50_32x4d": "ResNeXt50_32x4d",
    "wide_resnet50_2": "WideResNet50_2",
    "seresnext26t_32x4d": "SEResNeXt26t_32x4d",
    "ecaresnet50d": "ECAResNet50d",
    "resnetrs50": "ResNetRS50",
    "resnetv2_50x1_bit": "ResNetV2_50x1_BiT",
    "resnet50_gn": "ResNet50_GN",
    "nf_resnet50": "NFResNet50",
    "preresnet1001": "PreResNet1001",
    "wrn28_10": "WRN28_10",
    "densenet121": "DenseNet121",
    "densenetbc100_k12": "DenseNetBC100_k12",
    "vit_tiny_patch16_224": "ViTTiny_Patch16_224",
    "vit_base_r50_s16_224": "ViTBase_r50_s16_224",
    "plain20": "Plain20",
    "unet": "PlainUNet",
    "unet_valid": "PlainUNetValid",
    "unet_bn_bilinear": "PlainUNetBNBilinear",
    "unet3d": "PlainUNet3D",
    "attention_unet": "AttentionUNet",
    "attention_unet3d_multi": "AttentionUNet3DMulti",
    "nested_unet_bilinear_ds": "NestedUNetBilinearDS",
    "resunet": "ResUNet",
    "nnunet2d_deep": "NNUNet2DDeep",
    "nnunet3d_resenc": "NNUNet3DResEnc",
    "unet3plus": "UNet3Plus",
    "unet3plus_ds_cgm": "UNet3PlusDSCGM",
    "fc_densenet103": "FCDenseNet103",
    "ddpm_28": "DDPM28",
    "improved_ddpm_cifar10": "ImprovedDDPM_CIFAR10",
    "adm_256_uncond": "ADM256Uncond",
}
OTHERS = [*keras_resnet.list_models(task="segmentation"), *keras_resnet.list_models(task="diffusion")]
# The arguments of keras.applications.ResNet50, in their order.
APPLICATIONS = list(inspect.signature(keras.applications.ResNet50).parameters)


def test_the_list_is_complete():
    assert sorted(keras_resnet.list_models(task="classification")) == sorted(NAMES)
    assert len(NAMES) >= 150
    assert keras_resnet.list_models("resnet1?") == ["resnet18"]
    assert keras_resnet.list_models("plain*") == ["plain18", "plain20", "plain32", "plain34", "plain44", "plain56"]


def test_constructors_have_the_usual_capitals():
    assert {name: constructor_name(name) for name in CAPITALS} == CAPITALS
    assert len(CONSTRUCTORS) == len(NETWORKS) == len(NAMES) + len(OTHERS)
    assert not {"UNet", "UNetPlusPlus", "FPN", "DeepLabV3Plus"} & set(CONSTRUCTORS)


@pytest.mark.parametrize("name", keras_resnet.list_models(task="classification"))
def test_constructor(name):
    capital = constructor_name(name)
    constructor = getattr(keras_resnet, capital)
    assert capital in keras_resnet.__all__
    parameters = inspect.signature(constructor).parameters
    assert list(parameters)[: len(APPLICATIONS)] == APPLICATIONS
    assert all(p.kind == p.POSITIONAL_OR_KEYWORD for p in list(parameters.values())[: len(APPLICATIONS)])
    assert parameters["weights"].default == ("imagenet" if name in catalogue.DEFAULTS else None)
    assert parameters["classes"].default == (10 if ZOO[name].builder.__name__.startswith("cifar") else 1000)
    assert f"{ZOO[name].params:,}" in constructor.__doc__
    undocumented = [p for p in parameters if p not in constructor.__doc__]
    assert not undocumented


@pytest.mark.parametrize("name", OTHERS)
def test_constructor_of_another_task(name):
    """Of the arguments of keras.applications, in their order, those that its builder has; then its own by keyword, all explained."""
    capital, row = constructor_name(name), NETWORKS[name]
    constructor = getattr(keras_resnet, capital)
    assert (constructor.__name__, constructor.__module__) == (capital, "keras_resnet")
    assert capital in keras_resnet.__all__
    parameters = inspect.signature(constructor).parameters
    allowed = {**inspect.signature(row.builder).parameters, "weights": None}
    assert set(parameters) == set(allowed)
    assert [p.name for p in parameters.values() if p.kind == p.POSITIONAL_OR_KEYWORD] == [p for p in APPLICATIONS if p in allowed]
    assert all(parameters[setting].default == value for setting, value in {**row.settings, "weights": None, "name": name}.items())
    assert f"{row.params:,}" in constructor.__doc__
    assert [p for p in parameters if p not in constructor.__doc__] == []
    assert ("`keras_resnet.UNet`" in constructor.__doc__) == capital.startswith("PlainUNet")
    assert ("`keras_resnet.UNetPlusPlus`" in constructor.__doc__) == capital.startswith("NestedUNet")


def test_constructors_of_other_tasks_build_what_create_model_builds(tmp_path):
    model = keras_resnet.PlainUNetBN(None, (None, None, 2), 4, "softmax", "mine", widths=(2, 3))
    settings = dict(input_shape=(None, None, 2), classes=4, classifier_activation="softmax", name="mine", widths=(2, 3))
    assert model.get_config() == keras_resnet.create_model("unet_bn", **settings).get_config()
    model.save_weights(tmp_path / "own.weights.h5")
    again = keras_resnet.PlainUNetBN(tmp_path / "own.weights.h5", **settings)
    for one, other in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other))
    small = dict(width=4, multipliers=(1,), depth=1, attention_strides=(), norm=None)
    assert [one.name for one in keras_resnet.ADM64(head_channels=None, **small).inputs] == ["images", "timesteps", "labels"]
    assert keras_resnet.DDPM28(**small).output_shape == (None, 28, 28, 1)
    assert set(keras_resnet.NNUNet3D(widths=(2, 3, 4)).output) == {"out", "aux1"}
    with pytest.raises(TypeError, match="pooling"):
        keras_resnet.PlainUNet(pooling="avg")


def test_shapes_of_rows_follow_the_data_format():
    """A row says its channels last; ddpm_28 is of 28 x 28 pixels and one channel."""
    small = dict(width=4, multipliers=(1,), depth=1, attention_strides=(), norm=None)
    assert keras_resnet.DDPM28(data_format="channels_first", **small).output_shape == (None, 1, 28, 28)
    first = keras_resnet.PlainUNetBN(data_format="channels_first", widths=(2, 3))
    assert (first.input_shape, first.output_shape) == ((None, 3, None, None), (None, 2, None, None))
    with pytest.raises(ValueError, match="file"):
        keras_resnet.PlainUNetBN("imagenet", widths=(2, 3))


def test_a_constructor_builds_what_create_model_builds():
    model = keras_resnet.ResNet20(True, None, None, (16, 16, 1), None, 7, None, "mine", stochastic_depth=0.1)
    same = keras_resnet.create_model(
        "resnet20", input_shape=(16, 16, 1), classes=7, classifier_activation=None, name="mine", stochastic_depth=0.1
    )
    assert model.get_config() == same.get_config()
    assert model.name == "mine"
    assert model.output_shape == (None, 7)
    assert keras_resnet.create_model("resnet20").name == "resnet20"


def test_lists_by_task():
    tasks = [keras_resnet.list_models(task=task) for task in ("classification", "segmentation", "diffusion")]
    assert sorted(name for names in tasks for name in names) == sorted(keras_resnet.list_models()) == sorted(NETWORKS)
    assert keras_resnet.list_models("ddpm*", task="diffusion") == ["ddpm_28", "ddpm_256", "ddpm_cifar10"]
    with pytest.raises(ValueError, match="'segmentation'"):
        keras_resnet.list_models(task="detection")


def test_a_misspelt_name_or_argument_is_answered():
    with pytest.raises(ValueError, match="resnet50"):
        keras_resnet.create_model("resnett50")
    with pytest.raises(TypeError, match="pooling"):
        keras_resnet.create_model("resnet20", poolling="avg")
