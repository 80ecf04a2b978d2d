"""What recomputation must leave alone."""

import keras
import numpy as np
import pytest

from keras_resnet import layers
from tests.arrays import as_numpy, normal


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.TransformerBlock(2, remat=True, layer_scale=0.3, dtype="mixed_bfloat16"), (2, 5, 8)),
        (layers.BasicBlock(8, remat=True, residual_scale="learned", dtype="mixed_bfloat16", data_format="channels_last"), (2, 6, 6, 8)),
    ],
    ids=["transformer", "basic"],
)
def test_frozen_weights_are_not_rounded(layer, shape):
    """Under a mixed policy they are read in bfloat16, and must not be written back so."""
    layer.build(shape)
    for number, variable in enumerate(layer.variables):
        if "seed" not in variable.path:
            variable.assign(1 + np.abs(normal(*variable.shape, seed=number, deviation=0.1)))
    layer.trainable = False
    before = [np.array(as_numpy(variable)) for variable in layer.variables]
    layer(keras.ops.convert_to_tensor(normal(*shape)), training=True)
    for variable, value in zip(layer.variables, before, strict=True):
        assert (as_numpy(variable) == value).all(), variable.path
