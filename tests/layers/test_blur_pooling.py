"""Blur pooling beside timm's, on every path, and what it refuses."""

import keras
import numpy as np
import pytest

from keras_resnet import backend, layers
from keras_resnet.backend import reference
from tests import tolerances
from tests.arrays import as_numpy, normal
from tests.golden.layers import check
from tests.gradients import value_and_gradients

CASES = {
    "blur": {},
    "blur_odd": {},
    "blur_1": dict(strides=1),
    "blur_5": dict(kernel_size=5),
    "blur_4": dict(kernel_size=4),
    "blur_2_1": dict(kernel_size=2, strides=1),
}


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("case", CASES)
def test_numbers_are_timms(case, dtype):
    check(layers.BlurPooling2D(**CASES[case], dtype=dtype), case, {}, dtype.removeprefix("mixed_"))


def numpy_blur(x, size, stride, padding):
    x = np.pad(x.astype("float64"), ((0, 0), (padding, padding), (padding, padding), (0, 0)), mode="reflect")
    shares = np.array([1.0])
    for _ in range(size - 1):
        shares = np.convolve(shares, [0.5, 0.5])
    for axis in (1, 2):
        x = np.moveaxis(np.apply_along_axis(np.convolve, axis, x, shares, mode="valid"), axis, 0)[::stride]
        x = np.moveaxis(x, 0, axis)
    return x


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize(("size", "stride", "padding"), [(3, 2, 1), (3, 1, 1), (5, 3, 2), (2, 2, 0)])
def test_values_and_gradients(size, stride, padding, dtype, data_format):
    x = as_numpy(keras.ops.cast(normal(2, 8, 7, 3), dtype))
    expected = numpy_blur(x, size, stride, padding)
    first = data_format == "channels_first"
    given = np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if first else x
    found = []
    for operation in (backend.blur_pool2d, reference.blur_pool2d):
        y, (gradient,) = value_and_gradients(lambda x, op=operation: op(x, size, stride, padding, data_format), given, dtype=dtype)
        assert tolerances.difference(y.transpose(0, 2, 3, 1) if first else y, expected) < tolerances.OPERATION[dtype]
        found.append(gradient)
    assert tolerances.difference(*found) < tolerances.OPERATION_GRADIENT[dtype]


def test_images_of_unknown_size():
    image = keras.Input((None, None, 3))
    model = keras.Model(image, layers.BlurPooling2D(data_format="channels_last")(image))
    for height, width in ((6, 5), (3, 8)):
        x = normal(2, height, width, 3)
        assert tolerances.difference(model.predict(x, verbose=0), numpy_blur(x, 3, 2, 1)) < tolerances.OPERATION["float32"]


@pytest.mark.parametrize("settings", [dict(kernel_size=1), dict(kernel_size=2.5), dict(strides=0)])
def test_impossible_settings_are_refused(settings):
    (name,) = settings
    with pytest.raises(ValueError, match=f"`{name}` must"):
        layers.BlurPooling2D(**settings)


def test_images_too_small_to_mirror_are_refused():
    layer = layers.BlurPooling2D(kernel_size=5, data_format="channels_last")
    with pytest.raises(ValueError, match="3x3 or larger"):
        layer(normal(1, 2, 9, 3))
    with pytest.raises(ValueError, match="3x3 or larger"):
        layer(keras.Input((9, 2, 3)))
    assert layer(normal(1, 3, 3, 3)).shape == (1, 2, 2, 3)
