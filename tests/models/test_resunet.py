"""ResUNet: its count with and without projections, sizes, options, wrong arguments."""

import keras
import numpy as np
import pytest

from keras_resnet.models.resunet import RESUNETS, resunet
from tests.models.classic_unets import check_any_size, check_deep_supervision, input_shape
from tests.models.dense_networks import check_learns_and_is_kept, count
from tests.quick import quick_on_torch

on_torch = pytest.mark.skipif(keras.backend.backend() != "torch", reason="counts are the same on every backend; PyTorch needs no memory")


def small(**settings) -> keras.Model:
    form = {key: value for key, value in settings.items() if key == "data_format"}
    return resunet(**{"widths": (4, 6, 8), "classes": 3, "input_shape": input_shape(form, size=settings.pop("size", None)), **settings})


@on_torch
def test_counts():
    row = RESUNETS["resunet"]
    with keras.device("meta"):
        model = row.builder(**row.settings)
    assert count(model) == row.params == 8_220_993
    projections = sum(int(np.prod(v.shape)) for v in model.trainable_variables if "shortcut" in v.path)
    assert count(model) - projections == 7_789_313  # what the paper counts


def test_any_size():
    check_any_size(small(), (65, 97))


@quick_on_torch
def test_learns_and_is_kept(tmp_path):
    settings = dict(upsampling="bilinear", norm="group", dropout=0.1)
    check_learns_and_is_kept(lambda **form: small(**settings, **form, size=22), tmp_path, size=22)


@quick_on_torch
def test_deep_supervision():
    check_deep_supervision(small(deep_supervision=True, use_bias=False), count=1)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (dict(upsampling="transpose"), "'nearest', 'bilinear'"),
        (dict(widths=(8, "9")), "`widths`"),
        (dict(use_bias=None), "`use_bias`"),
        (dict(input_shape=(8, 8, 8, 1)), "an image, without the batch"),
    ],
    ids=str,
)
def test_wrong_arguments(settings, says):
    with pytest.raises(ValueError, match=says):
        small(**settings)
