"""More of the reference: operations of volumes, and what makes maps larger."""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_resnet.backend import geometry
from keras_resnet.backend.reference import add_bias, channel_shape, conv2d, max_pool2d, pad2d, spatial_axes, turn

Tensor = Any


def conv3d(
    x: Tensor,
    kernel: Tensor,
    bias: Tensor | None = None,
    strides: geometry.Numbers = (1, 1, 1),
    padding: geometry.Padding = "valid",
    dilation: geometry.Numbers = (1, 1, 1),
    data_format: str = "channels_last",
) -> Tensor:
    """3-D cross-correlation: as `conv2d`, of `(n, depth, height, width, channels)` or channels first, with three numbers each."""
    return conv2d(x, kernel, bias, strides, padding, dilation, data_format)  # type: ignore[arg-type]


def max_pool3d(
    x: Tensor, pool_size: geometry.Numbers, strides: geometry.Numbers, padding: geometry.Padding, data_format: str = "channels_last"
) -> Tensor:
    """As `max_pool2d`, of volumes."""
    return max_pool2d(x, pool_size, strides, padding, data_format)  # type: ignore[arg-type]


def average_pool3d(
    x: Tensor, pool_size: geometry.Numbers, strides: geometry.Numbers, padding: str, data_format: str = "channels_last"
) -> Tensor:
    """Mean of each window of volumes; `padding` is `"valid"`."""
    x = turn(x, data_format, "channels_last")  # TensorFlow's CPU kernels have no other
    return turn(ops.average_pool(x, pool_size, strides, padding, "channels_last"), "channels_last", data_format)


def conv_transpose(x: Tensor, kernel: Tensor, bias: Tensor | None, strides: geometry.Numbers, data_format: str = "channels_last") -> Tensor:
    """Transposed convolution that makes images or volumes exactly `strides` times as large.

    Each number of `x` spreads the kernel, places that meet are summed. Of the sums' surplus, `kernel - stride`, half is cut off on either
    side, the odd one at the far side: Keras's `"same"` on JAX and TensorFlow, and on PyTorch `padding=0` cut to size. As one convolution to
    all the pixels that an input's becomes, which are then put where they belong: a product of matrices where the window is the stride.

    On JAX, two cores, batch 8, forward and with its gradient, beside `lax.conv_transpose` in one run: 2x2, 16x16, 512 to 256 channels
    float32 15 and 2570 to 12 and 33 ms, bfloat16 13 and 1770 to 5 and 32 ms; 3x3 37 and 3860 to 41 and 175 ms, 25 and 3800 to 67 and 178.

    Args:
        x: `(n, height, width, channels)`, `(n, depth, height, width, channels)`, or channels first.
        kernel: `(height, width, filters, channels)` or `(depth, ...)`, as Keras has it; cast to the type of `x`.
        bias: `(filters,)` or `None`.
        strides: integers, one an axis.
    """
    x = turn(x, data_format, "channels_last")
    *windows, filters, channels = kernel.shape
    count = len(windows)
    pads, spread = [], [(0, 0)] * (count + 2)
    shape: list = []
    for place, (window, stride) in enumerate(zip(windows, strides, strict=True)):
        cut = max(window - stride, 0) // 2
        lead = -cut % stride
        taps = -(-(lead + window) // stride)
        spread[place] = (lead, taps * stride - lead - window)
        pads.append((taps - 1 - (cut + lead) // stride, (cut + lead) // stride))
        shape += [taps, stride]
    kernel = ops.pad(ops.cast(kernel, x.dtype), spread) if any(map(any, spread)) else ops.cast(kernel, x.dtype)
    kernel = ops.reshape(kernel, (*shape, filters, channels))
    if shape[::2] == [1] * count:
        y = ops.matmul(x, ops.transpose(ops.reshape(kernel, (-1, channels))))
    else:
        kernel = ops.transpose(ops.flip(kernel, tuple(range(0, 2 * count, 2))), (*range(0, 2 * count, 2), -1, *range(1, 2 * count, 2), -2))
        kernel = ops.reshape(kernel, (*shape[::2], channels, -1))
        y = ops.conv(pad2d(x, tuple(pads), "channels_last"), kernel, 1, "valid", "channels_last")
    y = add_bias(depth_to_space(y, strides), bias, "channels_last")
    return turn(y, "channels_last", data_format)


def depth_to_space(x: Tensor, strides: geometry.Numbers) -> Tensor:
    """Channels-last images or volumes `strides` times as large, the new pixels taken from the channels, `(*strides, channels)`."""
    sizes = [ops.shape(x)[axis] for axis in range(1, len(x.shape) - 1)]
    channels = x.shape[-1] // math.prod(strides)
    count = len(strides)
    x = ops.reshape(x, (-1, *sizes, *strides, channels))
    x = ops.transpose(x, (0, *(axis for place in range(1, count + 1) for axis in (place, place + count)), 2 * count + 1))
    return ops.reshape(x, (-1, *(size * stride for size, stride in zip(sizes, strides, strict=True)), channels))


def upsample2d(x: Tensor, size: tuple, method: str = "nearest", data_format: str = "channels_last") -> Tensor:
    """A map of the height and width `size`: `"nearest"` takes pixel `i * old // new`, `"bilinear"` weighs by the pixels' centres.

    Both as `torch.nn.functional.interpolate` with its defaults. `"aligned"` is bilinear, too, with the outermost pixels of either map in
    the same places: `align_corners=True` there. `size` holds integers or, while TensorFlow traces, tensors.
    """
    if method == "aligned":
        return aligned(x, size, data_format)
    if method == "bilinear":
        return ops.image.resize(x, size, "bilinear", antialias=False, data_format=data_format)
    return nearest(x, size, data_format)


def nearest(x: Tensor, size: tuple, data_format: str) -> Tensor:
    """Images or volumes of another size: along each axis pixel `i * old // new`."""
    for axis, new in zip(spatial_axes(data_format, len(x.shape)), size, strict=True):
        old = ops.shape(x)[axis]
        if isinstance(old, int) and isinstance(new, int) and new % old == 0:
            x = x if new == old else ops.repeat(x, new // old, axis)
        else:
            x = ops.take(x, ops.arange(new) * old // new, axis)
    return x


def aligned(x: Tensor, size: tuple, data_format: str) -> Tensor:
    """Images or volumes of another size, linearly along each axis, on which pixel i lies at `i * (old - 1) / (new - 1)`."""
    return linear(x, size, data_format, lambda i, old, new: i * ((old - 1) / ops.maximum(new - 1, 1)))


def between_centres(x: Tensor, size: tuple, data_format: str) -> Tensor:
    """The same with pixels' centres in their places: pixel i lies at `(i + 1/2) * old / new - 1/2`, and within the old map."""
    return linear(x, size, data_format, lambda i, old, new: ops.clip((i + 0.5) * (old / new) - 0.5, 0, old - 1))


def linear(x: Tensor, size: tuple, data_format: str, place: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
    """Images or volumes of another size, linearly along each axis, whose pixel i lies at `place(i, old, new)` of the old one."""
    wide = keras.backend.result_type(x.dtype, "float32")
    letters = "nabcd"[: len(x.shape)]
    for axis, new in zip(spatial_axes(data_format, len(x.shape)), size, strict=True):
        old = ops.shape(x)[axis]
        if isinstance(old, int) and isinstance(new, int) and old == new:
            continue
        places = place(ops.cast(ops.arange(new), wide), ops.cast(old, wide), ops.cast(new, wide))
        apart = places[:, None] - ops.cast(ops.arange(old), wide)
        share = ops.cast(ops.relu(1 - ops.abs(apart)), x.dtype)  # a matrix product, as XLA has no fast way to pick pixels
        x = ops.einsum(f"z{letters[axis]},{letters}->{letters.replace(letters[axis], 'z')}", share, x)
    return x


def upsample3d(x: Tensor, size: tuple, method: str = "nearest", data_format: str = "channels_last") -> Tensor:
    """As `upsample2d`, of volumes; `"bilinear"` is linear along all three axes."""
    if method == "aligned":
        return aligned(x, size, data_format)
    if method == "nearest":
        return nearest(x, size, data_format)
    for axis, new in zip(spatial_axes(data_format, 5), size, strict=True):
        old = ops.shape(x)[axis]
        wide = keras.backend.result_type(x.dtype, "float32")
        place = (ops.cast(ops.arange(new), wide) + 0.5) * (ops.cast(old, wide) / ops.cast(new, wide)) - 0.5
        place = ops.clip(place, 0, ops.cast(old - 1, wide))
        below = ops.cast(ops.floor(place), "int32")
        share = ops.cast(channel_shape(place - ops.cast(below, wide), 5, axis), x.dtype)
        lower, upper = ops.take(x, below, axis), ops.take(x, ops.minimum(below + 1, old - 1), axis)
        x = lower + (upper - lower) * share
    return x
