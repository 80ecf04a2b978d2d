"""Twin for PyTorch of the operations of volumes, and of what makes maps larger."""

import torch
import torch.nn.functional as F

from keras_resnet.backend import geometry, reference, volumes

Tensor = torch.Tensor


def _enter(x: Tensor, data_format: str) -> Tensor:
    """The view with channels first; for channels-last data it costs no copy."""
    return x if data_format == "channels_first" else x.permute(reference.turning(x.ndim, "channels_first"))


def _leave(y: Tensor, data_format: str) -> Tensor:
    return y if data_format == "channels_first" else y.permute(reference.turning(y.ndim, "channels_last"))


def conv3d(x, kernel, bias=None, strides=(1, 1, 1), padding="valid", dilation=(1, 1, 1), data_format="channels_last"):
    """PyTorch's kernel on a view; what it pads is symmetric, or padded by hand."""
    x = _enter(x, data_format)
    windows = tuple((size - 1) * rate + 1 for size, rate in zip(kernel.shape[:3], dilation, strict=True))
    pads = geometry.paddings(tuple(x.shape[2:]), windows, strides, padding)
    if any(before != after for before, after in pads):
        x, pads = F.pad(x, [pixels for axis in reversed(pads) for pixels in axis]), ((0, 0),) * 3
    bias = None if bias is None else bias.to(x.dtype)
    groups = x.shape[1] // kernel.shape[3]
    kernel = kernel.to(x.dtype).permute(4, 3, 0, 1, 2)
    return _leave(F.conv3d(x, kernel, bias, strides, tuple(before for before, _ in pads), dilation, groups), data_format)


def conv_transpose(x, kernel, bias, strides, data_format="channels_last"):
    """PyTorch's own, but bfloat16 with gradients as a product where the window is the stride.

    2x2 to bfloat16 forward and backward, two cores: 8 x 16x16, 512 to 256 channels, 37 to 24 ms; 8 x 64x64, 128 to 64, 96 to 36 ms;
    4 x 128x128, 64 to 32, 52 to 24 ms. In float32 the two are alike, and forward alone this is faster: 30 against 60 ms at 64x64.
    """
    windows = tuple(kernel.shape[:-2])
    if x.dtype != torch.float32 and torch.is_grad_enabled() and windows == tuple(strides):
        return volumes.conv_transpose(x, kernel, bias, strides, data_format)
    view = _enter(x, data_format)
    surplus = [window - stride for window, stride in zip(windows, strides, strict=True)]
    pads = [max(pixels, 0) // 2 if pixels % 2 == 0 else 0 for pixels in surplus]
    kernel = kernel.to(x.dtype).permute(-1, -2, *range(len(windows)))
    function = F.conv_transpose2d if len(windows) == 2 else F.conv_transpose3d
    y = function(view, kernel, None if bias is None else bias.to(x.dtype), strides, pads, [max(-pixels, 0) for pixels in surplus])
    for axis, (size, stride, pixels) in enumerate(zip(view.shape[2:], strides, surplus, strict=True), start=2):
        if pixels > 0 and pixels % 2:
            y = y.narrow(axis, pixels // 2, size * stride)
    return _leave(y, data_format)


def max_pool3d(x, pool_size, strides, padding, data_format="channels_last"):
    """PyTorch's kernel on a view."""
    if padding != "valid":
        return volumes.max_pool3d(x, pool_size, strides, padding, data_format)
    return _leave(F.max_pool3d(_enter(x, data_format), pool_size, strides), data_format)


def average_pool3d(x, pool_size, strides, padding, data_format="channels_last"):
    """PyTorch's kernel on a view; on a CPU it has none for narrow types."""
    view = _enter(x, data_format)
    wide = view if view.device.type != "cpu" or view.dtype == torch.float64 else view.float()
    return _leave(F.avg_pool3d(wide, pool_size, strides).to(x.dtype), data_format)


def upsample2d(x, size, method="nearest", data_format="channels_last"):
    """PyTorch's kernel on a view."""
    if method == "aligned":
        return _leave(F.interpolate(_enter(x, data_format), tuple(size), mode="bilinear", align_corners=True), data_format)
    return _leave(F.interpolate(_enter(x, data_format), tuple(size), mode=method), data_format)


def upsample3d(x, size, method="nearest", data_format="channels_last"):
    """PyTorch's kernel on a view."""
    if method == "aligned":
        return _leave(F.interpolate(_enter(x, data_format), tuple(size), mode="trilinear", align_corners=True), data_format)
    mode = "trilinear" if method == "bilinear" else method
    return _leave(F.interpolate(_enter(x, data_format), tuple(size), mode=mode), data_format)
