"""Transposed convolution: the numbers of the definition, of Keras's layer, and of its own reference; shapes and wrong arguments."""

import itertools

import keras
import numpy as np
import pytest

from keras_resnet import backend, layers
from keras_resnet.backend import volumes
from tests import tolerances
from tests.arrays import as_numpy, normal
from tests.check_layer import run
from tests.gradients import value_and_gradients

CASES = {
    #          sizes,    window,    strides
    "2x2 /2": ((3, 4), (2, 2), (2, 2)),
    "3x3 /2": ((3, 4), (3, 3), (2, 2)),
    "4x4 /2": ((3, 2), (4, 4), (2, 2)),
    "1x3 /2,1": ((2, 5), (1, 3), (2, 1)),
    "2x2x2 /2": ((2, 3, 2), (2, 2, 2), (2, 2, 2)),
    "1x2x2 /1,2,2": ((2, 3, 2), (1, 2, 2), (1, 2, 2)),
    "3x3x3 /2": ((2, 3, 2), (3, 3, 3), (2, 2, 2)),
}


def spread(x, kernel, bias, strides):
    """The definition: each pixel adds the kernel, weighed by its channels, where it lands; then half of the surplus is cut off."""
    *windows, filters, _ = kernel.shape
    sizes = x.shape[1:-1]
    full = np.zeros((len(x), *((n - 1) * s + max(k, s) for n, s, k in zip(sizes, strides, windows, strict=True)), filters))
    for place in itertools.product(*map(range, sizes)):
        index = tuple(slice(p * s, p * s + k) for p, s, k in zip(place, strides, windows, strict=True))
        full[(slice(None), *index)] += np.einsum("nc,...fc->n...f", x[(slice(None), *place)].astype("float64"), kernel)
    cuts = (slice(max(k - s, 0) // 2, max(k - s, 0) // 2 + n * s) for n, s, k in zip(sizes, strides, windows, strict=True))
    return full[(slice(None), *cuts)] + bias


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("case", CASES)
def test_operation(case, data_format):
    """Values by the definition and by the reference; gradients by the reference."""
    sizes, windows, strides = CASES[case]
    x, kernel, bias = normal(2, *sizes, 5), normal(*windows, 3, 5, seed=1), normal(3, seed=2)
    expected = spread(x, kernel, bias, strides)
    turn = (0, len(sizes) + 1, *range(1, len(sizes) + 1)) if data_format == "channels_first" else tuple(range(len(sizes) + 2))
    given = np.ascontiguousarray(x.transpose(turn)), kernel, bias
    found = [
        value_and_gradients(lambda *a, one=one: one(*a, strides, data_format), *given)
        for one in (backend.conv_transpose, volumes.conv_transpose)
    ]
    for y, _ in found:
        assert tolerances.difference(y, expected.transpose(turn)) < tolerances.OPERATION["float32"]
    for ours, plain in zip(*(gradients for _, gradients in found), strict=True):
        assert tolerances.difference(ours, plain) < tolerances.OPERATION_GRADIENT["float32"]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("case", ["2x2 /2", "3x3 /2"])
def test_narrow_types(case, dtype):
    sizes, windows, strides = CASES[case]
    x, kernel, bias = (
        as_numpy(keras.ops.cast(a, dtype)) for a in (normal(2, *sizes, 5), normal(*windows, 3, 5, seed=1), normal(3, seed=2))
    )
    y, gradients = value_and_gradients(lambda x, *a: backend.conv_transpose(keras.ops.cast(x, dtype), *a, strides), x, kernel, bias)
    plain = value_and_gradients(lambda *a: volumes.conv_transpose(*a, strides), x, kernel, bias)
    assert tolerances.difference(y, plain[0]) < tolerances.OPERATION[dtype]
    for ours, expected in zip(gradients, plain[1], strict=True):
        assert tolerances.difference(ours, expected) < tolerances.OPERATION_GRADIENT[dtype]


@pytest.mark.parametrize(("dims", "size"), [(2, 2), (2, 3), (3, 2), (3, 3)])
def test_beside_keras(dims, size):
    """One configuration, one set of variables, the same numbers; but where the surplus is odd Keras's differ on PyTorch, with a warning."""
    if size == 3 and keras.backend.backend() == "torch":
        pytest.skip("Keras's layer cuts the near side on PyTorch")
    x = normal(2, *(4, 3, 2)[:dims], 5)
    keras_layer = {2: keras.layers.Conv2DTranspose, 3: keras.layers.Conv3DTranspose}[dims]
    theirs = keras_layer(4, size, 2, padding="same", data_format="channels_last")
    ours = layers.ConvTranspose(4, size, data_format="channels_last")
    theirs.build(x.shape)
    ours.build(x.shape)
    ours.bias.assign(normal(4))
    for a, b in zip(theirs.variables, ours.variables, strict=True):
        assert a.shape == b.shape
        a.assign(b.value)
    assert tolerances.difference(as_numpy(run(ours, x)), as_numpy(run(theirs, x))) < tolerances.OPERATION["float32"]


def test_open_sizes():
    assert layers.ConvTranspose(4, data_format="channels_last")(keras.Input((None, 6, 3))).shape == (None, None, 12, 4)
    assert layers.ConvTranspose(4, strides=(1, 2, 2), data_format="channels_first")(keras.Input((3, 5, None, 6))).shape == (
        None,
        4,
        5,
        None,
        12,
    )


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (dict(filters=0), "`filters`"),
        (dict(filters=4, kernel_size=0), "`kernel_size`"),
        (dict(filters=4, strides=(2, 2.5)), "`strides`"),
        (dict(filters=4, use_bias=1), "`use_bias`"),
    ],
    ids=str,
)
def test_impossible_arguments(settings, says):
    with pytest.raises(ValueError, match=says):
        layers.ConvTranspose(**settings)


def test_impossible_inputs():
    with pytest.raises(ValueError, match="images or volumes"):
        layers.ConvTranspose(4).build((None, 8, 3))
    with pytest.raises(ValueError, match="or 3 of them"):
        layers.ConvTranspose(4, strides=(2, 2)).build((None, 8, 8, 8, 3))
