"""FC-DenseNet: published counts, a transcription in stock Keras layers, any size of image, recomputation, wrong arguments."""

import keras
import numpy as np
import pytest

from keras_resnet import layers, models
from keras_resnet.models.fc_densenet import FC_DENSENETS
from tests import tolerances
from tests.arrays import as_numpy, normal
from tests.check_layer import run
from tests.gradients import layer_gradients
from tests.models.classic_unets import check_deep_supervision
from tests.models.dense_networks import check_learns_and_is_kept
from tests.models.stock import carrying, convolved, normalized, spread
from tests.quick import quick_on_torch

# Trainable parameters and statistics of the authors' networks: 11 classes, three channels. The paper prints their sum.
COUNTS = {"fc_densenet56": (1_376_795, 21_168), "fc_densenet67": (3_463_243, 39_680), "fc_densenet103": (9_322_091, 103_072)}
on_torch = pytest.mark.skipif(keras.backend.backend() != "torch", reason="the same on every backend; PyTorch needs no memory for it")
SLOW = [pytest.mark.full] if keras.backend.backend() == "jax" else []  # there a case compiles for seconds


def small(**settings) -> keras.Model:
    return models.fc_densenet(**{"depths": (2, 3, 2, 3, 2), "growth_rate": 3, "stem_width": 6, "classes": 4, "dropout": 0.0, **settings})


@on_torch
@pytest.mark.parametrize("name", FC_DENSENETS)
def test_counts(name):
    row = FC_DENSENETS[name]
    with keras.device("meta"):
        model = row.builder(**row.settings)
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == COUNTS[name][0] == row.params
    assert sum(int(np.prod(v.shape)) for v in model.non_trainable_variables if "seed" not in v.path) == COUNTS[name][1]


@on_torch
def test_channels_of_the_stack():
    """What the authors print for 103 layers, corrected by their own remark: the stacks in front of each transition and in the end."""
    with keras.device("meta"):
        model = models.fc_densenet((4, 5, 7, 10, 12, 15, 12, 10, 7, 5, 4), data_format="channels_last")
    assert [model.get_layer(f"down{i}").output.shape[-1] for i in (1, 2, 3, 4, 5)] == [112, 192, 304, 464, 656]
    assert model.get_layer("middle").output.shape[-1] + 656 == 896
    assert model.get_layer("head").input.shape[-1] == 256


def transcription(model: keras.Model, height: int, width: int) -> keras.Model:
    """The paper's network of three scales, with the weights of `model`."""

    def join(*maps):
        return keras.layers.Concatenate()(list(maps))

    def grow(block, x):
        """The new features, and all."""
        new = []
        for place in range(1, block.num_layers + 1):
            layer = getattr(block, f"layer{place}")
            new.append(convolved(layer.conv1, normalized(layer.norm1, x)))
            x = join(x, new[-1])
        return join(*new), x

    image = keras.Input((height, width, 3))
    x = convolved(model.get_layer("stem"), image)
    stacks = []
    for scale in (1, 2):
        stacks.append(grow(model.get_layer(f"down{scale}"), x)[1])
        down = model.get_layer(f"down{scale}_transition")
        x = convolved(down.conv, normalized(down.norm_layer, stacks[-1]))
        x = keras.layers.MaxPooling2D(2, padding="same", data_format="channels_last")(x)
    x, _ = grow(model.get_layer("middle"), x)
    for scale in (2, 1):
        up = model.get_layer(f"up{scale}_enlarge")
        theirs = keras.layers.Conv2DTranspose(up.filters, 3, 2, data_format="channels_last")  # 2n + 1 pixels
        x = carrying(theirs, [as_numpy(v) for v in up.variables], x)
        like = stacks[scale - 1].shape
        x = keras.layers.Cropping2D(((0, x.shape[1] - like[1]), (0, x.shape[2] - like[2])), data_format="channels_last")(x)
        new, x = grow(model.get_layer(f"up{scale}"), join(x, stacks[scale - 1]))
        last, x = x, new
    return keras.Model(image, convolved(model.get_layer("head"), last))


@pytest.mark.parametrize("size", [pytest.param((12, 16), marks=SLOW), (13, 11)])
def test_forward_is_the_papers(size):
    model = spread(small(data_format="channels_last"))
    images = normal(2, *size, 3)
    y, expected = (as_numpy(run(one, images)) for one in (model, transcription(model, *size)))
    assert tolerances.difference(y, expected) < tolerances.LOGITS_FLOAT32


@pytest.mark.parametrize("size", [(65, 97), pytest.param((32, 31), marks=SLOW), pytest.param((1, 5), marks=SLOW)])
def test_output_has_the_images_size(size):
    model = small(depths=(1,) * 11, growth_rate=2)
    assert tuple(run(model, normal(2, *size, 3)).shape) == (2, *size, 4)


@pytest.mark.parametrize(
    "settings",
    [
        dict(remat=True),
        pytest.param(dict(norm="layer", use_bias=None), marks=SLOW),
        pytest.param(dict(norm=None, activation="silu"), marks=SLOW),
    ],
    ids=str,
)
def test_every_option_learns_and_is_kept(settings, tmp_path):
    check_learns_and_is_kept(lambda **form: small(classes=3, **settings, **form), tmp_path, size=17)


def test_softmax_is_over_the_classes_in_both_formats():
    for data_format, axis in (("channels_last", -1), ("channels_first", 1)):
        model = small(classifier_activation="softmax", data_format=data_format)
        images = normal(2, 8, 8, 3)
        y = as_numpy(run(model, images if axis == -1 else np.ascontiguousarray(images.transpose(0, 3, 1, 2))))
        assert np.allclose(y.sum(axis), 1, atol=1e-5)


@pytest.mark.parametrize("dropout", [pytest.param(0.0, marks=SLOW), 0.2])
def test_recomputing_changes_nothing(dropout):
    """The same output, gradients and statistics, moved once; under dropout with the same numbers set to zero."""
    plain, lean = (small(depths=(1, 2, 2), dropout=dropout, remat=remat) for remat in (False, True))
    spread(plain)
    for new, old in zip(lean.variables, plain.variables, strict=True):
        new.assign(old.value)
    images = normal(2, 9, 10, 3)
    keras.utils.set_random_seed(1)  # on PyTorch Keras's dropout draws from the global generator
    y, gradients, after = layer_gradients(plain, images)
    keras.utils.set_random_seed(1)
    y2, gradients2, after2 = layer_gradients(lean, images)
    assert tolerances.difference(y2, y) < tolerances.OPERATION["float32"]
    largest = max(np.abs(one).max() for one in gradients.values())
    for (path, one), two in zip(gradients.items(), gradients2.values(), strict=True):
        if path.endswith("bias"):  # in front of batch normalization: nothing but rounding
            assert np.abs(two - one).max() < tolerances.OPERATION_GRADIENT["float32"] * largest, path
        else:
            assert np.abs(one).max() > 0, path
            assert tolerances.difference(two, one) < tolerances.GRADIENTS, path
    for (path, one), two in zip(after.items(), after2.values(), strict=True):
        assert tolerances.difference(two, one) < tolerances.OPERATION["float32"], path


@quick_on_torch
def test_blocks_on_the_way_up_have_heads():
    model = small(deep_supervision=True)
    assert tuple(model.get_layer("aux1").kernel.shape) == (1, 1, 3 * 3, 4)  # the new features of a block of three layers
    check_deep_supervision(model, 1)


def test_kernels_start_uniform():
    """Within the bound of He's uniform numbers, and up to it."""
    model = small(depths=(4, 4, 4), growth_rate=16)
    kernels = [v for v in model.trainable_variables if v.path.endswith("kernel") and "enlarge" not in v.path]
    for kernel in kernels:
        bound = np.sqrt(6 / np.prod(kernel.shape[:-1]))
        assert 0.9 * bound < np.abs(as_numpy(kernel)).max() <= bound * 1.000001, kernel.path
    assert isinstance(model.get_layer("up1"), layers.DenseBlock)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (dict(depths=(2, 2)), "`depths` must hold an odd number"),
        (dict(depths=(2,)), "`depths`"),
        (dict(depths=(2, 0, 2)), "`depths`"),
        (dict(growth_rate=0), "`growth_rate`"),
        (dict(stem_width=1.5), "`stem_width`"),
        (dict(dropout=1.0), "`dropout`"),
        (dict(norm="weight"), "`norm`"),
        (dict(use_bias="no"), "`use_bias`"),
        (dict(remat=None), "`remat`"),
        (dict(classes=0), "`classes`"),
        (dict(classifier_activation="sofmax"), "`classifier_activation`"),
        (dict(input_shape=(64, 64)), r"\(height, width, channels\)"),
        (dict(dtype="int32"), "`dtype`"),
    ],
    ids=str,
)
def test_wrong_arguments(settings, says):
    with pytest.raises(ValueError, match=says):
        small(**settings)
