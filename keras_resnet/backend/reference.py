"""Every operation of the library written in `keras.ops`: the definition of correct, and what any other Keras backend runs.

A twin (`torch.py`, `jax.py`, `tensorflow.py`) may only be faster, never different.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_resnet.backend import geometry

Tensor = Any


def spatial_axes(data_format: str, ndim: int = 4) -> geometry.Numbers:
    """Axes of height and width, of volumes (`ndim=5`) of depth, height and width."""
    return tuple(range(2, ndim)) if data_format == "channels_first" else tuple(range(1, ndim - 1))


def channel_shape(vector: Tensor, ndim: int, axis: int) -> Tensor:
    """A vector of one number a channel, shaped to broadcast over an `ndim`-dimensional tensor."""
    shape = [1] * ndim
    shape[axis] = -1
    return ops.reshape(vector, shape)


def pad(x: Tensor, widths: list) -> Tensor:
    """Zeros around `x`: `(before, after)` of each axis."""
    return ops.pad(x, widths)


def pad2d(x: Tensor, pads: tuple, data_format: str, value: float = 0.0) -> Tensor:
    """Pads height and width of `x`, or all three axes of volumes, by `pads`, ((before, after), ...) pixels, with `value`."""
    if not any(map(any, pads)):
        return x
    width = ((0, 0), (0, 0), *pads) if data_format == "channels_first" else ((0, 0), *pads, (0, 0))
    return ops.pad(x, width, mode="constant", constant_values=value)


def inner_format(data_format: str) -> str:
    """The data format in which a block computes; its input and output keep the layer's own."""
    return data_format


def turn(x: Tensor, source: str, target: str) -> Tensor:
    """`x`, images or volumes, from one data format to the other."""
    return x if source == target else ops.transpose(x, turning(len(x.shape), target))


def turning(ndim: int, target: str) -> geometry.Numbers:
    """The order of axes that turns images or volumes into the format `target`."""
    spatial = spatial_axes("channels_last" if target == "channels_first" else "channels_first", ndim)
    return (0, ndim - 1, *spatial) if target == "channels_first" else (0, *spatial, 1)


def adopt(values: Any, dtype: str | None) -> Tensor:
    """A tensor of fresh NumPy values that nobody else will write to."""
    return ops.convert_to_tensor(values, dtype=dtype)


def kept(variable: keras.Variable) -> Tensor:
    """A variable's value now, which stays what it is whatever is assigned later."""
    return keras.ops.copy(variable.value)


def prepare_kernel(kernel: keras.Variable) -> None:
    """Stores a fresh kernel as this backend likes it best. Values and logical shape stay as they are."""


def prepare_optimizer(optimizer: keras.optimizers.Optimizer, variables: list) -> None:
    """Stores what a built optimizer keeps for each of `variables` as `prepare_kernel` stores the variable."""


def conv2d(
    x: Tensor,
    kernel: Tensor,
    bias: Tensor | None = None,
    strides: geometry.Pair = (1, 1),
    padding: geometry.Padding = "valid",
    dilation: geometry.Pair = (1, 1),
    data_format: str = "channels_last",
) -> Tensor:
    """2-D cross-correlation.

    Args:
        x: `(n, height, width, channels)`, or `(n, channels, height, width)` for `"channels_first"`.
        kernel: `(height, width, channels / groups, filters)`; cast to the type of `x`. Its third axis tells the groups.
        bias: `(filters,)` or `None`.
        strides, dilation: two integers.
        padding: `"valid"`, `"same"` (Keras's, heavier at the bottom and right), or pixels a side `(height, width)`.
    """
    if not isinstance(padding, str):
        x = pad2d(x, tuple((pixels, pixels) for pixels in padding), data_format)
        padding = "valid"
    return add_bias(ops.conv(x, ops.cast(kernel, x.dtype), strides, padding, data_format, dilation), bias, data_format)


def add_bias(y: Tensor, bias: Tensor | None, data_format: str) -> Tensor:
    """Adds one number a channel."""
    if bias is None:
        return y
    return y + channel_shape(ops.cast(bias, y.dtype), len(y.shape), 1 if data_format == "channels_first" else -1)


def batch_statistics(
    x: Tensor, axis: int, mask: Tensor | None = None, synchronized: bool = False, replicas: int = 1
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and (biased) variance of each channel, and over how many numbers they were taken.

    `mask` (one dimension less than `x`) leaves out the places where it is false. `synchronized` takes them over all `replicas` of a
    TensorFlow strategy.
    """
    axis %= x.ndim
    axes = [i for i in range(x.ndim) if i != axis]
    if mask is None:
        mean, variance = ops.moments(x, axes, synchronized=synchronized)
        count = 1.0
        for i in axes:
            count = count * ops.cast(ops.shape(x)[i], "float32")
        return mean, variance, ops.convert_to_tensor(count * replicas)
    weights = ops.broadcast_to(ops.expand_dims(ops.cast(mask, x.dtype), -1), ops.shape(x))
    count = ops.sum(weights, axes)
    mean = ops.sum(x * weights, axes) / ops.maximum(count, 1.0)
    centred = (x - channel_shape(mean, x.ndim, axis)) * weights
    return mean, ops.sum(centred * centred, axes) / ops.maximum(count, 1.0), count


def batch_norm_training(
    x: Tensor,
    gamma: Tensor | None,
    beta: Tensor | None,
    moving_mean: keras.Variable,
    moving_variance: keras.Variable,
    momentum: float,
    epsilon: float,
    axis: int = -1,
    mask: Tensor | None = None,
    synchronized: bool = False,
    replicas: int = 1,
    joined: Callable = lambda *statistics: statistics,
    averaged: Callable = lambda *statistics: statistics,
) -> Tensor:
    """Normalizes by the batch's own mean and (biased) variance, and moves the two variables towards them.

    `moving <- momentum * moving + (1 - momentum) * batch`, the variance by its unbiased estimate n / (n - 1), as PyTorch and
    TensorFlow's fused kernel do. Statistics are float32 (float64 for float64 inputs); the output has the type of `x`.

    Of several replicas `joined` makes a part's statistics those of all, `averaged` what the moving ones go towards means over replicas.
    """
    dtype = keras.backend.result_type(x.dtype, "float32")
    wide = ops.cast(x, dtype)
    mean, variance, count = joined(*batch_statistics(wide, axis, mask, synchronized, replicas))
    unbiased = variance * ops.cast(count / ops.maximum(count - 1.0, 1.0), dtype)
    for moving, batch in zip((moving_mean, moving_variance), averaged(mean, unbiased), strict=True):
        moving.assign(moving * momentum + ops.stop_gradient(ops.cast(batch, moving.dtype)) * (1.0 - momentum))
    return ops.cast(_normalize(wide, gamma, beta, mean, variance, epsilon, axis), x.dtype)


def fold_norm(kernel: Tensor, bias: Tensor | None, norm: tuple) -> tuple[Tensor, Tensor]:
    """Kernel and bias of the convolution that equals convolution, then normalization by `(gamma, beta, mean, variance, epsilon)`."""
    gamma, beta, mean, variance, epsilon = norm
    scale = ops.rsqrt(variance + epsilon)
    scale = scale if gamma is None else scale * gamma
    shift = (-mean if bias is None else bias - mean) * scale
    return kernel * scale, shift if beta is None else shift + beta


def batch_norm_inference(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, mean: Tensor, variance: Tensor, epsilon: float, axis: int = -1
) -> Tensor:
    """Normalizes by given statistics; float32 inside (float64 for float64 inputs), the output has the type of `x`."""
    wide = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
    return ops.cast(_normalize(wide, gamma, beta, mean, variance, epsilon, axis), x.dtype)


def _normalize(x: Tensor, gamma: Tensor | None, beta: Tensor | None, mean: Tensor, variance: Tensor, epsilon: float, axis: int) -> Tensor:
    scale = ops.rsqrt(ops.cast(variance, x.dtype) + epsilon)
    if gamma is not None:
        scale = scale * ops.cast(gamma, x.dtype)
    y = (x - channel_shape(ops.cast(mean, x.dtype), x.ndim, axis)) * channel_shape(scale, x.ndim, axis)
    return y if beta is None else y + channel_shape(ops.cast(beta, x.dtype), x.ndim, axis)


class FoldedKernel:
    """Where a convolution keeps its kernel with the normalization folded in; empty where the framework folds in its own graph."""

    def clear(self) -> None:
        """Forgets the folded kernel, and frees its memory."""


def add_relu(y: Tensor, add: Tensor | None = None, relu: bool = False) -> Tensor:
    """`relu(y + add)`. May overwrite `y`, which nobody else may hold; never `add`."""
    if add is not None:
        y = y + add
    return ops.relu(y) if relu else y


def lowest(dtype: Any) -> float:
    """What no number of this type is below."""
    name = keras.backend.standardize_dtype(dtype)
    if "float" in name:
        return float("-inf")
    return -(2 ** (int(name[3:]) - 1)) if name.startswith("int") else 0


def max_pool2d(
    x: Tensor, pool_size: geometry.Pair, strides: geometry.Pair, padding: geometry.Padding, data_format: str = "channels_last"
) -> Tensor:
    """Largest value of each window; what is padded never wins."""
    if not isinstance(padding, str):
        x = pad2d(x, tuple((pixels, pixels) for pixels in padding), data_format, value=lowest(x.dtype))
        padding = "valid"
    return ops.max_pool(x, pool_size, strides, padding, data_format)


def average_pool2d(
    x: Tensor, pool_size: geometry.Pair, strides: geometry.Pair, padding: geometry.Padding, data_format: str = "channels_last"
) -> Tensor:
    """Mean of each window, over the pixels that exist: what is padded does not count."""
    height, width = spatial_axes(data_format)
    sizes = (x.shape[height], x.shape[width])
    if padding == "same" and None in sizes:
        return ops.average_pool(x, pool_size, strides, padding, data_format)
    pads = geometry.paddings(sizes, pool_size, strides, padding)
    total = ops.average_pool(pad2d(x, pads, data_format), pool_size, strides, "valid", data_format)
    if not any(map(any, pads)):
        return total
    share = ops.average_pool(pad2d(ops.ones_like(x), pads, data_format), pool_size, strides, "valid", data_format)
    return total / share


def global_average_pool2d(x: Tensor, data_format: str = "channels_last") -> Tensor:
    """Mean over height and width, `(n, channels)`; summed in float32, given in the type of `x`."""
    wide = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
    return ops.cast(ops.mean(wide, spatial_axes(data_format)), x.dtype)


def layer_norm(x: Tensor, gamma: Tensor | None, beta: Tensor | None, epsilon: float) -> Tensor:
    """Mean 0 and variance 1 over the last axis, then `gamma * x + beta`; float32 inside, the output has the type of `x`."""
    return ops.layer_normalization(x, gamma, beta, epsilon=epsilon)


def dense(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x @ kernel + bias` over the last axis; kernel and bias are cast to the type of `x`."""
    y = ops.matmul(x, ops.cast(kernel, x.dtype))
    return y if bias is None else y + ops.cast(bias, y.dtype)


def self_attention(qkv: Tensor, num_heads: int, drop: Callable | None = None) -> Tensor:
    """`softmax(q k' / sqrt(d)) v` of each head, the softmax in float32.

    Args:
        qkv: `(n, tokens, 3 * dim)`: queries, keys and values, each head by head.
        drop: called with the weights `(n, heads, tokens, tokens)`, whose rows have the sum 1; gives those to use.
    """
    tokens, channels = ops.shape(qkv)[1], qkv.shape[2] // 3
    head = channels // num_heads
    q, k, v = ops.unstack(ops.transpose(ops.reshape(qkv, (-1, tokens, 3, num_heads, head)), (2, 0, 3, 1, 4)), 3)
    scores = ops.matmul(q * head**-0.5, ops.transpose(k, (0, 1, 3, 2)))
    weights = ops.cast(ops.softmax(ops.cast(scores, keras.backend.result_type(scores.dtype, "float32"))), v.dtype)
    y = ops.matmul(weights if drop is None else drop(weights), v)
    return ops.reshape(ops.transpose(y, (0, 2, 1, 3)), (-1, tokens, channels))


def group_statistics(mean: Tensor, variance: Tensor, groups: int, epsilon: float) -> tuple[Tensor, Tensor]:
    """From each channel's mean and variance, `(n, channels)`: its group's mean, and one by its group's standard deviation."""
    channels = mean.shape[-1]
    mean, variance = (ops.reshape(a, (-1, groups, channels // groups)) for a in (mean, variance))
    centre = ops.mean(mean, -1, keepdims=True)
    offset = mean - centre
    scale = ops.rsqrt(ops.mean(variance + offset * offset, -1, keepdims=True) + epsilon)
    spread = ops.zeros_like(offset)
    return ops.reshape(centre + spread, (-1, channels)), ops.reshape(scale + spread, (-1, channels))


def group_norm(x: Tensor, gamma: Tensor | None, beta: Tensor | None, groups: int, epsilon: float, axis: int = -1) -> Tensor:
    """Normalizes each sample by the mean and (biased) variance over each of its `groups` of channels; float32 inside.

    The groups' statistics come from the channels', so that the activations are never reshaped, and are read once for both: squares are
    taken around one of the channel's own numbers, so that a mean far from zero costs no digits. On JAX, two cores, 56x56x256, batch 16,
    beside Keras's layer: float32 46 to 22 ms, with its gradient 69 to 49 ms; bfloat16 55 to 28 ms, but 197 to 237 ms.
    """
    ndim = len(x.shape)
    axis %= ndim
    axes = tuple(i for i in range(1, ndim) if i != axis)
    wide = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
    around = [1] * ndim
    around[0], around[axis] = -1, x.shape[axis]
    first = ops.stop_gradient(wide[tuple(slice(0, 1) if i in axes else slice(None) for i in range(ndim))])
    distance = wide - first
    offset = ops.mean(distance, axes)
    variance = ops.maximum(ops.mean(distance * distance, axes) - offset * offset, 0)
    mean, scale = group_statistics(offset + ops.reshape(first, (-1, x.shape[axis])), variance, groups, epsilon)
    if gamma is not None:
        scale = scale * ops.cast(gamma, wide.dtype)
    y = (wide - ops.reshape(mean, around)) * ops.reshape(scale, around)
    return ops.cast(y if beta is None else y + channel_shape(ops.cast(beta, wide.dtype), ndim, axis), x.dtype)


def binomial(size: int) -> list[float]:
    """The coefficients of a binomial filter; their sum is 1."""
    return [math.comb(size - 1, i) / 2 ** (size - 1) for i in range(size)]


def blur_pool2d(x: Tensor, size: int, stride: int, padding: int, data_format: str = "channels_last") -> Tensor:
    """A binomial filter of `size` x `size` over each channel, its border mirrored by `padding` pixels, then every `stride`-th pixel.

    As slices and sums, one axis after the other: XLA on a CPU is slow at depthwise convolutions. 56x56x128, stride 2, batch 8, two cores,
    forward and with its gradient, both ways in one run: float32 54 and 511 to 6 and 90 ms, bfloat16 29 and 379 to 2 and 10 ms.
    """
    y = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
    for axis in spatial_axes(data_format):
        along = (slice(None),) * axis
        if padding:
            before, after = y[(*along, slice(1, padding + 1))], y[(*along, slice(-padding - 1, -1))]
            y = ops.concatenate([ops.flip(before, axis), y, ops.flip(after, axis)], axis)
        places = (y[(*along, slice(i, i - size + 1 or None, stride))] for i in range(size))
        y = sum(share * place for share, place in zip(binomial(size), places, strict=True))
    return ops.cast(y, x.dtype)


def standardize_kernel(kernel: Tensor, gain: Tensor | None, scale: float, epsilon: float, memory: Any = None) -> Tensor:
    """`gain * scale * (kernel - mean) / sqrt(variance + epsilon)`, the two (the variance biased) over all axes but the last.

    In float32 at least. `memory` is where a twin may keep the result, a `FoldedKernel`.
    """
    wide = ops.cast(kernel, keras.backend.result_type(kernel.dtype, "float32"))
    axes = tuple(range(len(kernel.shape) - 1))
    centred = wide - ops.mean(wide, axes, keepdims=True)
    factor = ops.rsqrt(ops.mean(centred * centred, axes) + epsilon)
    if gain is not None:
        factor = factor * (ops.cast(gain, wide.dtype) * scale)
    return centred * factor


def remat(function: Callable) -> Callable:
    """`function`, its intermediate results recomputed in the backward pass instead of kept. Positional tensors only."""
    return keras.remat(function)


def scan(step: Callable, x: Tensor, rows: list[list]) -> tuple[Tensor, list[list]]:
    """`x, y = step(x, row)` for each row in turn: the last `x`, and every `y`."""
    outputs = []
    for row in rows:
        x, y = step(x, row)
        outputs.append(y)
    return x, outputs
