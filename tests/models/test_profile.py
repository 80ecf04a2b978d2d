"""What `profile` counts, beside numbers counted by hand; the published figures of whole networks are in `test_truth`."""

import dataclasses

import keras
import pytest

import keras_resnet
from keras_resnet import backend, layers, models
from tests.arrays import normal
from tests.check_layer import run


def one(layer, *shape):
    """The profile of a model of this one layer."""
    image = keras.Input(shape)
    return keras_resnet.profile(keras.Model(image, layer(image), name="one"))


def figures(found):
    return found.params, found.macs, found.macs_with_norms, found.activations, found.depth


def test_resnet50():
    """torchvision's table says 4.089 G; timm's 4.11 G and 11.11 M."""
    model = keras_resnet.ResNet50(weights=None, input_shape=(None, None, 3))
    found = keras_resnet.profile(model, (224, 224, 3))
    assert figures(found) == (25_557_032, 4_089_184_256, 4_111_512_576, 11_114_984, 50)
    assert [layer.name for layer in found.layers] == [layer.name for layer in model.layers[1:]]
    for field in ("params", "macs", "macs_with_norms", "activations"):
        assert getattr(found, field) == sum(getattr(layer, field) for layer in found.layers)
        assert all(type(getattr(layer, field)) is int for layer in found.layers)
    stem = found.layers[0]
    assert (stem.name, stem.output_shape, stem.params) == ("stem", (112, 112, 64), 49 * 3 * 64 + 2 * 64)
    assert stem.macs == 112**2 * 64 * 49 * 3
    assert stem.macs_with_norms == stem.macs + 2 * 112**2 * 64
    assert stem.activations == 112**2 * 64


def test_it_prints_a_table():
    text = str(keras_resnet.profile(keras_resnet.ResNet50(weights=None)))
    lines = text.splitlines()
    assert lines[0] == "resnet50: one image of (224, 224, 3), depth 50"
    assert "4.089 G" in lines[-2]
    assert "25,557,032" in lines[-2]
    assert "11.115 M" in lines[-2]
    assert "4.112 G" in lines[-1]
    assert sum(line.startswith("stage") for line in lines) == 16
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (lambda: layers.Conv2D(6, 3, 2, padding=1, groups=2), (8, 9, 4), (3 * 3 * 2 * 6 + 6, 4 * 5 * 6 * 18, 4 * 5 * 6 * 18, 120, 1)),
        (lambda: layers.BatchNormalization(), (4, 4, 3), (6, 0, 96, 0, 0)),
        (lambda: layers.MaxPooling2D(2), (4, 4, 3), (0, 0, 0, 0, 0)),
        (lambda: layers.GlobalAveragePooling2D(), (4, 4, 3), (0, 0, 48, 0, 0)),
        (lambda: layers.SqueezeExcite(0.5, 8), (4, 4, 16), (8 * 16 * 2 + 24, 256, 256, 24, 0)),
        (lambda: layers.EfficientChannelAttention(3), (4, 4, 16), (3, 48, 48, 16, 0)),
        (lambda: layers.TransformerBlock(2), (5, 8), (872, 4240, 4640, 450, 4)),
        (lambda: keras.layers.Dense(3), (5,), (18, 15, 15, 3, 1)),
        (lambda: keras.layers.Conv2D(6, 3, groups=2), (8, 8, 4), (3 * 3 * 2 * 6 + 6, 36 * 6 * 18, 36 * 6 * 18, 216, 1)),
        (lambda: keras.layers.DepthwiseConv2D(3), (8, 8, 4), (40, 36 * 4 * 9, 36 * 4 * 9, 144, 1)),
        (lambda: keras.layers.Conv2DTranspose(3, 2, 2), (4, 4, 5), (63, 16 * 5 * 4 * 3, 16 * 5 * 4 * 3, 192, 1)),
        (lambda: keras.layers.GroupNormalization(2), (4, 4, 6), (12, 0, 480, 0, 0)),
        (lambda: keras.layers.LayerNormalization(), (7, 6), (12, 0, 210, 0, 0)),
    ],
)
def test_a_layer(layer, shape, expected):
    assert figures(one(layer(), *shape)) == expected


def test_the_shortcut_counts_but_not_as_depth():
    block = layers.Bottleneck(4, strides=2)
    products = 64 * 8 * 4 + 16 * 9 * 4 * 4 + 16 * 4 * 16 + 16 * 8 * 16
    outputs = 64 * 4 + 16 * 4 + 16 * 16 + 16 * 16
    assert figures(one(block, 8, 8, 8))[1:] == (products, products + 2 * outputs, outputs, 3)


def test_depth_is_that_of_the_longest_path():
    image = keras.Input((8, 8, 2))
    x = layers.Conv2D(2, 1)(image)
    y = layers.Conv2D(2, 1)(layers.Conv2D(2, 1)(x))
    model = keras.Model(image, keras.layers.Dense(1)(keras.layers.Flatten()(keras.layers.Add()([y, x]))))
    found = keras_resnet.profile(model)
    assert found.depth == 4
    assert found.macs == 3 * 64 * 4 + 128


@pytest.mark.parametrize("settings", [dict(data_format="channels_first"), dict(dtype="mixed_bfloat16"), dict(remat=True)])
def test_settings_that_change_no_figure(settings):
    plain = keras_resnet.ResNet18(weights=None, depths=(1, 1, 1, 1), include_top=False)
    other = keras_resnet.ResNet18(weights=None, depths=(1, 1, 1, 1), include_top=False, **settings)
    shape = (3, 65, 96) if "data_format" in settings else (65, 96, 3)
    assert figures(keras_resnet.profile(other, shape)) == figures(keras_resnet.profile(plain, (65, 96, 3)))


def test_a_network_of_a_file_and_one_in_use(tmp_path):
    model = keras_resnet.ResNet20()
    before = keras_resnet.profile(model)
    run(model, normal(2, 32, 32, 3))
    model.save(tmp_path / "model.keras")
    assert keras_resnet.profile(model) == before
    assert keras_resnet.profile(keras.saving.load_model(tmp_path / "model.keras")) == before
    assert keras_resnet.profile(model, (64, 64, 3)).macs == 4 * (before.macs - 640) + 640


def test_a_layer_of_which_nothing_is_known_says_so():
    found = one(keras.layers.SeparableConv2D(3, 3), 8, 8, 2)
    assert [layer.counted for layer in found.layers] == [False]
    assert "unknown" in str(found)


def test_recording_ends_and_counts_what_ran():
    layer = layers.Conv2D(2, 3)
    layer.build((None, 4, 4, 3))
    with backend.recording() as works:
        layer(normal(1, 4, 4, 3))
    layer(normal(1, 4, 4, 3))
    assert [dataclasses.astuple(work) for work in works] == [("conv2d", 4 * 2 * 27, 8, 0)]
    with pytest.raises(RuntimeError), backend.recording() as works:
        raise RuntimeError
    layer(normal(1, 4, 4, 3))
    assert works == []


def test_refusals():
    model = keras_resnet.ResNet18(weights=None, depths=(1, 1, 1, 1), include_top=False)
    for shape in ((224, 224, 4), (224, 224), (None, 224, 3), 224, (224, 0, 3)):
        with pytest.raises(ValueError, match="`input_shape` must be the shape of an image"):
            keras_resnet.profile(model, shape)
    with pytest.raises(ValueError, match="say for which one by `input_shape`"):
        keras_resnet.profile(model)
    with pytest.raises(ValueError, match="too small"):
        keras_resnet.profile(model, (16, 16, 3))
    with pytest.raises(ValueError, match="Received: Sequential"):
        keras_resnet.profile(keras.Sequential())
    with pytest.raises(ValueError, match="Received: str"):
        keras_resnet.profile("resnet50")


def conv(side, channels, filters, window=9):
    """Multiply-adds of a convolution that puts out `side` numbers a channel."""
    return side * window * channels * filters


def test_fc_densenet_by_hand():
    """Of a 4x4 picture: 16 pixels, behind the transition 4. What is enlarged are the middle's 2 new maps, joined with the 5 kept ones."""
    model = models.fc_densenet((1, 1, 1), growth_rate=2, stem_width=3, classes=4, input_shape=(4, 4, 1))
    macs = conv(16, 1, 3) + conv(16, 3, 2) + conv(16, 5, 5, 1) + conv(4, 5, 2) + conv(4, 2, 2) + conv(16, 7, 2) + conv(16, 9, 4, 1)
    found = keras_resnet.profile(model)
    assert found.macs == macs == 4792
    # Norms of two numbers each in front of the dense layers and of the transition.
    assert found.macs_with_norms == macs + 2 * (16 * 3 + 16 * 5 + 4 * 5 + 16 * 7)
    assert found.activations == 16 * (3 + 2 + 5) + 4 * 2 + 16 * 2 + 16 * 2 + 16 * 4
    assert found.depth == 7


def test_unet3plus_by_hand():
    """Of an 8x8 picture: 64, 16 and 4 pixels. Each step up brings three maps to 2 channels, and joins them into 6."""
    settings = dict(widths=(2, 3, 4), skip_width=2, classes=1, input_shape=(8, 8, 1))
    down = conv(64, 1, 2) + conv(64, 2, 2) + conv(16, 2, 3) + conv(16, 3, 3) + conv(4, 3, 4) + conv(4, 4, 4)
    up2 = conv(16, 2, 2) + conv(16, 3, 2) + conv(16, 4, 2) + conv(16, 6, 6)
    up1 = conv(64, 2, 2) + conv(64, 6, 2) + conv(64, 4, 2) + conv(64, 6, 6)
    plain = keras_resnet.profile(models.unet3plus(**settings))
    assert plain.macs == down + up2 + up1 + conv(64, 6, 1) == 52_416
    assert figures(keras_resnet.profile(models.unet3plus(remat=True, **settings))) == figures(plain)
    sides = keras_resnet.profile(models.unet3plus(deep_supervision=True, guided=True, **settings))
    # Heads of up2 and of the deepest map, at their sizes; whether there is something, by a 1x1 convolution of the deepest.
    assert sides.macs == plain.macs + conv(16, 6, 1) + conv(4, 4, 1) + conv(4, 4, 2, 1)


def test_several_inputs_by_hand():
    """A diffusion network of one level for 4x4 pixels: time 4 -> 16 -> 16, and 16 -> 4 in each block; attention between 16 pixels."""
    settings = dict(width=4, multipliers=(1,), depth=1, attention_strides=(), norm=None, input_shape=(None, None, 1))
    block = 2 * conv(16, 4, 4) + 16 * 4
    attention = 16 * 4 * 12 + 2 * 16 * 16 * 4 + 16 * 4 * 4
    up = conv(16, 8, 4) + conv(16, 4, 4) + conv(16, 8, 4, 1) + 16 * 4
    macs = 4 * 16 + 16 * 16 + conv(16, 1, 4) + 3 * block + attention + 2 * up + conv(16, 4, 1)
    found = keras_resnet.profile(models.diffusion_unet(**settings), (4, 4, 1))
    assert found.macs == macs == 33_536
    assert "one image of (4, 4, 1)" in str(found)
    labelled = keras_resnet.profile(models.diffusion_unet(classes=3, **settings), (4, 4, 1))
    assert (labelled.macs, labelled.params) == (macs, found.params + 3 * 16)
    assert all(layer.counted for layer in labelled.layers)


def test_volumes_by_hand():
    """4x4x4 and 2x2x2 voxels, windows of 27; the transposed convolution multiplies each of its inputs by a window of 8."""
    model = models.plain_unet((2, 3), input_shape=(None, None, None, 1), classes=2)
    macs = 27 * (64 * (2 + 4) + 8 * (6 + 9) + 64 * (8 + 4)) + 8 * 8 * 3 * 2 + 64 * 2 * 2
    found = keras_resnet.profile(model, (4, 4, 4, 1))
    assert found.macs == macs == 34_984
    assert "one volume of (4, 4, 4, 1)" in str(found)
    first = models.plain_unet((2, 3), input_shape=(1, None, None, None), classes=2, data_format="channels_first")
    assert figures(keras_resnet.profile(first, (1, 4, 4, 4))) == figures(found)


def test_a_list_of_one_map(tmp_path):
    """The largest map of a pyramid climbs nowhere; a file gives its shapes back as lists."""
    image = keras.Input((8, 8, 2))
    model = keras.Model(image, layers.ClimbingConvs(4)([image]))
    model.save(tmp_path / "model.keras")
    for one in (model, keras.saving.load_model(tmp_path / "model.keras")):
        assert keras_resnet.profile(one).macs == conv(64, 2, 4)


def test_fast_paths_change_no_figure():
    """Where a decoder sees the small map by sums of its kernel, the published convolution of the doubled and joined one counts."""
    small, skip = keras.Input((4, 4, 3)), keras.Input((8, 8, 2))
    found = keras_resnet.profile(keras.Model([small, skip], layers.DecoderBlock(4)([small, skip])))
    assert figures(found)[1:] == (conv(64, 5, 4) + conv(64, 4, 4), conv(64, 5, 4) + conv(64, 4, 4) + 4 * 64 * 4, 2 * 64 * 4, 2)


def test_the_image_need_not_come_first():
    scale, image = keras.Input((2,)), keras.Input((None, None, 2))
    scaled = keras.layers.Multiply()([layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3)(image)), scale])
    assert keras_resnet.profile(keras.Model([scale, image], scaled), (5, 5, 2)).macs == conv(9, 2, 2)


def test_refusals_of_several_inputs():
    image, other = keras.Input((8, 8, 2), name="image"), keras.Input((None,), name="other")
    scaled = keras.layers.Multiply()([layers.GlobalAveragePooling2D()(image), keras.layers.Lambda(lambda x: x[:, :2])(other)])
    with pytest.raises(ValueError, match=r"takes 'other' beside its image 'image', of the unknown size \(None,\)"):
        keras_resnet.profile(keras.Model([image, other], scaled))
    with pytest.raises(ValueError, match=r"such as input_shape=\(1, 64, 64, 64\)"):
        keras_resnet.profile(models.plain_unet((2, 3), input_shape=(1, None, None, None), data_format="channels_first"))


def test_an_image_that_is_used_up_is_told_so():
    """And not that a shape could not be found, which is what Keras says of it."""
    with pytest.raises(ValueError, match=r"Images of 7x7 pixels .*takes 18x18 or larger") as error:
        keras_resnet.profile(models.plain_unet((2, 3), padding="valid"), (7, 7, 1))
    assert "Could not automatically infer" not in str(error.value)
