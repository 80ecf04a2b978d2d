"""UNet++ of its paper: counts, its graph, both modes of inference, wrong arguments."""

import keras
import numpy as np
import pytest

from keras_resnet.models.nested_unet import NESTED_UNETS, fast_nested_unet, nested_unet
from tests import tolerances
from tests.arrays import as_numpy, normal
from tests.check_layer import run
from tests.models.classic_unets import check_any_size, check_deep_supervision, check_volumes, input_shape
from tests.models.dense_networks import check_learns_and_is_kept, count
from tests.quick import quick_on_torch

on_torch = pytest.mark.skipif(keras.backend.backend() != "torch", reason="counts are the same on every backend; PyTorch needs no memory")
ROWS = {
    "nested_unet": 9_041_601,
    "nested_unet_ds": 9_041_700,
    "nested_unet_bilinear": 9_163_329,
    "nested_unet_bilinear_ds": 9_163_428,
}


def small(**settings) -> keras.Model:
    form = {key: value for key, value in settings.items() if key == "data_format"}
    shape = settings.pop("input_shape", None) or input_shape(form, size=settings.pop("size", None))
    return nested_unet(**{"widths": (4, 6, 8), "classes": 3, "input_shape": shape, **settings})


@on_torch
@pytest.mark.parametrize("name", NESTED_UNETS)
def test_rows(name):
    row = NESTED_UNETS[name]
    with keras.device("meta"):
        assert count(row.builder(**row.settings)) == row.params == ROWS[name]


@on_torch
def test_counts_of_three_channels():
    with keras.device("meta"):
        assert count(nested_unet(input_shape=(None, None, 3))) == 9_042_177
        assert count(nested_unet(input_shape=(None, None, 3), deep_supervision=True)) == 9_042_276


def test_any_size():
    check_any_size(small(norm="batch"), (65, 97))


@quick_on_torch
def test_learns_and_is_kept(tmp_path):
    settings = dict(upsampling="nearest", norm="group", dropout=0.1)
    check_learns_and_is_kept(lambda **form: small(**settings, **form, size=22), tmp_path, size=22)


@quick_on_torch
def test_volumes():
    check_volumes(lambda **form: small(widths=(4, 6), norm="instance", **form), (5, 6, 3))


def test_accurate_is_the_mean_and_fast_a_part():
    model = small(deep_supervision=True, norm="batch")
    outputs = check_deep_supervision(model, count=2)
    assert tolerances.difference(outputs["out"], (outputs["aux1"] + outputs["aux2"]) / 2) < tolerances.OPERATION["float32"]
    fast = fast_nested_unet(model, level=1)
    names = {layer.name for layer in fast.layers}
    assert "x_0_1" in names
    assert not {"x_2_0", "x_1_1", "x_0_2"} & names
    images = normal(2, 19, 22, 3)
    assert tolerances.difference(as_numpy(run(fast, images)), outputs["aux2"]) < tolerances.OPERATION["float32"]
    assert np.abs(outputs["aux1"] - outputs["aux2"]).max() > 1e-3


def test_wrong_models_and_levels():
    model = small(deep_supervision=True)
    with pytest.raises(ValueError, match="from 1 to 2"):
        fast_nested_unet(model, 3)
    with pytest.raises(ValueError, match="`level`"):
        fast_nested_unet(model, 0)
    with pytest.raises(ValueError, match="deep_supervision=True"):
        fast_nested_unet(small(), 1)
    with pytest.raises(ValueError, match="`upsampling`"):
        small(upsampling="max")
    with pytest.raises(ValueError, match="`deep_supervision`"):
        small(deep_supervision=1)
