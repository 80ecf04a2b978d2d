"""A convolution of a map that is first doubled and joined with others, the step of U-Nets, without making either: the reference."""

from typing import Any

from keras import ops

from keras_resnet.backend.reference import conv2d, spatial_axes
from keras_resnet.backend.volumes import nearest

Tensor = Any


def doubled_conv2d(x: Tensor, others: list, kernel: Tensor, bias: Tensor | None = None, data_format: str = "channels_last") -> Tensor:
    """3x3 convolution, padded by a pixel, of `x` with each pixel twice along both axes, and `others` joined to it.

    A window sees at most two pixels of `x` along an axis. So sums of the kernel's weights, 2x2 for each of the four pixels that one
    becomes, do with 4 of 9 multiplications, and the doubled map is never made, nor the joined one. Twins do so where `doubling_pays`.

    Args:
        x: `(n, height, width, channels)`, or channels first.
        others: maps of twice the height and width.
        kernel: `(3, 3, channels of all, filters)`.
        bias: `(filters,)` or `None`.
    """
    x = nearest(x, tuple(2 * ops.shape(x)[axis] for axis in spatial_axes(data_format)), data_format)
    x = ops.concatenate([x, *others], 1 if data_format == "channels_first" else -1) if others else x
    return conv2d(x, kernel, bias, (1, 1), (1, 1), (1, 1), data_format)


def doubling_pays(x: Tensor, others: list, data_format: str = "channels_last") -> bool:
    """Whether `doubled_conv2d` is right for `others` of these sizes, and faster than its three steps."""
    return False


def is_double(x: Tensor, others: list, data_format: str) -> bool:
    """Whether the height and width of `x` are known and those of all `others` are twice as large.

    A size that stands for others, as tracers have, is not known: what is traced once has to hold for all.
    """
    height, width = spatial_axes(data_format)
    size = x.shape[height], x.shape[width]
    return all(type(length) is int for length in size) and all(
        (one.shape[height], one.shape[width]) == (2 * size[0], 2 * size[1]) for one in others
    )


def halves(kernel: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Three weights along an axis as the two that the first, and that the second, of a doubled pixel sees."""
    before, here, behind = ops.split(kernel, 3, axis)
    return ops.concatenate([before, here + behind], axis), ops.concatenate([before + here, behind], axis)


def stretched(kernel: Tensor) -> Tensor:
    """Of a 3x3 kernel the 4x4 `(height, width, filters, channels)` whose transposed convolution at stride 2 equals it on a doubled map."""
    for axis in (0, 1):
        left, middle, right = reversed(ops.split(kernel, 3, axis))
        kernel = ops.concatenate([left, left + middle, middle + right, right], axis)
    return ops.transpose(kernel, (0, 1, 3, 2))
