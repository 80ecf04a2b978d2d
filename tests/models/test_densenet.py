"""`check_model` on small densely connected networks, their rows, and what the builders' settings promise."""

import functools

import numpy as np
import pytest

import keras_resnet
from keras_resnet.models import cifar_densenet, densenet
from keras_resnet.models.densenet import DENSENETS
from tests import tolerances
from tests.arrays import as_numpy, normal
from tests.check_layer import run
from tests.check_model import check_model
from tests.quick import ON_TORCH

tiny = functools.partial(densenet, depths=(2, 1, 2), growth_rate=4)
small = functools.partial(cifar_densenet, depths=(1, 2, 1), growth_rate=4)


@pytest.mark.parametrize(
    ("make", "size", "strides"),
    [
        # With relu the stem's gamma would stay: the next norm undoes what it scales.
        pytest.param(functools.partial(tiny, activation="gelu", remat=True), 32, (4, 8, 16), marks=[] if ON_TORCH else pytest.mark.full),
        (functools.partial(tiny, stem="deep", output_stride=8, norm="group", activation="gelu"), 32, (4, 8, 8)),
        pytest.param(
            functools.partial(small, bottleneck=None, compression=1.0, stem_width=5),
            16,
            (1, 2, 4),
            marks=[] if ON_TORCH else pytest.mark.full,
        ),
    ],
    ids=["tiny", "tiny_deep", "small"],
)
def test_network(make, size, strides, tmp_path):
    check_model(make, size, {f"stage{i}": stride for i, stride in enumerate(strides, start=1)}, tmp_path)


@pytest.mark.parametrize("make", [small, tiny])
def test_any_size_and_any_channels(make):
    known = make(input_shape=(33, 47, 6), classes=3)
    free = make(input_shape=(None, None, 6), classes=3)
    for new, old in zip(free.variables, known.variables, strict=True):
        new.assign(old.value)
    image = normal(2, 33, 47, 6)
    assert tolerances.difference(as_numpy(run(free, image)), as_numpy(run(known, image))) < tolerances.OPERATION["float32"]
    assert run(free, normal(1, 40, 32, 6)).shape == (1, 3)


def test_dilation_in_place_of_strides_keeps_what_each_weight_sees():
    """The pixels that strides would give are those of the dilated map, at a size that no stride cuts."""
    image = normal(2, 32, 32, 3)
    for make, strides in ((tiny, (4, 8, 16)), (small, (1, 2, 4))):
        strided = make(include_top=False, input_shape=(32, 32, 3))
        expected = as_numpy(run(strided, image))
        for output_stride in strides[make is tiny :]:  # the stem's own stride is not to be had
            dilated = make(include_top=False, input_shape=(32, 32, 3), output_stride=output_stride)
            for new, old in zip(dilated.variables, strided.variables, strict=True):
                new.assign(old.value)
            found = as_numpy(run(dilated, image))
            step = strides[-1] // output_stride
            assert found.shape[1] == 32 // output_stride
            assert tolerances.difference(found[:, ::step, ::step], expected) < tolerances.OPERATION_GRADIENT["float32"]


def test_one_row_a_block_and_names():
    names = [layer.name for layer in tiny().layers]
    assert names == ["input", "stem", "stem_pool", "stage1", "transition1", "stage2", "transition2", "stage3", "post_norm", "pool", "head"]
    assert [layer.name for layer in small(include_top=False).layers][:2] == ["input", "stem"]
    assert [v.path.split("/")[-1] for v in small().get_layer("stem").variables] == ["kernel"]


def test_parameters_of_the_paper():
    """Table 2's, in millions; `test_truth.py` builds the rows and counts."""
    published = {"40_k12": 1.0, "100_k12": 7.0, "100_k24": 27.2, "bc100_k12": 0.8, "bc190_k40": 25.6, "bc250_k24": 15.3}
    assert {name: round(DENSENETS[f"densenet{name}"].params / 1e6, 1) for name in published} == published


@pytest.mark.parametrize(
    ("make", "settings", "word"),
    [
        (densenet, dict(growth_rate=0), "growth_rate"),
        (densenet, dict(depths=(6, 0)), "depths"),
        (densenet, dict(compression=0), "compression"),
        (densenet, dict(compression=1.01), "compression"),
        (densenet, dict(output_stride=2), "output_stride"),
        (densenet, dict(norm="bunch"), "norm"),
        (densenet, dict(activation="rleu"), "activation"),
        (densenet, dict(stem="9x9"), "stem"),
        (densenet, dict(stem_width=33, stem="deep"), "stem_width"),
        (densenet, dict(anti_alias="average"), "anti_alias"),
        (cifar_densenet, dict(dropout=-0.1), "dropout"),
        (cifar_densenet, dict(stem_width=0), "stem_width"),
        (cifar_densenet, dict(bottleneck=0), "bottleneck"),
        (cifar_densenet, dict(output_stride=8), "output_stride"),
    ],
)
def test_impossible_arguments(make, settings, word):
    with pytest.raises(ValueError, match=word):
        make(**settings)


def test_too_small_an_image():
    with pytest.raises(ValueError, match="29x29"):
        densenet(depths=(1, 1, 1, 1), growth_rate=4, input_shape=(28, 32, 3))
    with pytest.raises(ValueError, match="4x4"):
        small(input_shape=(3, 4, 3))
    assert densenet(depths=(1, 1, 1, 1), growth_rate=4, input_shape=(29, 29, 3)).get_layer("stage4").output.shape[1:3] == (1, 1)
    free = small(input_shape=(None, None, 3))
    with pytest.raises(ValueError, match="too small"):
        free(np.zeros((1, 3, 9, 3), "float32"))


def test_features_of_each_block():
    maps = keras_resnet.features(tiny(input_shape=(64, 64, 3)))
    assert {name: tensor.shape[1] for name, tensor in maps.items()} == {"stage1": 16, "stage2": 8, "stage3": 4}
