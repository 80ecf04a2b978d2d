"""nnU-Net's networks: counts, sizes, strides and windows an axis, wrong arguments."""

import keras
import pytest

from keras_resnet.models.nnunet import NNUNETS, nnunet
from tests.models.classic_unets import check_any_size, check_deep_supervision, check_volumes, input_shape
from tests.models.dense_networks import check_learns_and_is_kept, count
from tests.quick import quick_on_torch

on_torch = pytest.mark.skipif(keras.backend.backend() != "torch", reason="counts are the same on every backend; PyTorch needs no memory")
ROWS = {"nnunet2d": 20_619_082, "nnunet2d_deep": 46_324_558, "nnunet3d": 31_195_594, "nnunet3d_resenc": 102_349_770}


def small(**settings) -> keras.Model:
    form = {key: value for key, value in settings.items() if key == "data_format"}
    shape = settings.pop("input_shape", None) or input_shape(form, size=settings.pop("size", None))
    # The bias in front of an instance normalization has no gradient.
    own = dict(widths=(4, 6, 8), classes=3, input_shape=shape, deep_supervision=False, use_bias=False)
    return nnunet(**{**own, **settings})


@on_torch
@pytest.mark.parametrize("name", NNUNETS)
def test_rows(name):
    row = NNUNETS[name]
    with keras.device("meta"):
        assert count(row.builder(**row.settings)) == row.params == ROWS[name]


def test_any_size():
    check_any_size(small(), (65, 97))


@quick_on_torch
@pytest.mark.parametrize("residual", [False, True])
def test_learns_and_is_kept(residual, tmp_path):
    settings = dict(residual=residual, depths=(1, 2, 1), decoder_depths=1, dropout=0.1)
    check_learns_and_is_kept(lambda **form: small(**settings, **form, size=22), tmp_path, size=22)


def test_volumes_with_strides_and_windows_an_axis():
    settings = dict(strides=((1, 2, 2), 2), kernel_sizes=((1, 3, 3), 3, 3), residual=True, depths=1, decoder_depths=(2, 1))
    check_volumes(lambda **form: small(**settings, **form), (3, 6, 8))
    model = small(**settings, input_shape=(5, 9, 9, 1))
    assert model.get_layer("pad").output.shape[1:4] == (6, 12, 12)
    assert model.get_layer("stage3_block1").output.shape[1:4] == (3, 3, 3)


@quick_on_torch
def test_deep_supervision():
    check_deep_supervision(small(deep_supervision=True), count=1)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (dict(depths=(1, 2)), "`depths`"),
        (dict(decoder_depths=(1, 2, 3)), "`decoder_depths`"),
        (dict(strides=((1, 2, 2), 2)), "`strides`"),
        (dict(strides=0), "`strides`"),
        (dict(kernel_sizes=2), "odd"),
        (dict(residual=1), "`residual`"),
    ],
    ids=str,
)
def test_wrong_arguments(settings, says):
    with pytest.raises(ValueError, match=says):
        small(**settings)
