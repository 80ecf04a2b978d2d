"""Twin for JAX: on CPUs convolutions as matrix products where XLA is slow at them, one-pass statistics, and padding left to XLA."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from keras_resnet.backend import doubling, geometry, reference, volumes
from keras_resnet.backend import replicas as replicas_now


def _on_cpu() -> bool:
    """Whether to rewrite for a CPU; within `jax.shard_map` not, whose types our primitive does not know."""
    return jax.default_backend() == "cpu" and not jax.sharding.get_abstract_mesh().manual_axes


def _dimensions(data_format: str) -> tuple[str, str, str]:
    layout = "NCHW" if data_format == "channels_first" else "NHWC"
    return layout, "HWIO", layout


def _sizes(x, data_format):
    return tuple(x.shape[axis] for axis in reference.spatial_axes(data_format, x.ndim))


def conv2d(x, kernel, bias=None, strides=(1, 1), padding="valid", dilation=(1, 1), data_format="channels_last"):
    """On a CPU as products of its taps where `_by_products` says so."""
    kernel = jnp.asarray(kernel, x.dtype)
    windows = tuple((size - 1) * rate + 1 for size, rate in zip(kernel.shape[:2], dilation, strict=True))
    pads = geometry.paddings(_sizes(x, data_format), windows, strides, padding)
    first = data_format == "channels_first"
    groups = x.shape[1 if first else -1] // kernel.shape[2]
    if groups == 1 and not first and max(dilation) == 1 and _on_cpu() and _by_products(x, kernel, strides, pads):
        if windows == (1, 1):  # a slice costs less than a strided product's gradient
            x, strides = x[:, :: strides[0], :: strides[1]], (1, 1)
        y = _products.bind(x, kernel, strides=tuple(strides), pads=pads)
    elif windows == (1, 1) and groups == 1 and not any(map(any, pads)) and _on_cpu():
        y = jnp.einsum("nchw,cf->nfhw", x[:, :, :: strides[0], :: strides[1]], kernel[0, 0])
    else:
        numbers = _dimensions(data_format)
        y = lax.conv_general_dilated(x, kernel, strides, pads, rhs_dilation=dilation, dimension_numbers=numbers, feature_group_count=groups)
    return y if bias is None else y + reference.channel_shape(jnp.asarray(bias, y.dtype), 4, 1 if first else -1)


def doubling_pays(x, others, data_format="channels_last"):
    """On a CPU in float32."""
    return x.dtype == jnp.float32 and data_format == "channels_last" and _on_cpu() and doubling.is_double(x, others, data_format)


def doubled_conv2d(x, others, kernel, bias=None, data_format="channels_last"):
    """Four 2x2 convolutions of `x`, put between each other, and one of the others that is added.

    The first convolutions of the five decoder blocks of `UNet("resnet34")` at 256 px, batch 8, two cores, beside doubling, joining and
    convolving in one run: 466 to 295 ms, with their gradients 1442 to 888 ms.
    """
    if data_format != "channels_last":
        return doubling.doubled_conv2d(x, others, kernel, bias, data_format)
    kernel = jnp.asarray(kernel, x.dtype)
    batch, height, width, channels = x.shape
    numbers = _dimensions(data_format)
    rows = []
    for down, half in enumerate(doubling.halves(kernel[:, :, :channels], 0)):
        quarters = enumerate(doubling.halves(half, 1))
        pads = (1 - down, down)
        row = [lax.conv_general_dilated(x, one, (1, 1), (pads, (1 - right, right)), dimension_numbers=numbers) for right, one in quarters]
        rows.append(jnp.stack(row, 3))
    y = jnp.stack(rows, 2).reshape(batch, 2 * height, 2 * width, kernel.shape[3])
    if others:
        y += conv2d(jnp.concatenate(others, -1), kernel[:, :, channels:], None, (1, 1), (1, 1))
    return y if bias is None else y + jnp.asarray(bias, y.dtype)


def conv3d(x, kernel, bias=None, strides=(1, 1, 1), padding="valid", dilation=(1, 1, 1), data_format="channels_last"):
    """As a product where the window is one pixel, whose gradients XLA is slow at otherwise."""
    if tuple(kernel.shape[:3]) != (1, 1, 1) or x.shape[1 if data_format == "channels_first" else -1] != kernel.shape[3] or not _on_cpu():
        return volumes.conv3d(x, kernel, bias, strides, padding, dilation, data_format)
    if not isinstance(padding, str):
        x = reference.pad2d(x, tuple((pixels, pixels) for pixels in padding), data_format)
    x = reference.turn(x, data_format, "channels_last")[:, :: strides[0], :: strides[1], :: strides[2]]
    y = reference.add_bias(x @ jnp.asarray(kernel, x.dtype)[0, 0, 0], bias, "channels_last")
    return reference.turn(y, "channels_last", data_format)


def _by_products(x, kernel, strides, pads) -> bool:
    """1x1 kernels always; larger ones in bfloat16 while the sum of products, in float32, stays in a core's cache (4 MiB)."""
    if kernel.shape[:2] == (1, 1):
        return not any(map(any, pads))
    if x.dtype != jnp.bfloat16 or kernel.shape[2] < 128 or not all(isinstance(size, int) for size in x.shape):
        return False
    if any(before != after or before >= window for (before, after), window in zip(pads, kernel.shape[:2], strict=True)):
        return False
    sizes = ((size + sum(p) - window) // s + 1 for size, window, s, p in zip(x.shape[1:3], kernel.shape[:2], strides, pads, strict=True))
    return 4 * x.shape[0] * kernel.shape[3] * math.prod(sizes) <= 2**22


def _places(x, windows, strides, axes):
    """For each place in a window, row by row, what it shows of `x` on the window's way; `x` is padded already."""
    for offsets in itertools.product(*map(range, windows)):
        index: list = [slice(None)] * x.ndim
        for axis, offset, window, stride in zip(axes, offsets, windows, strides, strict=True):
            steps = (x.shape[axis] - window) // stride
            index[axis] = slice(offset, offset + steps * stride + 1, stride)
        yield x[tuple(index)]


# A convolution (channels last, no groups) whose gradients we choose, too. A primitive, because `jax.custom_vjp` has no forward-mode
# derivatives: this one is bilinear, and JAX derives all else from its two transposes, which are ordinary differentiable code.
_products = Primitive("convolution_by_products")


def _seen_by_taps(x, kernel_shape, strides, pads):
    x = jnp.pad(x, ((0, 0), *pads, (0, 0))) if any(map(any, pads)) else x
    return _places(x, kernel_shape[:2], strides, (1, 2))


def _wide(dtype):
    return jnp.promote_types(dtype, jnp.float32)


def _forward(x, kernel, *, strides, pads):
    """Summed in float32, which for bfloat16 is also XLA's fast way: 1x1, 256 to 64 channels at 56x56, batch 16, two cores: 27 to 5 ms."""
    taps = kernel.reshape(-1, *kernel.shape[2:])
    pixels = _seen_by_taps(x, kernel.shape, strides, pads)
    products = (jnp.einsum("nhwc,cf->nhwf", a, tap, preferred_element_type=_wide(x.dtype)) for a, tap in zip(pixels, taps, strict=True))
    return sum(products, start=next(products)).astype(x.dtype)


def _of_input(upstream, x, kernel, *, strides, pads):
    if strides != (1, 1):
        image = jax.ShapeDtypeStruct(x.aval.shape, x.aval.dtype)
        numbers = _dimensions("channels_last")
        return jax.linear_transpose(lambda x: lax.conv_general_dilated(x, kernel, strides, pads, dimension_numbers=numbers), image)(
            upstream
        )[0]
    turned = tuple((size - 1 - p[0],) * 2 for size, p in zip(kernel.shape[:2], pads, strict=True))
    return _products.bind(upstream, jnp.swapaxes(kernel[::-1, ::-1], 2, 3), strides=strides, pads=turned)


def _of_kernel(upstream, x, kernel, *, strides, pads):
    shape = kernel.aval.shape
    return jnp.stack([_kernel_product(a, upstream) for a in _seen_by_taps(x, shape, strides, pads)]).reshape(shape)


def _kernel_product(x, upstream):
    """The gradient of a 1x1 kernel, `x` transposed times `upstream`.

    In float32 the narrower of the two is transposed, before the product: XLA on its own transposes the gradient, and walks it against
    the grain. 64 to 256 channels at 56x56, batch 16, two cores: 53 to 8 ms; 256 to 64: 37 to 8 ms. In bfloat16, with a float32 sum: 27
    to 10 ms and 28 to 6 ms.
    """
    wide = _wide(x.dtype)
    if x.dtype != wide:
        return jnp.einsum("nhwc,nhwf->cf", x, upstream, preferred_element_type=wide).astype(x.dtype)
    x, upstream = (a.reshape(-1, a.shape[-1]) for a in (x, upstream))
    if x.shape[1] <= upstream.shape[1]:
        return lax.optimization_barrier(x.T) @ upstream
    return lax.optimization_barrier(lax.optimization_barrier(upstream.T) @ x).T


def _batched(arguments, axes, **settings):
    return jax.vmap(lambda *a: _forward(*a, **settings), axes)(*arguments), 0


_products.def_impl(jax.jit(_forward, static_argnames=("strides", "pads")))
_products.def_abstract_eval(lambda *a, **settings: jax.make_jaxpr(lambda *b: _forward(*b, **settings))(*a).out_avals[0])
mlir.register_lowering(_products, mlir.lower_fun(_forward, multiple_results=False))
ad.defbilinear(_products, _of_input, _of_kernel)
batching.primitive_batchers[_products] = _batched


def batch_norm_training(
    x, gamma, beta, moving_mean, moving_variance, momentum, epsilon, axis=-1, mask=None, synchronized=False, replicas=1
):
    """Sum and sum of squares in one pass over the activations, in float32 registers; Keras's two moments read them twice.

    Squares are taken around one of the channel's own numbers, so that a mean far from zero costs no digits.
    """
    if replicas_now.current.apart:
        return _batch_norm_apart(x, gamma, beta, moving_mean, moving_variance, momentum, epsilon, axis % x.ndim, mask)
    if mask is not None or synchronized:
        return reference.batch_norm_training(x, gamma, beta, moving_mean, moving_variance, momentum, epsilon, axis, mask, synchronized)
    mean, variance, unbiased = _statistics(x, axis % x.ndim)
    _move(moving_mean, moving_variance, mean, unbiased, momentum)
    return _normalize(x, gamma, beta, mean, variance, epsilon, axis % x.ndim)


def _statistics(x, axis):
    """Mean, biased and unbiased variance of each channel."""
    axes = tuple(i for i in range(x.ndim) if i != axis)
    dtype = jnp.promote_types(x.dtype, jnp.float32)
    first = tuple(slice(None) if i == axis else 0 for i in range(x.ndim))
    centre = lax.stop_gradient(x[first].astype(dtype))
    distance = x.astype(dtype) - reference.channel_shape(centre, x.ndim, axis)
    offset = jnp.mean(distance, axes)
    variance = jnp.maximum(jnp.mean(distance * distance, axes) - offset * offset, 0.0)
    count = x.size // x.shape[axis]
    return offset + centre, variance, variance * (count / max(count - 1, 1))


def _move(moving_mean, moving_variance, mean, unbiased, momentum):
    for moving, batch in ((moving_mean, mean), (moving_variance, unbiased)):
        moving.assign(moving.value * momentum + lax.stop_gradient(batch).astype(moving.dtype) * (1.0 - momentum))


def _batch_norm_apart(x, gamma, beta, moving_mean, moving_variance, momentum, epsilon, axis, mask):
    """Each replica's part of the batch by itself. JAX sees one batch whose rows lie on the devices in order, so the parts are groups of
    rows, and nothing of this crosses from one device to another but the mean of the moving statistics.
    """
    parts = replicas_now.current.count
    if x.shape[0] % parts:
        raise ValueError(f"A batch is divided among {parts} replicas without a rest. Received: {x.shape[0]} examples.")

    def train(x, mask):
        if mask is None:
            mean, variance, unbiased = _statistics(x, axis)
        else:
            mean, variance, count = reference.batch_statistics(x.astype(_wide(x.dtype)), axis, mask)
            unbiased = variance * (count / jnp.maximum(count - 1.0, 1.0)).astype(variance.dtype)
        return _normalize(x, gamma, beta, mean, variance, epsilon, axis), mean, unbiased

    x, mask = (None if one is None else one.reshape(parts, -1, *one.shape[1:]) for one in (x, mask))
    y, mean, unbiased = jax.vmap(train)(x, mask)
    _move(moving_mean, moving_variance, mean.mean(0), unbiased.mean(0), momentum)
    return y.reshape(-1, *y.shape[2:])


def batch_norm_inference(x, gamma, beta, mean, variance, epsilon, axis=-1):
    return _normalize(x, gamma, beta, jnp.asarray(mean), jnp.asarray(variance), epsilon, axis % x.ndim)


def _normalize(x, gamma, beta, mean, variance, epsilon, axis):
    """`x * scale + shift` with the two vectors worked out first: one multiply and add, which XLA joins to its neighbours."""
    dtype = jnp.promote_types(x.dtype, jnp.float32)
    scale = lax.rsqrt(variance.astype(dtype) + epsilon)
    if gamma is not None:
        scale = scale * jnp.asarray(gamma, dtype)
    shift = -mean.astype(dtype) * scale
    if beta is not None:
        shift = shift + jnp.asarray(beta, dtype)
    y = x.astype(dtype) * reference.channel_shape(scale, x.ndim, axis) + reference.channel_shape(shift, x.ndim, axis)
    return y.astype(x.dtype)


def max_pool2d(x, pool_size, strides, padding, data_format="channels_last"):
    """On a CPU as comparisons of the window's pixels: `reduce_window` is as fast forward and five times slower with its gradient.

    3x3, stride 2, 112x112x64, batch 16, two cores, forward and backward: float32 209 to 42 ms, bfloat16 225 to 40 ms.
    """
    pads = geometry.paddings(_sizes(x, data_format), pool_size, strides, padding)
    around = (lambda hw, one: (one, one, *hw)) if data_format == "channels_first" else (lambda hw, one: (one, *hw, one))
    lowest = reference.lowest(x.dtype)
    if not jnp.issubdtype(x.dtype, jnp.floating) or not _on_cpu() or math.prod(pool_size) > 16:
        return lax.reduce_window(x, lowest, lax.max, around(pool_size, 1), around(strides, 1), around(pads, (0, 0)))
    wide = x.astype(_wide(x.dtype))
    padded = jnp.pad(wide, around(pads, (0, 0)), constant_values=lowest) if any(map(any, pads)) else wide
    pixels = _places(padded, pool_size, strides, reference.spatial_axes(data_format, x.ndim))
    best = next(pixels)
    for pixel in pixels:  # the first of equals gets the gradient, as everywhere else; NaN wins
        best = jnp.where((pixel > best) | jnp.isnan(pixel), pixel, best)
    return best.astype(x.dtype)


max_pool3d = max_pool2d


def kept(variable):
    """The array itself, which nothing changes: to copy those of a ResNet-50 compiles 28 programs, 0.4 of 0.54 s of loading it."""
    return variable.value


def scan(step, x, rows):
    """As one compiled step in a loop. A training step of PreResNet-1001, batch 8, two cores: after four minutes of compiling block by block
    XLA held 21 GiB and was not done; so it takes 57 s and 6 GiB, once, and then 6.7 s a step.
    """
    stacked = [jnp.stack(column) for column in zip(*rows, strict=True)]
    x, outputs = lax.scan(step, x, stacked)
    return x, [[output[i] for output in outputs] for i in range(len(rows))]


def remat(function):
    """On a CPU with the recomputation in a branch that the gradient decides on: XLA there takes `jax.checkpoint`'s second pass
    for a copy of the first, and keeps everything. It also does not mix a branch with what stands around it, for which it kept maps.

    Temporary memory of a training step, batch 2, 64 px: an FC-DenseNet of five blocks of 4 layers, k = 16, 151 MiB plain, 137 MiB where
    only a number of the recomputation's input hung on the gradient, 62 MiB so; a UNet 3+ of a quarter of the width 48, 51 and 33 MiB. Where
    the gradient begins with no number, all of it is none. No forward-mode derivative (`jax.jvp`): `jax.custom_vjp` rules it out.
    """

    def rematerialized(*tensors):
        if not _on_cpu():
            return jax.checkpoint(function)(*tensors)
        pure, constants = jax.closure_convert(function, *tensors)
        return _recomputed(pure, *tensors, *constants)

    return rematerialized


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _recomputed(function, *tensors):
    return function(*tensors)


def _recomputed_forward(function, *tensors):
    return function(*tensors), tensors


def _recomputed_backward(function, tensors, upstream):
    gradient = jax.tree.leaves(upstream)[0].ravel()
    anchor = gradient[0] if gradient.size else jnp.zeros(())

    def differentiate(tensors, upstream):
        return jax.vjp(function, *tensors)[1](upstream)

    def spoilt(tensors, upstream):
        return jax.tree.map(lambda g: jnp.full(g.shape, jnp.nan, g.dtype), jax.eval_shape(differentiate, tensors, upstream))

    return jax.lax.cond(anchor == anchor, differentiate, spoilt, tensors, upstream)


_recomputed.defvjp(_recomputed_forward, _recomputed_backward)
