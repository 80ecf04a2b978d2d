"""Group normalization beside Keras's, PyTorch's and the formula in float64."""

import keras
import numpy as np
import pytest

from keras_resnet import backend, layers
from keras_resnet.backend import reference
from tests import tolerances
from tests.arrays import as_numpy, normal
from tests.golden.layers import check
from tests.gradients import value_and_gradients

OPERATIONS = [backend.group_norm, reference.group_norm]


def expected(x, gamma, beta, groups, epsilon):
    """Channels last."""
    n, channels = x.shape[0], x.shape[-1]
    parts = x.astype("float64").reshape(n, -1, groups, channels // groups)
    mean, variance = parts.mean((1, 3), keepdims=True), parts.var((1, 3), keepdims=True)
    return ((parts - mean) / np.sqrt(variance + epsilon)).reshape(x.shape) * gamma + beta


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize(("case", "groups", "epsilon"), [("group_norm", 4, 1e-5), ("instance_norm", -1, 1e-3)])
def test_numbers_are_pytorchs(case, groups, epsilon, dtype):
    layer = layers.GroupNormalization(groups, epsilon=epsilon, dtype=dtype)
    check(layer, case, {"gamma": "weight", "beta": "bias"}, dtype.removeprefix("mixed_"))


def test_config_keys_and_variables_are_keras_s():
    ours, theirs = layers.GroupNormalization(2, name="norm"), keras.layers.GroupNormalization(2, name="norm")
    assert ours.get_config() == theirs.get_config()
    for layer in (ours, theirs):
        layer.build((None, 4, 4, 6))
    assert [v.path for v in ours.variables] == [v.path for v in theirs.variables]


@pytest.mark.parametrize("operation", OPERATIONS, ids=["twin", "reference"])
@pytest.mark.parametrize(
    ("shape", "axis", "dtype"),
    [
        ((3, 5, 4, 6), -1, "float32"),
        ((3, 5, 4, 6), 1, "float32"),
        ((3, 5, 4, 6), -1, "bfloat16"),
        ((3, 5, 4, 6), 1, "float16"),
        ((3, 1, 1, 6), -1, "float32"),
        ((3, 7, 6), -1, "float32"),
        ((3, 6), -1, "float32"),
    ],
)
@pytest.mark.parametrize("affine", [True, False])
def test_values_and_gradients(operation, shape, axis, dtype, affine):
    x = as_numpy(keras.ops.cast(normal(*shape, mean=0.5), dtype))
    gamma, beta = normal(6, seed=1), normal(6, seed=2)
    given = np.ascontiguousarray(np.moveaxis(x, -1, axis))

    def run(op):
        if affine:
            return value_and_gradients(lambda x, g, b: op(keras.ops.cast(x, dtype), g, b, 3, 1e-3, axis), given, gamma, beta)
        return value_and_gradients(lambda x: op(keras.ops.cast(x, dtype), None, None, 3, 1e-3, axis), given)

    def plain(x, g=None, b=None):
        return keras_group_norm(x, g, b, axis)

    y, gradients = run(operation)
    formula = expected(x, gamma if affine else 1, beta if affine else 0, 3, 1e-3)
    assert tolerances.difference(np.moveaxis(y, axis, -1), formula) < tolerances.OPERATION[dtype]
    _, theirs = value_and_gradients(plain, *((given, gamma, beta) if affine else (given,)))
    for gradient, other in zip(gradients, theirs, strict=True):
        assert tolerances.difference(gradient, other) < tolerances.OPERATION_GRADIENT[dtype]


def keras_group_norm(x, gamma, beta, axis):
    """Keras's layer as a function of its variables, float32."""
    layer = keras.layers.GroupNormalization(3, axis=axis, epsilon=1e-3, scale=gamma is not None, center=beta is not None)
    layer.build(x.shape)
    return layer.stateless_call([a for a in (gamma, beta) if a is not None], [], x)[0]


@pytest.mark.parametrize("operation", OPERATIONS, ids=["twin", "reference"])
def test_a_large_mean_costs_no_digits(operation):
    """Mean 1000, deviation 1: a variance taken as E[x^2] - E[x]^2 in float32 would keep one digit."""
    x = normal(4, 16, 16, 8, mean=1000.0)
    y, (gradient,) = value_and_gradients(lambda x: operation(x, None, None, 2, 1e-5), x)
    # float32 itself stores 1001 to 3e-5.
    assert np.abs(y - expected(x, 1, 0, 2, 1e-5)).max() < 5e-4
    _, (plain,) = value_and_gradients(lambda x: reference.group_norm(x, None, None, 2, 1e-5), x - 1000)
    assert tolerances.difference(gradient, plain) < 1e-3


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=["twin", "reference"])
def test_a_large_mean_costs_no_digits_in_narrow_types(operation, dtype):
    """The input's own rounding is the only one that is large: at mean 100 bfloat16 stores multiples of 1/2."""
    x = keras.ops.cast(keras.ops.convert_to_tensor(normal(4, 16, 16, 8, mean=100.0)), dtype)
    y = operation(x, None, None, 2, 1e-5)
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    rounded = as_numpy(keras.ops.cast(x, "float32"))
    assert np.abs(as_numpy(keras.ops.cast(y, "float32")) - expected(rounded, 1, 0, 2, 1e-5)).max() < 5 * tolerances.OPERATION[dtype]


@pytest.mark.parametrize("first", [False, True])
def test_images_of_unknown_size(first):
    image = keras.Input((6, None, None) if first else (None, None, 6))
    model = keras.Model(image, layers.GroupNormalization(2, axis=1 if first else -1)(image))
    for size in (5, 8):
        x = normal(2, size, 4, 6)
        y = model.predict(x.transpose(0, 3, 1, 2) if first else x, verbose=0)
        y = y.transpose(0, 2, 3, 1) if first else y
        assert tolerances.difference(y, expected(x, 1, 0, 2, 1e-3)) < tolerances.OPERATION["float32"]
