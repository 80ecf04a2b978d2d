"""nnU-Net's networks beside dynamic-network-architectures 0.4.4, which made the golden file: the same weights, the same logits."""

import keras
import numpy as np
import pytest

from keras_resnet.models.nnunet import nnunet
from tests import tolerances
from tests.arrays import as_numpy
from tests.check_layer import run
from tests.golden import seeded
from tests.golden.seeded_nnunet import CASES, FILE, WIDTHS, image, torch_key
from tests.quick import ON_TORCH


def given(model: keras.Model) -> keras.Model:
    """The model with weights from the names of the other's parameters."""
    used = set()
    for variable in model.trainable_variables:
        key = torch_key(variable.path, len(WIDTHS))
        used.add(key)
        order: tuple = tuple(range(len(variable.shape)))
        if len(order) > 1:  # (out, in, ...) to (..., in, out), of transposed convolutions (in, out, ...) to (..., out, in)
            order = (*order[2:], 1, 0)
        shape = tuple(np.array(variable.shape)[list(np.argsort(order))])
        variable.assign(seeded.weight(key, shape).transpose(order))
    assert len(used) == len(model.trainable_variables)
    return model


@pytest.mark.parametrize("name", [name for name in CASES if ON_TORCH or name == "residual_3d"])
def test_logits(name):
    settings, size = CASES[name]
    model = given(nnunet(WIDTHS, **settings, input_shape=(*size, 1), data_format="channels_last"))
    outputs = run(model, image(name))
    with np.load(FILE) as golden:
        for label in ("out", "aux1"):
            expected = golden[f"{name}/{label}"]
            assert np.abs(expected[0] - expected[1]).max() > 0.1
            assert tolerances.difference(as_numpy(outputs[label]), expected) < tolerances.GOLDEN, label
