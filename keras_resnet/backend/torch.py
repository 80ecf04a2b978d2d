"""Twin for PyTorch: channels-last views instead of copies, fused normalization, and convolutions folded for inference."""

import keras
import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from keras_resnet.backend import geometry, reference, torch_replicas
from keras_resnet.backend import replicas as replicas_now
from keras_resnet.backend.torch_folding import FoldedKernel, add_relu, conv_norm_folded, doubled_norm_folded, watched  # noqa: F401
from keras_resnet.backend.torch_views import FLOATS, dilated, enter, leave, symmetric, turn  # noqa: F401
from keras_resnet.backend.torch_volumes import (  # noqa: F401
    average_pool3d,
    conv3d,
    conv_transpose,
    doubled_conv2d,
    doubling_pays,
    max_pool3d,
    upsample2d,
    upsample3d,
)

Tensor = torch.Tensor


def inner_format(data_format: str) -> str:
    """Inside a block all data is `(n, channels, height, width)`, as PyTorch's kernels name it; in memory it stays channels-last.

    So a block turns its input and output once, and in-place operations meet tensors, not views: on a permuted view autograd copies the
    whole activation, which took 19 % of a training step of ResNet-50.
    """
    return "channels_first"


def adopt(values, dtype):
    """Without the copy that Keras makes: 0.09 s of ResNet-152."""
    dtype = keras.backend.standardize_dtype(dtype)
    return reference.adopt(torch.from_numpy(values), dtype)


def prepare_kernel(kernel: keras.Variable) -> None:
    """Stores `(h, w, in, out)` with the strides of `(out, h, w, in)`: its permuted view is then channels-last, and no call re-lays it.

    Strides survive training steps, `assign` and loading. Keras's own layer re-lays every kernel on every call: 89 of 105 ms of
    operator time in ResNet-50 at batch 1, 32 px.
    """
    value = kernel.value
    if isinstance(value, torch.Tensor) and value.ndim in (4, 5) and not value.is_meta:
        value.data = value.data.movedim(-1, 0).contiguous().movedim(0, -1)


def prepare_optimizer(optimizer: keras.optimizers.Optimizer, variables: list) -> None:
    """Gives momenta and their like the strides of their kernels, which PyTorch's fused updates need.

    ResNet-50, SGD with momentum, batch 16, 224 px, two cores: 1.84 s a step before, 1.41 s after (torchvision 1.40 s).
    """
    kernels: dict[tuple, dict] = {}
    for kernel in variables:
        if len(kernel.shape) in (4, 5):
            kernels.setdefault(tuple(kernel.shape), {})[f"{kernel.path.replace('/', '_')}_"] = kernel
    for slot in optimizer.variables:
        for prefix, kernel in kernels.get(tuple(slot.shape), {}).items():
            if slot.name.startswith(prefix):
                value, like = slot.value, kernel.value
                value.data = torch.empty_strided(like.shape, like.stride(), dtype=value.dtype, device=value.device).copy_(value.data)


def pad(x, widths):
    """Without the operation that Keras makes for each call, which breaks the graph of `torch.compile`."""
    return F.pad(x, [width for pair in reversed(widths) for width in pair])


def conv2d(x, kernel, bias=None, strides=(1, 1), padding="valid", dilation=(1, 1), data_format="channels_last"):
    """ResNet-50 inference, batch 8, 224 px, two cores: 2.0 to 2.9 times keras.applications with nothing but this and the norm."""
    x = enter(x, data_format)
    x, pads = symmetric(x, dilated(kernel, dilation), strides, padding)
    bias = None if bias is None else bias.to(x.dtype)
    groups = x.shape[1] // kernel.shape[2]
    weight = kernel.to(x.dtype).permute(3, 2, 0, 1)
    if not torch.jit.is_tracing() and weight.shape[0] == 1:
        # Of one small image PyTorch 2.13 takes a kernel without oneDNN, whose gradient asks for this layout with a single filter.
        weight = weight.contiguous()
    return leave(F.conv2d(x, weight, bias, strides, pads, dilation, groups), data_format)


def batch_norm_training(
    x, gamma, beta, moving_mean, moving_variance, momentum, epsilon, axis=-1, mask=None, synchronized=False, replicas=1
):
    """One fused kernel forward and one backward, against six passes and float32 temporaries; and no graph break under `torch.compile`.

    The kernel moves copies of the statistics, so that a stateless call leaves the caller's tensors alone.
    """
    if replicas_now.current.together and not synchronized:
        return reference.batch_norm_training(
            x, gamma, beta, moving_mean, moving_variance, momentum, epsilon, axis, mask, joined=torch_replicas.joined
        )
    fused = mask is None and not synchronized and _is_map(x, axis)
    if not fused or x.numel() == x.shape[axis]:
        return reference.batch_norm_training(x, gamma, beta, moving_mean, moving_variance, momentum, epsilon, axis, mask, synchronized)
    data_format = "channels_first" if axis % x.ndim == 1 else "channels_last"
    mean, variance = moving_mean.value.clone(), moving_variance.value.clone()
    y = F.batch_norm(enter(x, data_format), mean, variance, gamma, beta, True, 1.0 - momentum, epsilon)
    moving_mean.assign(mean)
    moving_variance.assign(variance)
    return leave(y, data_format)


def batch_norm_inference(x, gamma, beta, mean, variance, epsilon, axis=-1):
    if not _is_map(x, axis):
        return reference.batch_norm_inference(x, gamma, beta, mean, variance, epsilon, axis)
    data_format = "channels_first" if axis % x.ndim == 1 else "channels_last"
    return leave(F.batch_norm(enter(x, data_format), mean, variance, gamma, beta, False, 0.0, epsilon), data_format)


def _is_map(x: Tensor, axis: int) -> bool:
    """Whether these are images or volumes that PyTorch's kernels of norms take."""
    return x.ndim in (4, 5) and axis % x.ndim in (1, x.ndim - 1) and x.dtype in FLOATS


def max_pool2d(x, pool_size, strides, padding, data_format="channels_last"):
    x, pads = symmetric(enter(x, data_format), pool_size, strides, padding, value=float("-inf"))
    if any(2 * pad > window for pad, window in zip(pads, pool_size, strict=True)):
        x, pads = F.pad(x, (pads[1], pads[1], pads[0], pads[0]), value=float("-inf")), (0, 0)
    return leave(F.max_pool2d(x, pool_size, strides, pads), data_format)


def average_pool2d(x, pool_size, strides, padding, data_format="channels_last"):
    view = enter(x, data_format)
    pads = geometry.paddings(tuple(view.shape[2:]), pool_size, strides, padding)
    (top, bottom), (left, right) = pads
    if top == bottom and left == right and 2 * top <= pool_size[0] and 2 * left <= pool_size[1]:
        return leave(F.avg_pool2d(view, pool_size, strides, (top, left), count_include_pad=False), data_format)
    # Asymmetric by one pixel at the far side, as "same" is: PyTorch's ceil mode pads there and does not count it.
    if top == left == 0 and bottom < strides[0] and right < strides[1]:
        return leave(F.avg_pool2d(view, pool_size, strides, 0, ceil_mode=True, count_include_pad=False), data_format)
    return reference.average_pool2d(x, pool_size, strides, padding, data_format)


def global_average_pool2d(x, data_format="channels_last"):
    """Sums bfloat16 in float32 registers; Keras copies the map to float32 first."""
    return x.mean(reference.spatial_axes(data_format))


def dense(x, kernel, bias=None):
    """The bias within the product: 8 x 197 tokens from 192 to 768 channels, two cores, 2.7 to 2.3 ms, with gradients the same 7.4 ms."""
    return F.linear(x, kernel.to(x.dtype).t(), None if bias is None else bias.to(x.dtype))


def self_attention(qkv, num_heads, drop=None):
    """PyTorch's fused kernel, which never holds all weights at once; it has no random numbers that Keras could seed, so none with `drop`.

    8 x 197 tokens of 192 channels, 3 heads, two cores: 2.6 to 1.8 ms, with gradients the same 5.8 ms.
    """
    if drop is not None:
        return reference.self_attention(qkv, num_heads, drop)
    n, tokens, channels = qkv.shape
    q, k, v = qkv.view(n, tokens, 3, num_heads, -1).permute(2, 0, 3, 1, 4).unbind()
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, tokens, channels // 3)


def group_norm(x, gamma, beta, groups, epsilon, axis=-1):
    """PyTorch's kernel reads and writes channels-last data as it is.

    Beside Keras's layer in one run, two busy cores, batch 16, forward and with its gradient: 56x56x256 float32 257 and 776 to 139 and
    217 ms, bfloat16 347 and 946 to 26 and 145 ms; 14x14x1024 float32 16 and 97 to 2 and 17 ms, bfloat16 35 and 148 to 1 and 19 ms.
    """
    if not _is_map(x, axis):
        return reference.group_norm(x, gamma, beta, groups, epsilon, axis)
    if torch.is_grad_enabled() and not x.requires_grad:
        # Asked for the gradients by gamma and beta alone, PyTorch 2.13's channels-last kernel writes to an address that is none.
        return reference.group_norm(x, gamma, beta, groups, epsilon, axis)
    data_format = "channels_first" if axis % x.ndim == 1 else "channels_last"
    view = enter(x, data_format)
    # That kernel takes the variance as E[x^2] - E[x]^2: around one of the group's own numbers a mean far from zero costs no digits.
    first = view.detach()[(slice(None), slice(None, None, view.shape[1] // groups), *(slice(0, 1),) * (x.ndim - 2))]
    view = view - first.repeat_interleave(view.shape[1] // groups, 1)
    gamma, beta = (None if vector is None else vector.to(x.dtype) for vector in (gamma, beta))
    return leave(F.group_norm(view, groups, gamma, beta, epsilon), data_format)


def blur_pool2d(x, size, stride, padding, data_format="channels_last"):
    """As a depthwise convolution: 56x56x128, stride 2, batch 8, two cores, forward and backward: 240 to 98 ms; 112x112x64: 622 to 150."""
    view = enter(x, data_format)
    shares = torch.tensor(reference.binomial(size), dtype=torch.float32, device=view.device)
    kernel = torch.outer(shares, shares).to(view.dtype).expand(view.shape[1], 1, size, size)
    view = F.pad(view, (padding,) * 4, mode="reflect") if padding else view
    return leave(F.conv2d(view, kernel, stride=stride, groups=view.shape[1]), data_format)


def _standardize(kernel: Tensor, gain: Tensor | None, scale: float, epsilon: float) -> Tensor:
    """As a layer normalization of the filters, each of which lies in memory as one row (see `prepare_kernel`)."""
    rows = kernel.permute(3, 0, 1, 2)
    flat = rows.reshape(rows.shape[0], -1).to(torch.promote_types(kernel.dtype, torch.float32))
    flat = F.layer_norm(flat, flat.shape[1:], eps=epsilon)
    if gain is not None:
        flat = flat * (gain.to(flat.dtype) * scale)[:, None]
    return flat.view(rows.shape).permute(1, 2, 3, 0)


def standardize_kernel(kernel, gain, scale, epsilon, memory=None):
    """Kept while no gradient tape watches.

    3x3, 512 to 512 channels, two cores: 83 to 16 ms, and 0.003 ms where it is kept; with its gradient 288 to 32 ms.
    """
    sources = kernel, gain
    if memory is None or watched(sources):
        if memory is not None:
            memory.clear()
        return _standardize(kernel, gain, scale, epsilon)

    def make() -> Tensor:
        # An ordinary tensor also under `torch.inference_mode`, so that the kernel folded from it is kept, too.
        with torch.inference_mode(False), torch.no_grad():
            return _standardize(kernel, gain, scale, epsilon)

    return memory.get(sources, (scale, epsilon), make)


def remat(function):
    """`torch.utils.checkpoint` without re-entering autograd, so that it also works under `torch.compile`."""

    def rematerialized(*tensors):
        return checkpoint(function, *tensors, use_reentrant=False)

    return rematerialized
