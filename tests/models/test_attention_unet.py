"""Attention U-Net as its authors have it: counts, sizes, options, wrong arguments."""

import keras
import pytest

from keras_resnet.models.attention_unet import ATTENTION_UNETS, attention_unet
from tests.models.classic_unets import check_any_size, check_deep_supervision, check_volumes, input_shape
from tests.models.dense_networks import check_learns_and_is_kept, count
from tests.quick import quick_on_torch

on_torch = pytest.mark.skipif(keras.backend.backend() != "torch", reason="counts are the same on every backend; PyTorch needs no memory")
ROWS = {"attention_unet3d": 6_213_613, "attention_unet3d_multi": 6_472_784, "attention_unet3d_ungated": 5_887_466}


def small(**settings) -> keras.Model:
    form = {key: value for key, value in settings.items() if key == "data_format"}
    shape = settings.pop("input_shape", None) or input_shape(form, size=settings.pop("size", None))
    return attention_unet(**{"widths": (4, 6, 8), "classes": 3, "input_shape": shape, **settings})


@on_torch
@pytest.mark.parametrize("name", ATTENTION_UNETS)
def test_rows(name):
    row = ATTENTION_UNETS[name]
    with keras.device("meta"):
        assert count(row.builder(**row.settings)) == row.params == ROWS[name]


def test_any_size():
    check_any_size(small(), (65, 97))


@quick_on_torch
def test_learns_and_is_kept(tmp_path):
    settings = dict(gates=2, norm="group", use_bias=False)
    # A gate of eight pixels may be saturated for all four images.
    check_learns_and_is_kept(lambda **form: small(**settings, **form, size=22), tmp_path, size=22, still=("_weight/",))


@quick_on_torch
def test_volumes():
    check_volumes(lambda **form: small(widths=(4, 5, 6), norm="group", use_bias=False, **form), (5, 6, 8))


@quick_on_torch
def test_deep_supervision():
    check_deep_supervision(small(deep_supervision=True, use_bias=False), count=2)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (dict(gates=-1), "`gates`"),
        (dict(upsampling="transpose"), "'bilinear', 'nearest'"),
        (dict(widths=(8, 9)), "at least 3"),
    ],
    ids=str,
)
def test_wrong_arguments(settings, says):
    with pytest.raises(ValueError, match=says):
        small(**settings)
