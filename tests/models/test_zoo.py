"""Every row of the zoo: its count of parameters, its constructor."""

import inspect

import keras
import pytest

import keras_resnet
from keras_resnet.zoo import ZOO

# Trainable parameters: timm's and torchvision's networks at 1000 classes; He et al. 2015, section 4.2, at 10 (published rounded: 0.27 M,
# 0.46 M, 0.66 M, 0.85 M, 1.7 M, 19.4 M). A plain network has what the one with shortcuts has, as option A has no weights.
PUBLISHED = {
    "resnet18": 11_689_512,
    "resnet26": 15_995_176,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnet200": 64_673_832,
    "resnet20": 269_722,
    "resnet32": 464_154,
    "resnet44": 658_586,
    "resnet56": 853_018,
    "resnet110": 1_727_962,
    "resnet1202": 19_421_274,
    "plain20": 269_722,
    "plain32": 464_154,
    "plain44": 658_586,
    "plain56": 853_018,
}
LONG = {"resnet1202"}  # 600 blocks
# The arguments of keras.applications.ResNet50, in their order.
APPLICATIONS = list(inspect.signature(keras.applications.ResNet50).parameters)


def test_the_list_is_complete():
    assert sorted(keras_resnet.list_models()) == sorted(PUBLISHED)
    assert keras_resnet.list_models("resnet1?") == ["resnet18"]
    assert keras_resnet.list_models("plain*") == ["plain20", "plain32", "plain44", "plain56"]


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="A count does not depend on the backend; JAX counts for all.")
@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.full if n in LONG else ()) for n in keras_resnet.list_models()])
def test_parameters(name, monkeypatch):
    monkeypatch.setattr(keras_resnet.layers.HeNormal, "__call__", lambda self, shape, dtype=None: keras.ops.zeros(shape, dtype))
    model = keras_resnet.create_model(name)
    count = sum(v.numpy().size if hasattr(v, "numpy") else 0 for v in model.trainable_variables)
    assert count == ZOO[name].params == PUBLISHED[name]


@pytest.mark.parametrize("name", keras_resnet.list_models())
def test_constructor(name):
    capital = name.replace("resnet", "ResNet").replace("plain", "Plain")
    constructor = getattr(keras_resnet, capital)
    assert capital in keras_resnet.__all__
    parameters = inspect.signature(constructor).parameters
    assert list(parameters)[: len(APPLICATIONS)] == APPLICATIONS
    assert all(p.kind == p.POSITIONAL_OR_KEYWORD for p in list(parameters.values())[: len(APPLICATIONS)])
    assert parameters["weights"].default is None
    assert parameters["classes"].default == (10 if ZOO[name].builder is keras_resnet.models.cifar_resnet else 1000)
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


def test_a_misspelt_name_or_argument_is_answered():
    with pytest.raises(ValueError, match="resnet50"):
        keras_resnet.create_model("resnett50")
    with pytest.raises(TypeError, match="pooling"):
        keras_resnet.create_model("resnet20", poolling="avg")
