"""Twin for PyTorch of the operations of volumes, and of what makes maps larger."""

import torch
import torch.nn.functional as F

from keras_resnet.backend import doubling, geometry, volumes
from keras_resnet.backend.torch_views import enter, leave

Tensor = torch.Tensor


def conv3d(x, kernel, bias=None, strides=(1, 1, 1), padding="valid", dilation=(1, 1, 1), data_format="channels_last"):
    """PyTorch's kernel on a view; what it pads is symmetric, or padded by hand."""
    x = enter(x, data_format)
    windows = tuple((size - 1) * rate + 1 for size, rate in zip(kernel.shape[:3], dilation, strict=True))
    pads = geometry.paddings(tuple(x.shape[2:]), windows, strides, padding)
    if any(before != after for before, after in pads):
        x, pads = F.pad(x, [pixels for axis in reversed(pads) for pixels in axis]), ((0, 0),) * 3
    bias = None if bias is None else bias.to(x.dtype)
    groups = x.shape[1] // kernel.shape[3]
    kernel = kernel.to(x.dtype).permute(4, 3, 0, 1, 2)
    return leave(F.conv3d(x, kernel, bias, strides, tuple(before for before, _ in pads), dilation, groups), data_format)


def conv_transpose(x, kernel, bias, strides, data_format="channels_last"):
    """PyTorch's own, but bfloat16 with gradients as a product where the window is the stride.

    2x2 to bfloat16 forward and backward, two cores: 8 x 16x16, 512 to 256 channels, 37 to 24 ms; 8 x 64x64, 128 to 64, 96 to 36 ms;
    4 x 128x128, 64 to 32, 52 to 24 ms. In float32 the two are alike, and forward alone this is faster: 30 against 60 ms at 64x64.
    """
    windows = tuple(kernel.shape[:-2])
    if x.dtype != torch.float32 and torch.is_grad_enabled() and windows == tuple(strides):
        return volumes.conv_transpose(x, kernel, bias, strides, data_format)
    view = enter(x, data_format)
    surplus = [window - stride for window, stride in zip(windows, strides, strict=True)]
    pads = [max(pixels, 0) // 2 if pixels % 2 == 0 else 0 for pixels in surplus]
    kernel = kernel.to(x.dtype).permute(-1, -2, *range(len(windows)))
    function = F.conv_transpose2d if len(windows) == 2 else F.conv_transpose3d
    y = function(view, kernel, None if bias is None else bias.to(x.dtype), strides, pads, [max(-pixels, 0) for pixels in surplus])
    for axis, (size, stride, pixels) in enumerate(zip(view.shape[2:], strides, surplus, strict=True), start=2):
        if pixels > 0 and pixels % 2:
            y = y.narrow(axis, pixels // 2, size * stride)
    return leave(y, data_format)


def max_pool3d(x, pool_size, strides, padding, data_format="channels_last"):
    """PyTorch's kernel on a view."""
    if padding != "valid":
        return volumes.max_pool3d(x, pool_size, strides, padding, data_format)
    return leave(F.max_pool3d(enter(x, data_format), pool_size, strides), data_format)


def average_pool3d(x, pool_size, strides, padding, data_format="channels_last"):
    """PyTorch's kernel on a view; on a CPU it has none for narrow types."""
    view = enter(x, data_format)
    wide = view if view.device.type != "cpu" or view.dtype == torch.float64 else view.float()
    return leave(F.avg_pool3d(wide, pool_size, strides).to(x.dtype), data_format)


def upsample2d(x, size, method="nearest", data_format="channels_last"):
    """PyTorch's kernel on a view."""
    if method == "aligned":
        return leave(F.interpolate(enter(x, data_format), tuple(size), mode="bilinear", align_corners=True), data_format)
    return leave(F.interpolate(enter(x, data_format), tuple(size), mode=method), data_format)


def upsample3d(x, size, method="nearest", data_format="channels_last"):
    """PyTorch's kernel on a view."""
    if method == "aligned":
        return leave(F.interpolate(enter(x, data_format), tuple(size), mode="trilinear", align_corners=True), data_format)
    mode = "trilinear" if method == "bilinear" else method
    return leave(F.interpolate(enter(x, data_format), tuple(size), mode=mode), data_format)


def doubling_pays(x, others, data_format="channels_last"):
    """On a CPU in float32: where the kernel is kept, always; with gradients where there are many more pixels than channels.

    Never where PyTorch traces or compiles: what depends on an image's size would hold for that size alone.
    """
    if x.device.type != "cpu" or x.dtype != torch.float32 or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    if not doubling.is_double(x, others, data_format):
        return False
    least = (32 if others else 4) if torch.is_grad_enabled() else 0
    return x.numel() >= least * x.shape[1 if data_format == "channels_first" else -1] ** 2


def doubled_conv2d(x, others, kernel, bias=None, data_format="channels_last"):
    """A transposed convolution of `x`, and one of the others that is added.

    Beside doubling, joining and convolving in one run, batch 8, two cores, with gradients in brackets: 32x32, 128 channels, 64 joined, to
    64, 62 to 37 ms (232 to 182); 64x64, 64, 64, to 32, 137 to 102 (377 to 295); 128x128, 32 to 16, 122 to 42 (279 to 105). Of 8x8 and 512
    channels training is slower, (224 to 299), so there it is not used. Without others, one thread of a busy machine, to as many channels:
    8 x 16x16, 256, 63 to 31 (210 to 108); 1 x 32x32, 128, 9.5 to 3.1 (26 to 18); 8 x 14x14, 64, 2.9 to 1.2 (11.6 to 4.2). With the norm
    folded in, 8 x 8x8, 512, a whole block 60 to 45; 8 x 16x16, 256, 61 to 52; 1 x 16x16, 256, the one loss, 8.1 to 8.8.
    """
    view = enter(x, data_format)
    channels = view.shape[1]
    kernel = kernel.to(x.dtype)
    upper = doubling.stretched(kernel[:, :, :channels]).permute(3, 2, 0, 1)
    return leave(
        _doubled(view, [enter(one, data_format) for one in others], upper, kernel[:, :, channels:].permute(3, 2, 0, 1), bias), data_format
    )


def _doubled(view, others, upper, lower, bias):
    y = F.conv_transpose2d(view, upper, bias, 2, 1)
    if others:
        lower = lower.contiguous() if lower.shape[0] == 1 else lower  # as in `conv2d`
        joined = torch.cat(others, 1) if len(others) > 1 else others[0]
        y = y + F.conv2d(joined, lower, None, 1, 1)  # in place it would not be when `torch.func.vmap` goes over the others alone
    return y
