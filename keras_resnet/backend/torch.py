"""Twin for PyTorch: channels-last views instead of copies, fused normalization, and convolutions folded for inference."""

import functools
import operator
from collections.abc import Callable
from typing import Any

import keras
import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from keras_resnet.backend import geometry, reference
from keras_resnet.backend.torch_volumes import average_pool3d, conv3d, conv_transpose, max_pool3d, upsample2d, upsample3d  # noqa: F401

Tensor = torch.Tensor
_FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


def _enter(x: Tensor, data_format: str) -> Tensor:
    """The `(n, channels, height, width)` view; for channels-last data it costs no copy."""
    return turn(x, data_format, "channels_first")


def turn(x: Tensor, source: str, target: str) -> Tensor:
    """A view: no copy."""
    return x if source == target else x.permute(reference.turning(x.ndim, target))


def _leave(y: Tensor, data_format: str) -> Tensor:
    return turn(y, "channels_first", data_format)


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


def _symmetric(
    x: Tensor, windows: geometry.Pair, strides: geometry.Pair, padding: geometry.Padding, value: float = 0.0
) -> tuple[Tensor, geometry.Pair]:
    """`x`, padded by hand only where the two sides differ, and the padding left to the kernel."""
    (top, bottom), (left, right) = geometry.paddings(tuple(x.shape[2:]), windows, strides, padding)
    if top == bottom and left == right:
        return x, (top, left)
    return F.pad(x, (left, right, top, bottom), value=value), (0, 0)


def _dilated(kernel: Tensor, dilation: geometry.Pair) -> geometry.Pair:
    return (kernel.shape[0] - 1) * dilation[0] + 1, (kernel.shape[1] - 1) * dilation[1] + 1


def conv2d(x, kernel, bias=None, strides=(1, 1), padding="valid", dilation=(1, 1), data_format="channels_last"):
    """ResNet-50 inference, batch 8, 224 px, two cores: 2.0 to 2.9 times keras.applications with nothing but this and the norm."""
    x = _enter(x, data_format)
    x, pads = _symmetric(x, _dilated(kernel, dilation), strides, padding)
    bias = None if bias is None else bias.to(x.dtype)
    groups = x.shape[1] // kernel.shape[2]
    return _leave(F.conv2d(x, kernel.to(x.dtype).permute(3, 2, 0, 1), bias, strides, pads, dilation, groups), data_format)


def batch_norm_training(
    x, gamma, beta, moving_mean, moving_variance, momentum, epsilon, axis=-1, mask=None, synchronized=False, replicas=1
):
    """One fused kernel forward and one backward, against six passes and float32 temporaries; and no graph break under `torch.compile`.

    The kernel moves copies of the statistics, so that a stateless call leaves the caller's tensors alone.
    """
    fused = mask is None and not synchronized and _is_map(x, axis)
    if not fused or x.numel() == x.shape[axis]:
        return reference.batch_norm_training(x, gamma, beta, moving_mean, moving_variance, momentum, epsilon, axis, mask, synchronized)
    data_format = "channels_first" if axis % x.ndim == 1 else "channels_last"
    mean, variance = moving_mean.value.clone(), moving_variance.value.clone()
    y = F.batch_norm(_enter(x, data_format), mean, variance, gamma, beta, True, 1.0 - momentum, epsilon)
    moving_mean.assign(mean)
    moving_variance.assign(variance)
    return _leave(y, data_format)


def batch_norm_inference(x, gamma, beta, mean, variance, epsilon, axis=-1):
    if not _is_map(x, axis):
        return reference.batch_norm_inference(x, gamma, beta, mean, variance, epsilon, axis)
    data_format = "channels_first" if axis % x.ndim == 1 else "channels_last"
    return _leave(F.batch_norm(_enter(x, data_format), mean, variance, gamma, beta, False, 0.0, epsilon), data_format)


def _is_map(x: Tensor, axis: int) -> bool:
    """Whether these are images or volumes that PyTorch's kernels of norms take."""
    return x.ndim in (4, 5) and axis % x.ndim in (1, x.ndim - 1) and x.dtype in _FLOATS


class FoldedKernel:
    """A kernel and bias with the frozen normalization folded in, kept until one of the tensors they came from changes.

    PyTorch counts every in-place change of a tensor (`_version`), so the check costs a microsecond. Only what goes past its counter, a
    change in place of `parameter.data`, is not seen: `clear` after that. It doubles the memory of the weights while a model is used for
    inference; a training step frees it.
    """

    def __init__(self) -> None:
        self._held: tuple | None = None

    def clear(self) -> None:
        self._held = None

    def get(self, sources: tuple, settings: tuple, make: Callable) -> Any:
        """`make()`, or what it gave last time if none of `sources` and `settings` has changed since."""
        if any(s is not None and s.is_inference() for s in sources):
            return make()
        versions = [None if s is None else (s._version, s.data_ptr()) for s in sources]
        held = self._held
        if held is not None and held[1:3] == (versions, settings) and all(map(operator.is_, held[0], sources)):
            return held[3]
        made = make()
        self._held = (sources, versions, settings, made)
        return made

    def __deepcopy__(self, memo: dict) -> "FoldedKernel":
        return FoldedKernel()

    def __reduce__(self) -> tuple:
        return FoldedKernel, ()


def _fold(kernel: Tensor, bias: Tensor | None, norm: tuple, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The channels-last `(out, in, h, w)` kernel and the bias of the convolution that equals convolution, then normalization."""
    gamma, beta, mean, variance, epsilon = norm
    scale = torch.rsqrt(variance + epsilon)
    scale = scale if gamma is None else scale * gamma
    shift = (-mean if bias is None else bias - mean) * scale
    shift = shift if beta is None else shift + beta
    weight = (kernel * scale).to(dtype).permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
    return weight, shift.to(dtype)


@functools.cache
def _onednn(dtype: torch.dtype) -> bool:
    """Whether this PyTorch and this processor have the fused convolution that PyTorch's compiler uses on CPUs."""
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_reorder_convolution_weight"):
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def conv_norm_folded(x, kernel, bias, norm, strides, padding, dilation, data_format, relu, add, memory):
    """Folds the normalization into the kernel once, and on a CPU runs convolution, sum and ReLU as one oneDNN primitive with the kernel
    already in its blocked layout. `None` where it cannot: while a gradient tape or a tracer watches.

    ResNet-50, two cores, 224 px, the same network without folding in the same run: batch 8 float32 250 to 218 ms, bfloat16 138 to 108 ms;
    batch 1 float32 39 to 28 ms, bfloat16 30 to 19 ms.
    """
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return None
    sources = (kernel, bias, *(norm[:4] if norm is not None else ()))
    if x.dtype not in _FLOATS or not all(map(_is_plain, (x, *sources))):
        return None
    view, pads = _symmetric(_enter(x, data_format), _dilated(kernel, dilation), strides, padding)
    view = view.contiguous(memory_format=torch.channels_last)
    groups = view.shape[1] // kernel.shape[2]
    blocked = view.device.type == "cpu" and view.numel() > 0 and _onednn(view.dtype)

    def make() -> tuple[Any, Any]:
        weight: Any
        shift: Any
        if norm is not None:
            weight, shift = _fold(kernel, bias, norm, view.dtype)
        else:
            weight = kernel.to(view.dtype).permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
            shift = None if bias is None else bias.to(view.dtype)
        if blocked:
            shape = list(view.shape)
            weight = torch.ops.mkldnn._reorder_convolution_weight(weight, pads, strides, dilation, groups, shape)
        return weight, shift

    weight, shift = memory.get(sources, (view.dtype, view.device, blocked, pads), make)
    if not blocked:
        return add_relu(_leave(F.conv2d(view, weight, shift, strides, pads, dilation, groups), data_format), add, relu)
    settings = (weight, shift, pads, strides, dilation, groups)
    if add is None:
        y = torch.ops.mkldnn._convolution_pointwise(view, *settings, "relu" if relu else "none", [], "")
    else:
        other = _enter(add, data_format).contiguous(memory_format=torch.channels_last)
        y = torch.ops.mkldnn._convolution_pointwise.binary(view, other, *settings, "add", 1.0, "relu" if relu else None, [], "")
    return _leave(y, data_format)


def _is_plain(tensor: Tensor | None) -> bool:
    """Whether this is an ordinary tensor in memory whose changes are counted; `None` is."""
    if tensor is None:
        return True
    wrapped = getattr(torch._C._functorch, "is_functorch_wrapped_tensor", lambda tensor: False)
    return type(tensor) in (torch.Tensor, torch.nn.Parameter) and not tensor.is_meta and not wrapped(tensor)


def add_relu(y, add=None, relu=False):
    """In place: `y` is the fresh output of a convolution or a normalization, whose gradients do not need it."""
    if add is not None:
        y = y.add_(add) if y.dtype == add.dtype else y + add
    return y.relu_() if relu else y


def max_pool2d(x, pool_size, strides, padding, data_format="channels_last"):
    x, pads = _symmetric(_enter(x, data_format), pool_size, strides, padding, value=float("-inf"))
    if any(2 * pad > window for pad, window in zip(pads, pool_size, strict=True)):
        x, pads = F.pad(x, (pads[1], pads[1], pads[0], pads[0]), value=float("-inf")), (0, 0)
    return _leave(F.max_pool2d(x, pool_size, strides, pads), data_format)


def average_pool2d(x, pool_size, strides, padding, data_format="channels_last"):
    view = _enter(x, data_format)
    pads = geometry.paddings(tuple(view.shape[2:]), pool_size, strides, padding)
    (top, bottom), (left, right) = pads
    if top == bottom and left == right and 2 * top <= pool_size[0] and 2 * left <= pool_size[1]:
        return _leave(F.avg_pool2d(view, pool_size, strides, (top, left), count_include_pad=False), data_format)
    # Asymmetric by one pixel at the far side, as "same" is: PyTorch's ceil mode pads there and does not count it.
    if top == left == 0 and bottom < strides[0] and right < strides[1]:
        return _leave(F.avg_pool2d(view, pool_size, strides, 0, ceil_mode=True, count_include_pad=False), data_format)
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
    view = _enter(x, data_format)
    # That kernel takes the variance as E[x^2] - E[x]^2: around one of the group's own numbers a mean far from zero costs no digits.
    first = view.detach()[(slice(None), slice(None, None, view.shape[1] // groups), *(slice(0, 1),) * (x.ndim - 2))]
    view = view - first.repeat_interleave(view.shape[1] // groups, 1)
    gamma, beta = (None if vector is None else vector.to(x.dtype) for vector in (gamma, beta))
    return _leave(F.group_norm(view, groups, gamma, beta, epsilon), data_format)


def blur_pool2d(x, size, stride, padding, data_format="channels_last"):
    """As a depthwise convolution: 56x56x128, stride 2, batch 8, two cores, forward and backward: 240 to 98 ms; 112x112x64: 622 to 150."""
    view = _enter(x, data_format)
    shares = torch.tensor(reference.binomial(size), dtype=torch.float32, device=view.device)
    kernel = torch.outer(shares, shares).to(view.dtype).expand(view.shape[1], 1, size, size)
    view = F.pad(view, (padding,) * 4, mode="reflect") if padding else view
    return _leave(F.conv2d(view, kernel, stride=stride, groups=view.shape[1]), data_format)


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
    if (
        memory is None
        or torch.is_grad_enabled()
        or torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or not all(map(_is_plain, sources))
    ):
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
