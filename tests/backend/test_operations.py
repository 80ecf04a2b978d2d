"""Every operation of a backend beside the reference and beside plain NumPy: values, and gradients by every operand."""

import itertools

import keras
import numpy as np
import pytest

from keras_resnet import backend
from keras_resnet.backend import geometry, reference
from tests import tolerances
from tests.arrays import as_numpy, normal
from tests.gradients import value_and_gradients

FORMATS = ("channels_last", "channels_first")
DTYPES = ("float32", "bfloat16", "float16")
FORMATS_AND_DTYPES = [
    ("channels_last", "float32"),
    ("channels_first", "float32"),
    ("channels_last", "bfloat16"),
    ("channels_last", "float16"),
]
NARROW = ("3x3", "3x3 /2 even", "1x1 /2", "7x7 /2", "dilated", "grouped /2")
#              height, width, in, out, kernel, groups, strides, padding, dilation
CONVOLUTIONS = {
    "3x3":            (8, 9, 4, 6, (3, 3), 1, (1, 1), (1, 1), (1, 1)),
    "3x3 valid":      (8, 9, 4, 6, (3, 3), 1, (1, 1), "valid", (1, 1)),
    "3x3 same":       (8, 9, 4, 6, (3, 3), 1, (1, 1), "same", (1, 1)),
    "3x3 /2 even":    (8, 10, 4, 6, (3, 3), 1, (2, 2), (1, 1), (1, 1)),
    "3x3 /2 odd":     (9, 7, 4, 6, (3, 3), 1, (2, 2), (1, 1), (1, 1)),
    "3x3 /2 same":    (8, 9, 4, 6, (3, 3), 1, (2, 2), "same", (1, 1)),
    "2x2 same":       (7, 8, 4, 6, (2, 2), 1, (1, 1), "same", (1, 1)),
    "1x1":            (5, 6, 4, 6, (1, 1), 1, (1, 1), "valid", (1, 1)),
    "1x1 /2":         (7, 6, 4, 6, (1, 1), 1, (2, 2), (0, 0), (1, 1)),
    "1x1 /2 same":    (7, 6, 4, 6, (1, 1), 1, (2, 2), "same", (1, 1)),
    "1x1 padded":     (5, 6, 4, 6, (1, 1), 1, (1, 1), (1, 1), (1, 1)),
    "7x7 /2":         (16, 15, 3, 8, (7, 7), 1, (2, 2), (3, 3), (1, 1)),
    "1x3 uneven":     (9, 8, 4, 6, (1, 3), 1, (2, 1), (0, 1), (1, 1)),
    "padding 2, 0":   (6, 8, 4, 6, (3, 3), 1, (1, 1), (2, 0), (1, 1)),
    "dilated":        (9, 10, 4, 6, (3, 3), 1, (1, 1), (2, 2), (2, 2)),
    "dilated same":   (9, 10, 4, 6, (3, 3), 1, (1, 1), "same", (2, 3)),
    "grouped":        (8, 9, 8, 12, (3, 3), 4, (1, 1), (1, 1), (1, 1)),
    "grouped /2":     (8, 9, 8, 12, (3, 3), 4, (2, 2), (1, 1), (1, 1)),
    "grouped 1x1":    (5, 6, 8, 12, (1, 1), 2, (1, 1), "valid", (1, 1)),
    "depthwise":      (8, 9, 6, 6, (3, 3), 6, (1, 1), (1, 1), (1, 1)),
}  # fmt: skip
#          height, width, window, strides, padding
POOLS = {
    "3x3 /2 even":  (8, 10, (3, 3), (2, 2), (1, 1)),
    "3x3 /2 odd":   (9, 7, (3, 3), (2, 2), (1, 1)),
    "2x2":          (8, 9, (2, 2), (2, 2), "valid"),
    "2x2 same":     (7, 9, (2, 2), (2, 2), "same"),
    "2x2 /1 same":  (7, 8, (2, 2), (1, 1), "same"),
    "3x3 /2 same":  (8, 9, (3, 3), (2, 2), "same"),
    "3x2 /1,2":     (6, 7, (3, 2), (1, 2), (1, 0)),
    "wide padding": (6, 7, (3, 3), (1, 1), (2, 2)),
}  # fmt: skip


def turned(array: np.ndarray, data_format: str) -> np.ndarray:
    """Channels-last numbers in `data_format`."""
    return array if data_format == "channels_last" else np.ascontiguousarray(array.transpose(0, 3, 1, 2))


def back(array: np.ndarray, data_format: str) -> np.ndarray:
    return array if data_format == "channels_last" else array.transpose(0, 2, 3, 1)


def rounded(array: np.ndarray, dtype: str) -> np.ndarray:
    """What is left of the numbers in `dtype`, as float32."""
    return as_numpy(keras.ops.cast(array, dtype))


def windows(x: np.ndarray, kernel: tuple, strides: tuple, padding: geometry.Padding, dilation: tuple = (1, 1), value: float = 0.0):
    """`x` seen through each place of the window: a list over the window, row by row, of (n, height, width, channels)."""
    spans = tuple((size - 1) * rate + 1 for size, rate in zip(kernel, dilation, strict=True))
    pads = []
    for size, span, stride, place in zip(x.shape[1:3], spans, strides, range(2), strict=True):
        if padding == "same":  # as TensorFlow defines it
            total = max((-(-size // stride) - 1) * stride + span - size, 0)
            pads.append((total // 2, total - total // 2))
        else:
            pads.append((0, 0) if padding == "valid" else (padding[place],) * 2)
    x = np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=value)
    height, width = ((x.shape[1 + i] - spans[i]) // strides[i] + 1 for i in range(2))
    for i, j in itertools.product(*map(range, kernel)):
        top, left = i * dilation[0], j * dilation[1]
        yield x[:, top : top + height * strides[0] : strides[0], left : left + width * strides[1] : strides[1]][:, :height, :width]


def numpy_conv2d(x, kernel, bias, groups, strides, padding, dilation):
    x, kernel = x.astype("float64"), kernel.astype("float64")
    taps = kernel.reshape(-1, *kernel.shape[2:])
    outputs = 0
    for view, tap in zip(windows(x, kernel.shape[:2], strides, padding, dilation), taps, strict=True):
        parts = zip(np.split(view, groups, -1), np.split(tap, groups, -1), strict=True)
        outputs = outputs + np.concatenate([part @ weights for part, weights in parts], -1)
    return outputs if bias is None else outputs + bias


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_conv2d_is_what_numpy_says(case, data_format):
    height, width, channels, filters, kernel_size, groups, *settings = CONVOLUTIONS[case]
    x, kernel, bias = normal(2, height, width, channels), normal(*kernel_size, channels // groups, filters, seed=1), normal(filters, seed=2)
    for offset in (None, bias):
        expected = numpy_conv2d(x, kernel, offset, groups, *settings)
        for operation in (backend.conv2d, reference.conv2d):
            given = [None if a is None else keras.ops.convert_to_tensor(a) for a in (turned(x, data_format), kernel, offset)]
            y = back(as_numpy(operation(*given, *settings, data_format)), data_format)
            assert tolerances.difference(y, expected) < tolerances.OPERATION["float32"], operation


@pytest.mark.parametrize(("data_format", "dtype"), FORMATS_AND_DTYPES)
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_conv2d_and_its_gradients_are_the_references(case, data_format, dtype):
    height, width, channels, filters, kernel_size, groups, *settings = CONVOLUTIONS[case]
    x, kernel, bias = normal(2, height, width, channels), normal(*kernel_size, channels // groups, filters, seed=1), normal(filters, seed=2)
    if dtype != "float32" and case not in NARROW:
        pytest.skip("on JAX each case is a compilation: narrow types run on a choice of cases")
    # The kernel is float32 in every model, and is cast by the operation: only its rounded numbers are compared.
    operands = [rounded(turned(x, data_format), dtype), rounded(kernel, dtype), rounded(bias, dtype)]

    def run(x, kernel, bias):
        y = backend.conv2d(keras.ops.cast(x, dtype), kernel, bias, *settings, data_format)
        assert keras.backend.standardize_dtype(y.dtype) == dtype
        return y

    y, gradients = value_and_gradients(run, *operands)
    plain = value_and_gradients(lambda x, kernel, bias: reference.conv2d(x, kernel, bias, *settings, data_format), *operands)
    assert tolerances.difference(y, plain[0]) < tolerances.OPERATION[dtype]
    for name, gradient, expected in zip(("x", "kernel", "bias"), gradients, plain[1], strict=True):
        assert tolerances.difference(gradient, expected) < tolerances.OPERATION_GRADIENT[dtype], name


@pytest.mark.parametrize("window", [1, 3, 5])
def test_one_filter_over_one_image(window):
    """PyTorch 2.13 takes another kernel for it, whose gradient refuses some layouts, Keras's own among them."""
    settings = ((1, 1), (window // 2, window // 2), (1, 1))
    x, kernel = normal(1, 9, 7, 4), normal(window, window, 4, 1, seed=1)
    y, (by_x, by_kernel) = value_and_gradients(lambda x, kernel: backend.conv2d(x, kernel, None, *settings), x, kernel)
    assert tolerances.difference(y, numpy_conv2d(x, kernel, None, 1, *settings)) < tolerances.OPERATION["float32"]
    # The outputs are linear in either, so both gradients have to say what the weighted sum of them is.
    assert (by_x * x).sum() == pytest.approx((by_kernel * kernel).sum(), rel=1e-4)
    assert np.abs(by_kernel).min() > 0


def statistics(channels: int) -> tuple[keras.Variable, keras.Variable]:
    return keras.Variable(normal(channels, seed=5), trainable=False), keras.Variable(
        np.abs(normal(channels, seed=6)) + 0.5, trainable=False
    )


@pytest.mark.parametrize(("data_format", "dtype"), FORMATS_AND_DTYPES)
@pytest.mark.parametrize("shape", [(4, 5, 6, 3), (2, 1, 1, 3), (1, 1, 7, 3)], ids=str)
def test_batch_norm_training(shape, data_format, dtype):
    x, gamma, beta = rounded(normal(*shape, mean=0.5), dtype), normal(3, seed=1), normal(3, seed=2)
    axis = -1 if data_format == "channels_last" else 1
    mean, variance = statistics(3)
    before = as_numpy(mean), as_numpy(variance)
    given = keras.ops.cast(turned(x, data_format), dtype)
    y = backend.batch_norm_training(given, *map(keras.ops.convert_to_tensor, (gamma, beta)), mean, variance, 0.9, 1e-5, axis)
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    wide = x.astype("float64")
    expected = gamma * (wide - wide.mean((0, 1, 2))) / np.sqrt(wide.var((0, 1, 2)) + 1e-5) + beta
    assert tolerances.difference(back(as_numpy(y), data_format), expected) < tolerances.OPERATION[dtype]
    # The variance moves by the unbiased estimate, n / (n - 1).
    assert tolerances.difference(as_numpy(mean), 0.9 * before[0] + 0.1 * wide.mean((0, 1, 2))) < tolerances.OPERATION["float32"]
    unbiased = 0.9 * before[1] + 0.1 * wide.var((0, 1, 2), ddof=1)
    assert tolerances.difference(as_numpy(variance), unbiased) < tolerances.OPERATION["float32"]


@pytest.mark.parametrize(("data_format", "dtype"), FORMATS_AND_DTYPES)
def test_batch_norm_training_gradients_are_the_references(data_format, dtype):
    axis = -1 if data_format == "channels_last" else 1
    x, gamma, beta = rounded(turned(normal(4, 5, 6, 3, mean=0.5), data_format), dtype), normal(3, seed=1), normal(3, seed=2)
    moving = statistics(3)
    y, found = value_and_gradients(
        lambda x, gamma, beta: backend.batch_norm_training(keras.ops.cast(x, dtype), gamma, beta, *moving, 0.9, 1e-5, axis), x, gamma, beta
    )
    plain = value_and_gradients(
        lambda x, gamma, beta: reference.batch_norm_training(x, gamma, beta, *moving, 0.9, 1e-5, axis), x, gamma, beta
    )
    assert tolerances.difference(y, plain[0]) < tolerances.OPERATION[dtype]
    for name, gradient, expected in zip(("x", "gamma", "beta"), found, plain[1], strict=True):
        assert tolerances.difference(gradient, expected) < tolerances.OPERATION_GRADIENT[dtype], name


@pytest.mark.parametrize("operation", [backend.batch_norm_training, reference.batch_norm_training], ids=["twin", "reference"])
def test_batch_norm_of_one_number_a_channel(operation):
    """There is nothing to estimate a variance from: the output is beta, and all stays finite."""
    mean, variance = statistics(3)
    before = as_numpy(mean), as_numpy(variance)
    x, gamma, beta = normal(1, 1, 1, 3), normal(3, seed=1), normal(3, seed=2)
    y = operation(*map(keras.ops.convert_to_tensor, (x, gamma, beta)), mean, variance, 0.9, 1e-5)
    assert tolerances.difference(as_numpy(y), beta[None, None, None]) < tolerances.OPERATION["float32"]
    assert tolerances.difference(as_numpy(mean), 0.9 * before[0] + 0.1 * x[0, 0, 0]) < tolerances.OPERATION["float32"]
    assert tolerances.difference(as_numpy(variance), 0.9 * before[1]) < tolerances.OPERATION["float32"]


@pytest.mark.parametrize("settled", [False, True], ids=["first step", "statistics settled"])
def test_batch_norm_of_large_mean_and_small_variance(settled):
    """Mean 100, deviation 0.1: a variance taken as E[x^2] - E[x]^2 in float32 keeps no digit of 0.01 beside 10000."""
    x = normal(8, 8, 8, 4, mean=100.0, deviation=0.1)
    mean = keras.Variable(np.full(4, 100.0 if settled else 0.0, "float32"), trainable=False)
    variance = keras.Variable(np.ones(4, "float32"), trainable=False)
    y = as_numpy(backend.batch_norm_training(keras.ops.convert_to_tensor(x), None, None, mean, variance, 0.9, 1e-5))
    wide = x.astype("float64")
    expected = (wide - wide.mean((0, 1, 2))) / np.sqrt(wide.var((0, 1, 2)) + 1e-5)
    # float32 itself stores 100.1 to 4e-6, of a deviation of 0.1: 4e-5 is lost before anything is computed.
    assert tolerances.difference(y, expected) < 1e-3
    assert tolerances.difference(as_numpy(variance), 0.9 + 0.1 * wide.var((0, 1, 2), ddof=1)) < tolerances.STATISTICS


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize(("data_format", "dtype"), FORMATS_AND_DTYPES)
def test_batch_norm_inference(data_format, dtype, scale):
    axis = -1 if data_format == "channels_last" else 1
    x = rounded(normal(2, 5, 6, 3), dtype)
    gamma, beta = (normal(3, seed=1), normal(3, seed=2)) if scale else (None, None)
    mean, variance = normal(3, seed=3), np.abs(normal(3, seed=4)) + 0.1
    operands = [None if a is None else keras.ops.convert_to_tensor(a) for a in (gamma, beta, mean, variance)]
    y = backend.batch_norm_inference(keras.ops.cast(turned(x, data_format), dtype), *operands, 1e-3, axis)
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    expected = (x.astype("float64") - mean) / np.sqrt(variance + 1e-3)
    expected = expected * gamma + beta if scale else expected
    assert tolerances.difference(back(as_numpy(y), data_format), expected) < tolerances.OPERATION[dtype]


def test_batch_norm_inference_gradients_are_the_references():
    x, mean, variance = normal(2, 5, 6, 3), normal(3, seed=3), np.abs(normal(3, seed=4)) + 0.1
    tensors = keras.ops.convert_to_tensor(mean), keras.ops.convert_to_tensor(variance)
    found, expected = (
        value_and_gradients(lambda *t, op=op: op(*t, *tensors, 1e-3), x, normal(3, seed=1), normal(3, seed=2))
        for op in (backend.batch_norm_inference, reference.batch_norm_inference)
    )
    for gradient, plain in zip(found[1], expected[1], strict=True):
        assert tolerances.difference(gradient, plain) < tolerances.OPERATION_GRADIENT["float32"]


@pytest.mark.parametrize(("data_format", "dtype"), FORMATS_AND_DTYPES)
@pytest.mark.parametrize("case", POOLS)
@pytest.mark.parametrize("kind", ["max", "average"])
def test_pooling(kind, case, data_format, dtype):
    """All inputs are negative: were padding zeros that took part, they would win each maximum and raise each mean."""
    height, width, size, *settings = POOLS[case]
    x = rounded(-1 - np.abs(normal(2, height, width, 3)), dtype)
    views = np.stack(list(windows(x, size, *settings, value=np.nan)))
    expected = np.nanmax(views, 0) if kind == "max" else np.nanmean(views.astype("float64"), 0)
    operation = getattr(backend, f"{kind}_pool2d")
    plain = getattr(reference, f"{kind}_pool2d")
    y, (gradient,) = value_and_gradients(lambda x: operation(x, size, *settings, data_format), turned(x, data_format), dtype=dtype)
    assert tolerances.difference(back(y, data_format), expected) < tolerances.OPERATION[dtype]
    y, (expected_gradient,) = value_and_gradients(lambda x: plain(x, size, *settings, data_format), turned(x, data_format))
    assert tolerances.difference(back(y, data_format), expected) < tolerances.OPERATION["float32"]
    if kind == "max" and dtype != "float32":
        return  # rounding makes ties, and which of two equal numbers gets the gradient is the framework's choice
    assert tolerances.difference(gradient, expected_gradient) < tolerances.OPERATION_GRADIENT[dtype]


@pytest.mark.parametrize(("data_format", "dtype"), FORMATS_AND_DTYPES)
def test_global_average_pool2d(data_format, dtype):
    """33x35 pixels around 3: summed in bfloat16, whose step is 16 at the sum's size, the mean would be off by a tenth."""
    x = rounded(normal(2, 33, 35, 3, mean=3.0), dtype)
    y, (gradient,) = value_and_gradients(lambda x: backend.global_average_pool2d(x, data_format), turned(x, data_format), dtype=dtype)
    plain, (expected,) = value_and_gradients(lambda x: reference.global_average_pool2d(x, data_format), turned(x, data_format))
    for given in (y, plain):
        assert tolerances.difference(given, x.astype("float64").mean((1, 2))) < tolerances.OPERATION[dtype] / 2
    assert tolerances.difference(gradient, expected) < tolerances.OPERATION_GRADIENT[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("adds", [False, True])
def test_add_relu(adds, relu, dtype):
    y, add = rounded(normal(2, 5, 6, 3), dtype), rounded(normal(2, 5, 6, 3, seed=1), dtype)

    def run(operation):
        # y * 1: a fresh tensor, which the operation may overwrite.
        return value_and_gradients(lambda y, add: operation(y * 1, add if adds else None, relu), y, add, dtype=dtype)

    value, gradients = run(backend.add_relu)
    expected = y + add if adds else y
    expected = np.maximum(expected, 0) if relu else expected
    assert tolerances.difference(value, expected) < tolerances.OPERATION[dtype]
    for gradient, plain in zip(gradients, run(reference.add_relu)[1], strict=True):
        assert tolerances.difference(gradient, plain) < tolerances.OPERATION_GRADIENT[dtype]


def test_add_relu_never_overwrites_what_is_added():
    add = keras.ops.convert_to_tensor(normal(2, 3, 4, 5, seed=1))
    backend.add_relu(keras.ops.convert_to_tensor(normal(2, 3, 4, 5)) * 1, add, True)
    assert as_numpy(add).tobytes() == normal(2, 3, 4, 5, seed=1).tobytes()


@pytest.mark.parametrize(("source", "target"), list(itertools.product(FORMATS, FORMATS)))
def test_turn(source, target):
    x = normal(2, 3, 4, 5)
    assert (as_numpy(backend.turn(keras.ops.convert_to_tensor(turned(x, source)), source, target)) == turned(x, target)).all()


def test_remat_gives_the_same_values_and_gradients():
    def function(x, w):
        return keras.ops.tanh(x @ w), keras.ops.sum(x)

    arrays = normal(4, 5), normal(5, 6, seed=1)
    y, gradients = value_and_gradients(lambda x, w: backend.remat(function)(x, w)[0], *arrays)
    expected, plain = value_and_gradients(lambda x, w: function(x, w)[0], *arrays)
    assert tolerances.difference(y, expected) < tolerances.OPERATION["float32"]
    for gradient, other in zip(gradients, plain, strict=True):
        assert tolerances.difference(gradient, other) < tolerances.OPERATION_GRADIENT["float32"]


def test_use_reference_switches_the_path_and_back(monkeypatch):
    """The plain convolution is made to say that it ran."""
    if backend._twin is reference:
        pytest.skip("this backend has no twin")
    for name in ("conv2d", "batch_norm_training", "batch_norm_inference", "max_pool2d"):
        assert getattr(backend, name) is not getattr(reference, name), name
    heard = []
    plain = reference.conv2d
    monkeypatch.setattr(reference, "conv2d", lambda *args: heard.append("conv2d") or plain(*args))
    chosen = backend._choose("conv2d")
    x, kernel = keras.ops.ones((1, 3, 3, 2)), keras.ops.ones((1, 1, 2, 2))
    chosen(x, kernel)
    assert heard == []
    with backend.use_reference():
        chosen(x, kernel)
        with backend.use_reference():
            chosen(x, kernel)
        chosen(x, kernel)
    assert heard == ["conv2d"] * 3
    chosen(x, kernel)
    assert heard == ["conv2d"] * 3
    with pytest.raises(RuntimeError, match="inside"), backend.use_reference():
        raise RuntimeError("inside")
    chosen(x, kernel)
    assert heard == ["conv2d"] * 3
