"""Twin for JAX: 1x1 convolutions as matrix products on CPUs, one-pass statistics, and padding left to XLA."""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from keras_resnet.backend import geometry, reference


def _dimensions(data_format: str) -> tuple[str, str, str]:
    layout = "NCHW" if data_format == "channels_first" else "NHWC"
    return layout, "HWIO", layout


def _sizes(x, data_format):
    height, width = reference.spatial_axes(data_format)
    return x.shape[height], x.shape[width]


def conv2d(x, kernel, bias=None, strides=(1, 1), padding="valid", dilation=(1, 1), data_format="channels_last"):
    """On a CPU a 1x1 convolution written as a matrix product runs 1.7 times as fast, most of all backwards."""
    kernel = jnp.asarray(kernel, x.dtype)
    windows = tuple((size - 1) * rate + 1 for size, rate in zip(kernel.shape[:2], dilation, strict=True))
    pads = geometry.paddings(_sizes(x, data_format), windows, strides, padding)
    settings = (tuple(strides), pads, tuple(dilation), data_format)
    if x.dtype == jnp.bfloat16 and jax.default_backend() == "cpu":
        y = _narrow_convolve(x, kernel, settings)
    else:
        y = _convolve(x, kernel, settings)
    axis = 1 if data_format == "channels_first" else -1
    return y if bias is None else y + reference.channel_shape(jnp.asarray(bias, y.dtype), 4, axis)


def _convolve(x, kernel, settings, accumulate=None):
    strides, pads, dilation, data_format = settings
    first = data_format == "channels_first"
    groups = x.shape[1 if first else -1] // kernel.shape[2]
    if kernel.shape[:2] == (1, 1) and groups == 1 and not any(map(any, pads)) and jax.default_backend() == "cpu":
        if strides != (1, 1):
            down = (slice(None, None, strides[0]), slice(None, None, strides[1]))
            x = x[(slice(None), slice(None), *down)] if first else x[(slice(None), *down)]
        formula = "nchw,cf->nfhw" if first else "nhwc,cf->nhwf"
        return jnp.einsum(formula, x, kernel[0, 0], preferred_element_type=accumulate)
    numbers = _dimensions(data_format)
    return lax.conv_general_dilated(x, kernel, strides, pads, rhs_dilation=dilation, dimension_numbers=numbers, feature_group_count=groups)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _narrow_convolve(x, kernel, settings):
    """A bfloat16 convolution on a CPU, whose forward pass XLA runs faster in other words than its backward pass.

    Two cores, batch 16, forward, milliseconds in XLA's own words and in these: 1x1 at 14x14 13.8 and 5.3 (products summed in float32), 3x3
    at 56x56 40.0 and 27.6 (in float32), at 14x14 25.0 and 12.7 and at 7x7 24.8 and 10.3 (nine matrix products). Reverse mode only.
    """
    strides, pads, dilation, data_format = settings
    first = data_format == "channels_first"
    if kernel.shape[:2] == (1, 1):
        return _convolve(x, kernel, settings, accumulate=jnp.float32).astype(x.dtype)
    small = max(_sizes(x, data_format)) <= 28 and max(strides) * 14 >= max(_sizes(x, data_format))
    if not small or first or x.shape[-1] != kernel.shape[2]:
        return _convolve(x.astype(jnp.float32), kernel.astype(jnp.float32), settings).astype(x.dtype)
    padded = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    axes = zip(padded.shape[1:3], kernel.shape[:2], strides, dilation, strict=True)
    rows, columns = ((size - (window - 1) * rate - 1) // stride + 1 for size, window, stride, rate in axes)
    total = jnp.zeros((), jnp.float32)
    for i in range(kernel.shape[0]):
        for j in range(kernel.shape[1]):
            top, left = i * dilation[0], j * dilation[1]
            window = padded[:, top : top + rows * strides[0] : strides[0], left : left + columns * strides[1] : strides[1]]
            part = jnp.einsum("nhwc,cf->nhwf", window, kernel[i, j], preferred_element_type=jnp.float32)
            total = total + part
    return total.astype(x.dtype)


def _narrow_forward(x, kernel, settings):
    return _narrow_convolve(x, kernel, settings), (x, kernel)


def _narrow_backward(settings, kept, upstream):
    return jax.vjp(lambda x, kernel: _convolve(x, kernel, settings), *kept)[1](upstream)


_narrow_convolve.defvjp(_narrow_forward, _narrow_backward)


def batch_norm_training(
    x, gamma, beta, moving_mean, moving_variance, momentum, epsilon, axis=-1, mask=None, synchronized=False, replicas=1
):
    """Sum and sum of squares in one pass over the activations, in float32 registers; Keras's two moments read them twice.

    Squares are taken around one of the channel's own numbers, so that a mean far from zero costs no digits.
    """
    if mask is not None or synchronized:
        return reference.batch_norm_training(x, gamma, beta, moving_mean, moving_variance, momentum, epsilon, axis, mask, synchronized)
    axis %= x.ndim
    axes = tuple(i for i in range(x.ndim) if i != axis)
    dtype = jnp.promote_types(x.dtype, jnp.float32)
    first = tuple(slice(None) if i == axis else 0 for i in range(x.ndim))
    centre = lax.stop_gradient(x[first].astype(dtype))
    distance = x.astype(dtype) - reference.channel_shape(centre, x.ndim, axis)
    offset = jnp.mean(distance, axes)
    variance = jnp.maximum(jnp.mean(distance * distance, axes) - offset * offset, 0.0)
    mean = offset + centre
    count = x.size // x.shape[axis]
    unbiased = variance * (count / max(count - 1, 1))
    for moving, batch in ((moving_mean, mean), (moving_variance, unbiased)):
        moving.assign(moving.value * momentum + lax.stop_gradient(batch).astype(moving.dtype) * (1.0 - momentum))
    return _normalize(x, gamma, beta, mean, variance, epsilon, axis)


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


def add_relu(y, add=None, relu=False):
    if add is not None:
        y = y + add
    return jax.nn.relu(y) if relu else y


def max_pool2d(x, pool_size, strides, padding, data_format="channels_last"):
    pads = geometry.paddings(_sizes(x, data_format), pool_size, strides, padding)
    around = (lambda hw, one: (one, one, *hw)) if data_format == "channels_first" else (lambda hw, one: (one, *hw, one))
    lowest = -jnp.inf if jnp.issubdtype(x.dtype, jnp.floating) else jnp.iinfo(x.dtype).min
    return lax.reduce_window(x, lowest, lax.max, around(pool_size, 1), around(strides, 1), around(pads, (0, 0)))


def remat(function):
    return jax.checkpoint(function)
