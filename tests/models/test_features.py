"""The maps of each stage, their strides and channels."""

import keras
import pytest

import keras_resnet
from keras_resnet.models.features import FeatureInfo
from tests.arrays import as_numpy, normal
from tests.check_layer import run

RESNET50 = {
    "stem": FeatureInfo(2, 64),
    "stage1": FeatureInfo(4, 256),
    "stage2": FeatureInfo(8, 512),
    "stage3": FeatureInfo(16, 1024),
    "stage4": FeatureInfo(32, 2048),
}


@pytest.mark.parametrize(
    "settings",
    [
        dict(),
        dict(include_top=False),
        dict(input_shape=(225, 193, 1)),
        dict(input_shape=(96, 32, 3)),
        dict(data_format="channels_first", include_top=False),
        dict(data_format="channels_first", input_shape=(3, 64, 96)),
    ],
)
def test_strides_and_channels_of_resnet50(settings):
    assert keras_resnet.feature_info(keras_resnet.ResNet50(weights=None, depths=(1, 1, 1, 1), **settings)) == RESNET50


@pytest.mark.parametrize(("output_stride", "strides"), [(8, (2, 4, 8, 8, 8)), (16, (2, 4, 8, 16, 16))])
def test_output_stride(output_stride, strides):
    model = keras_resnet.ResNet18(weights=None, output_stride=output_stride, include_top=False)
    assert tuple(info.stride for info in keras_resnet.feature_info(model).values()) == strides


def test_small_images():
    info = keras_resnet.feature_info(keras_resnet.ResNet20())
    assert info == {"stem": FeatureInfo(1, 16), "stage1": FeatureInfo(1, 16), "stage2": FeatureInfo(2, 32), "stage3": FeatureInfo(4, 64)}


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_maps_are_what_the_info_says_also_from_a_file(data_format, tmp_path):
    shape = (64, 96, 3) if data_format == "channels_last" else (3, 64, 96)
    model = keras_resnet.ResNet18(weights=None, depths=(1, 1, 1, 1), data_format=data_format, input_shape=shape, classes=2)
    model.save(tmp_path / "model.keras")
    images = normal(2, *shape)
    found = []
    for one in (model, keras.saving.load_model(tmp_path / "model.keras")):
        info = keras_resnet.feature_info(one)
        maps = run(keras.Model(one.input, keras_resnet.features(one, stem=True)), images)
        assert set(maps) == set(info)
        assert list(info) == ["stem", "stage1", "stage2", "stage3", "stage4"]
        for name, tensor in maps.items():
            sizes = (64 // info[name].stride, 96 // info[name].stride)
            channels = info[name].channels
            assert tuple(tensor.shape) == (2, *((channels, *sizes) if data_format == "channels_first" else (*sizes, channels)))
        found.append({name: as_numpy(tensor) for name, tensor in maps.items()})
    assert all((found[0][name] == found[1][name]).all() for name in found[0])


def test_the_stem_comes_first_and_only_if_asked_for():
    model = keras_resnet.ResNet18(weights=None, include_top=False)
    assert list(keras_resnet.features(model)) == ["stage1", "stage2", "stage3", "stage4"]
    maps = keras_resnet.features(model, stem=True)
    assert next(iter(maps)) == "stem"
    assert maps["stem"] is model.get_layer("stem").output
    assert maps["stage4"].shape[-1] == 512


def test_a_stage_may_be_one_layer():
    x = image = keras.Input((32, 32, 3))
    for name, filters in (("stem", 4), ("stage1", 5), ("stage2", 6)):
        x = keras_resnet.layers.Conv2D(filters, 3, strides=2, padding=1, name=name)(x)
    info = keras_resnet.feature_info(keras.Model(image, x))
    assert info == {"stem": FeatureInfo(2, 4), "stage1": FeatureInfo(4, 5), "stage2": FeatureInfo(8, 6)}


def test_refusals():
    image = keras.Input((8,))
    stranger = keras.Model(image, keras.layers.Dense(2, name="stem")(image))
    with pytest.raises(ValueError, match="stage1_block1"):
        keras_resnet.features(stranger, stem=True)
    with pytest.raises(ValueError, match="stage1_block1"):
        keras_resnet.feature_info(stranger)
    with pytest.raises(ValueError, match="`stem` must be True or False"):
        keras_resnet.features(keras_resnet.ResNet20(), stem="yes")
    with pytest.raises(ValueError, match="Received: int"):
        keras_resnet.feature_info(3)
