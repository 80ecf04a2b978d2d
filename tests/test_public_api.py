"""What a user can reach: the names on the package's page, the list of networks, their constructors, and what importing them costs."""

import inspect
import os
import subprocess
import sys

import keras
import pytest

import keras_resnet
from keras_resnet import constructors, zoo
from keras_resnet.weights import catalogue
from keras_resnet_cli import listing

NAMES = keras_resnet.list_models(task="classification")


@pytest.mark.parametrize("name", keras_resnet.__all__)
def test_every_public_name_is_there_and_explained(name):
    assert inspect.getdoc(getattr(keras_resnet, name))


def test_all_is_complete():
    assert len(set(keras_resnet.__all__)) == len(keras_resnet.__all__)
    assert set(keras_resnet.__all__) >= {"create_model", "list_models", "features", "load_weights", "ResNet50", "Plain20"}
    own = {name for name, value in vars(keras_resnet).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert own - {"CONSTRUCTORS"} <= set(keras_resnet.__all__)


def test_messages_know_what_takes_an_encoder():
    functions = {name: value for name, value in vars(keras_resnet).items() if name in keras_resnet.__all__ and inspect.isfunction(value)}
    taking = {name for name, function in functions.items() if "encoder" in inspect.signature(function).parameters}
    assert taking == set(zoo.DECODERS) == set(listing.DECODERS)


def test_list_models():
    assert set(NAMES) == set(zoo.ZOO)
    assert len(keras_resnet.list_models()) == len(constructors.CONSTRUCTORS)
    assert keras_resnet.list_models("resnet1?") == ["resnet18"]
    assert keras_resnet.list_models("plain[245]*") == ["plain20", "plain44", "plain56"]
    resnets = keras_resnet.list_models("resnet*[0-9]")
    plain = [name for name in resnets if name.removeprefix("resnet").isdigit()]
    assert plain == sorted(plain, key=lambda name: int(name.removeprefix("resnet")))
    assert {"resnet18", "resnet50", "resnet1202"} < set(plain)
    assert keras_resnet.list_models("nothing*") == []


@pytest.mark.parametrize("name", NAMES)
def test_constructor(name):
    """A real function, with the arguments of keras.applications in their order, then ours by keyword."""
    constructor = getattr(keras_resnet, constructors.constructor_name(name))
    assert constructor.__name__ == constructors.constructor_name(name)
    assert constructor.__module__ == "keras_resnet"
    assert name in constructor.__doc__
    assert "Args:" in constructor.__doc__
    assert f"{zoo.ZOO[name].params:,}" in constructor.__doc__
    parameters = inspect.signature(constructor).parameters
    theirs = [p for p in inspect.signature(keras.applications.ResNet50).parameters if p != "kwargs"]
    positional = [p for p, kind in parameters.items() if kind.kind != kind.KEYWORD_ONLY]
    assert positional == theirs
    assert parameters["name"].default == name
    assert parameters["weights"].default == ("imagenet" if name in catalogue.DEFAULTS else None)
    assert set(inspect.signature(zoo.ZOO[name].builder).parameters) | {"weights"} == set(parameters)
    for setting, value in zoo.ZOO[name].settings.items():
        assert parameters[setting].default == value
    for setting in parameters:
        assert setting in constructor.__doc__, f"{setting} is not explained"


@pytest.mark.parametrize("name", ["resnet18", "resnet26", "resnet20", "plain20"])
def test_constructor_is_create_model(name):
    settings = dict(classes=3, input_shape=(32, 32, 1), classifier_activation=None)
    one = getattr(keras_resnet, constructors.constructor_name(name))(weights=None, **settings)
    other = keras_resnet.create_model(name, **settings)
    row = zoo.ZOO[name]
    assert one.get_config() == other.get_config() == row.builder(**row.settings, **settings, name=name).get_config()
    assert one.name == name
    assert one.output_shape == (None, 3)


def test_arguments_in_the_order_of_keras_applications():
    image = keras.Input((32, 32, 2))
    model = keras_resnet.ResNet20(False, None, image, None, "avg")
    assert model.output_shape == (None, 64)
    assert keras_resnet.ResNet20(True, None, None, (32, 32, 3), None, 7, None, "mine").name == "mine"


def test_a_variant_with_other_settings():
    changed = keras_resnet.ResNet20(depths=(1, 1, 1), name="resnet8")
    assert [layer.name for layer in changed.layers if "_block" in layer.name] == [f"stage{i}_block1" for i in (1, 2, 3)]


def test_constructors_refuse_what_create_model_refuses():
    with pytest.raises(TypeError, match="class_count"):
        keras_resnet.ResNet20(class_count=3)
    with pytest.raises(ValueError, match="classes"):
        keras_resnet.ResNet20(classes=0)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="once is enough, and jax is the default to install")
def test_import_costs_little():
    """At most 0.3 s on top of `import keras`.

    Processor time of one process that has imported Keras already, so that what else the machine does counts neither way:
    the difference of two whole imports was 0.03 s alone and 0.34 s beside a second test worker.
    """
    program = "import time; import keras; start = time.process_time(); import keras_resnet; print(time.process_time() - start)"

    def seconds() -> float:
        done = subprocess.run([sys.executable, "-c", program], env=os.environ, capture_output=True, text=True, check=True)
        return float(done.stdout)

    least = min(seconds() for _ in range(3))
    print(f"import keras_resnet beside keras: {least:.2f} s")  # shown by -s
    assert least < 0.3
