"""Every row of the zoo: its count of parameters, its constructor."""

import inspect

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet.weights import catalogue
from keras_resnet.zoo import NETWORKS, ZOO, constructor_name

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
CONSTRUCTORS = {
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
}
# The arguments of keras.applications.ResNet50, in their order.
APPLICATIONS = list(inspect.signature(keras.applications.ResNet50).parameters)


def test_the_list_is_complete():
    assert sorted(keras_resnet.list_models(task="classification")) == sorted(NAMES)
    assert len(NAMES) >= 150
    assert keras_resnet.list_models("resnet1?") == ["resnet18"]
    assert keras_resnet.list_models("plain*") == ["plain18", "plain20", "plain32", "plain34", "plain44", "plain56"]


def test_constructors_have_the_usual_capitals():
    assert {name: constructor_name(name) for name in CONSTRUCTORS} == CONSTRUCTORS
    assert len({constructor_name(name) for name in NAMES}) == len(NAMES)


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


def test_a_constructor_builds_what_create_model_builds():
    model = keras_resnet.ResNet20(True, None, None, (16, 16, 1), None, 7, None, "mine", stochastic_depth=0.1)
    same = keras_resnet.create_model(
        "resnet20", input_shape=(16, 16, 1), classes=7, classifier_activation=None, name="mine", stochastic_depth=0.1
    )
    assert model.get_config() == same.get_config()
    assert model.name == "mine"
    assert model.output_shape == (None, 7)
    assert keras_resnet.create_model("resnet20").name == "resnet20"


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="counts are the same on every backend; PyTorch needs no memory")
@pytest.mark.parametrize("name", [*keras_resnet.list_models(task="segmentation"), *keras_resnet.list_models(task="diffusion")])
def test_networks_of_other_tasks_have_their_rows_parameters(name):
    with keras.device("meta"):
        model = keras_resnet.create_model(name)
    assert sum(int(np.prod(variable.shape)) for variable in model.trainable_variables) == NETWORKS[name].params


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
