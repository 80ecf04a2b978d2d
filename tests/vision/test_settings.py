"""From a network, a model around one, or a name to the settings of its pictures; what is guessed is said, and no pair is made up."""

import keras
import pytest

import keras_resnet
from keras_resnet.vision import preprocessing as module
from keras_resnet.vision.preprocessing import preprocessing
from keras_resnet.weights import catalogue
from tests.vision.photographs import photograph

LARGER = next(row for row in catalogue.CATALOGUE.values() if row.test_input_size != row.input_size)
UNLIKE = next(row for row in catalogue.CATALOGUE.values() if row.mode == "caffe")


def network(shape=(None, None, 3), checkpoint=None, **arguments):
    model = keras_resnet.models.resnet((1,), (8,), block="basic", stem_width=8, input_shape=shape, include_top=False, **arguments)
    model.checkpoint = None if checkpoint is None else dict(vars(checkpoint))
    return model


@pytest.fixture(autouse=True)
def nothing_said_yet():
    module._say_guess.cache_clear()


def test_settings_of_every_row():
    for name, row in catalogue.CATALOGUE.items():
        for test_size in (False, True):
            layer = preprocessing(name, test_size=test_size)
            assert layer.size == ((row.test_input_size if test_size else row.input_size),) * 2
            assert layer.crop == (row.test_crop if test_size else row.crop)
        for field in ("crop_mode", "interpolation", "mean", "std", "mode"):
            assert getattr(layer, field) == getattr(row, field)


def test_settings_of_a_model():
    default = catalogue.find("resnet18", "imagenet")
    flexible = network(name="resnet18")
    layer = preprocessing(flexible)
    assert (layer.size, layer.crop, layer.mean) == ((default.input_size,) * 2, default.crop, default.mean)
    other = preprocessing(flexible, size=100, crop_mode="squash")
    changed = {"name": other.name, "size": (100, 100), "crop_mode": "squash"}
    assert other.get_config() == {**layer.get_config(), **changed}
    assert preprocessing(network((96, 64, 3), name="resnet18")).size == (96, 64)
    first = preprocessing(network((3, 96, 64), name="resnet18", data_format="channels_first"))
    assert (first.size, first.data_format) == ((96, 64), "channels_first")


def test_larger_size():
    flexible, size = network(checkpoint=LARGER), LARGER.test_input_size
    assert (preprocessing(flexible).size, preprocessing(flexible).crop) == ((LARGER.input_size,) * 2, LARGER.crop)
    fixed = network((size, size, 3), LARGER)
    for layer in (preprocessing(flexible, test_size=True), preprocessing(fixed), preprocessing(fixed, test_size=True)):
        assert (layer.size, layer.crop) == ((size, size), LARGER.test_crop)
    assert preprocessing(flexible, test_size=True, size=[size, size]).crop == LARGER.test_crop


@pytest.mark.parametrize("side", [LARGER.input_size, 96])
def test_larger_size_of_a_smaller_network(side):
    """The crop of one size is not for another: no such pair is published."""
    fixed, flexible = network((side, side, 3), LARGER), network(checkpoint=LARGER)
    says = rf"`test_size=True` means pictures of {LARGER.test_input_size} pixels.*input_shape=\({LARGER.test_input_size}, "
    for call in (dict(model=fixed), dict(model=flexible, size=side), dict(model=f"{LARGER.name}", size=(side, side))):
        with pytest.raises(ValueError, match=says):
            preprocessing(**call, test_size=True)
    assert preprocessing(fixed).crop == LARGER.crop
    assert preprocessing(fixed, test_size=True, crop=0.5).crop == 0.5
    same = network((side, side, 3), UNLIKE)  # whose weights know no larger size
    assert preprocessing(same, test_size=True).get_config().keys() == preprocessing(same).get_config().keys()


def test_a_network_inside():
    inner = network((64, 64, 3), UNLIKE)
    image = keras.Input((64, 64, 3))
    around = [
        keras.Sequential([keras.Input((64, 64, 3)), inner, keras.layers.Flatten()]),
        keras.Model(image, keras.layers.Flatten()(inner(image))),
        keras.Sequential([keras.Input((64, 64, 3)), keras.Sequential([inner]), keras.layers.Flatten()]),
        keras.Sequential([keras.Sequential([inner]), keras.layers.Flatten()]),  # which has not seen an image yet
        keras.Model(image, [inner(image), network((64, 64, 3), UNLIKE, name="second")(image)]),
        keras.Sequential([keras.Sequential([keras.Input((64, 64, 3)), keras.layers.Rescaling(2.0)]), inner]),
    ]
    for model in around:
        layer = preprocessing(model)
        assert (layer.size, layer.mode, layer.crop) == ((64, 64), UNLIKE.mode, UNLIKE.crop)
    named = network((64, 64, 3), name="resnet18")
    assert preprocessing(keras.Sequential([named])).crop == catalogue.find("resnet18", "imagenet").crop


def test_networks_that_disagree():
    image = keras.Input((64, 64, 3))
    one, two = network((64, 64, 3), UNLIKE, name="one"), network((64, 64, 3), LARGER, name="two")
    model = keras.Model(image, [one(image), two(image)], name="both")
    with pytest.raises(ValueError, match=r"networks in 'both' \(one, two\) want different pictures.*get_layer\('one'\)"):
        preprocessing(model)
    assert preprocessing(model.get_layer("two")).crop == LARGER.crop


def test_a_guess_is_said_once(capsys):
    for _ in range(2):
        layer = preprocessing(network(name="mine"))
    assert (layer.size, layer.crop) == ((224, 224), 0.875)
    (line,) = capsys.readouterr().err.splitlines()
    assert "no published weights are known of 'mine'" in line
    assert "pass crop, interpolation, mean, std to preprocessing()" in line
    preprocessing(network(name="mine"), crop=0.9)
    assert "pass interpolation, mean, std to" in capsys.readouterr().err
    preprocessing(network(name="mine"), crop=0.9, interpolation="bilinear", mean=(0.5,) * 3, std=(0.5,) * 3)
    for known in (
        network(name="resnet18"),
        network(checkpoint=LARGER, name="mine"),
        "resnet50",
        keras.Sequential([network(name="resnet18")]),
    ):
        preprocessing(known)
    assert capsys.readouterr().err == ""


def test_in_front_of_a_network():
    fixed = network((32, 32, 3), LARGER)
    whole = keras.Sequential([keras.Input((None, None, 3), dtype="uint8"), preprocessing(fixed), fixed])
    assert whole.predict(photograph("small")[None], verbose=0).shape == (1, *fixed.output_shape[1:])


@pytest.mark.parametrize("model", [None, 5, "resnet50.nothing", "nothing", keras.layers.Dense(3)])
def test_settings_of_nothing(model):
    with pytest.raises(ValueError, match="Received"):
        preprocessing(model)


def test_several_inputs():
    images = [keras.Input((8, 8, 3)), keras.Input((8, 8, 3))]
    with pytest.raises(ValueError, match="one batch of images"):
        preprocessing(keras.Model(images, keras.layers.Add()(images)))
