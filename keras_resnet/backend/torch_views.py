"""Views of images and volumes with channels first, as PyTorch's kernels take them, and the padding of windows."""

import torch
import torch.nn.functional as F

from keras_resnet.backend import geometry, reference

Tensor = torch.Tensor
FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


def turn(x: Tensor, source: str, target: str) -> Tensor:
    """A view: no copy."""
    return x if source == target else x.permute(reference.turning(x.ndim, target))


def enter(x: Tensor, data_format: str) -> Tensor:
    """The view with channels first; for channels-last data it costs no copy."""
    return turn(x, data_format, "channels_first")


def leave(y: Tensor, data_format: str) -> Tensor:
    """Such a view in `data_format` again."""
    return turn(y, "channels_first", data_format)


def symmetric(
    x: Tensor, windows: geometry.Pair, strides: geometry.Pair, padding: geometry.Padding, value: float = 0.0
) -> tuple[Tensor, geometry.Pair]:
    """`x`, padded by hand only where the two sides differ, and the padding left to the kernel."""
    (top, bottom), (left, right) = geometry.paddings(tuple(x.shape[2:]), windows, strides, padding)
    if top == bottom and left == right:
        return x, (top, left)
    return F.pad(x, (left, right, top, bottom), value=value), (0, 0)


def dilated(kernel: Tensor, dilation: geometry.Pair) -> geometry.Pair:
    """Height and width of the window that a kernel sees."""
    return (kernel.shape[0] - 1) * dilation[0] + 1, (kernel.shape[1] - 1) * dilation[1] + 1
