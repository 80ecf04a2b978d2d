"""Twin for TensorFlow: its fused batch normalization, and padding that stays on the fast convolution kernels."""

import math

import numpy as np
import tensorflow as tf

from keras_resnet.backend import geometry, reference, tensorflow_replicas
from keras_resnet.backend import replicas as replicas_now
from keras_resnet.backend.tensorflow_volumes import (  # noqa: F401
    conv3d,
    conv_transpose,
    doubled_conv2d,
    doubling_pays,
    flat,
    has_gpu,
    is_volume,
    max_pool3d,
    unflat,
    upsample2d,
)

_FUSED = (tf.float32, tf.bfloat16, tf.float16)


def _transposed(data_format: str) -> bool:
    """Whether channels-first data is turned around each operation: TensorFlow's CPU kernels want channels last."""
    return data_format == "channels_first" and not has_gpu()


def _to_last(x):
    return tf.transpose(x, (0, 2, 3, 1))


def _to_first(x):
    return tf.transpose(x, (0, 3, 1, 2))


def _pads(x, windows, strides, padding, data_format):
    height, width = reference.spatial_axes(data_format)
    sizes = (x.shape[height], x.shape[width])
    if padding == "same" and max(strides) > 1 and None in sizes:
        return None
    return geometry.paddings(sizes, windows, strides, padding)


def conv2d(x, kernel, bias=None, strides=(1, 1), padding="valid", dilation=(1, 1), data_format="channels_last"):
    """`tf.nn.conv2d` itself, groups included: Keras compiles grouped convolutions by XLA on each call (13 ms).

    On a CPU the gradients of a float32 1x1 convolution are a convolution and a matrix product, not TensorFlow's own two: 630 to 552 ms for
    those of a training step of ResNet-50 (batch 16, two cores). In bfloat16 neither that nor a matrix product throughout gains.
    """
    if _transposed(data_format):
        return _to_first(conv2d(_to_last(x), kernel, bias, strides, padding, dilation))
    pointwise = tuple(kernel.shape[:2]) == (1, 1) and max(strides) == 1 and padding in ("valid", "same", (0, 0))
    if not pointwise or x.dtype != tf.float32 or x.shape[-1] != kernel.shape[2] or has_gpu():
        return _convolve(x, kernel, bias, strides, padding, dilation, data_format)
    y = _pointwise(x, tf.cast(kernel, x.dtype))
    return y if bias is None else tf.nn.bias_add(y, tf.cast(bias, y.dtype))


@tf.custom_gradient
def _pointwise(x, kernel):
    """A 1x1 convolution at stride 1, channels last."""

    def gradients(upstream):
        of_x = tf.nn.conv2d(upstream, tf.transpose(kernel, (0, 1, 3, 2)), 1, "VALID")
        rows = tf.reshape(x, (-1, kernel.shape[2])), tf.reshape(upstream, (-1, kernel.shape[3]))
        return of_x, tf.reshape(tf.matmul(*rows, transpose_a=True), kernel.shape)

    return tf.nn.conv2d(x, kernel, 1, "VALID"), gradients


def _convolve(x, kernel, bias, strides, padding, dilation, data_format):
    """Symmetric padding becomes "SAME" where the two agree (stride 1) and `tf.pad` with "VALID" elsewhere: on a CPU explicit padding leaves
    oneDNN and trains bfloat16 at 0.37 images/s instead of 17.8 (ResNet-50, batch 16, two cores).
    """
    if (
        x.dtype == tf.float16
        and not has_gpu()
        and (max(dilation) > 1 or x.shape[1 if data_format == "channels_first" else -1] != kernel.shape[2])
    ):
        # TensorFlow's CPU kernels have no gradient of these in float16.
        return tf.cast(_convolve(tf.cast(x, tf.float32), kernel, bias, strides, padding, dilation, data_format), x.dtype)
    if _transposed(data_format):
        return _to_first(_convolve(_to_last(x), kernel, bias, strides, padding, dilation, "channels_last"))
    kernel = tf.cast(kernel, x.dtype)
    windows = tuple((int(size) - 1) * rate + 1 for size, rate in zip(kernel.shape[:2], dilation, strict=True))
    pads = _pads(x, windows, strides, padding, data_format)
    first = data_format == "channels_first"
    if pads is None:
        mode = "SAME"
    elif not any(map(any, pads)):
        mode = "VALID"
    elif max(strides) == 1 and all(before == after == (window - 1) / 2 for (before, after), window in zip(pads, windows, strict=True)):
        mode = "SAME"
    else:
        x, mode = reference.pad2d(x, pads, data_format), "VALID"
    around = (lambda hw: (1, 1, *hw)) if first else (lambda hw: (1, *hw, 1))
    layout = "NCHW" if first else "NHWC"
    y = tf.nn.conv2d(x, kernel, around(strides), mode, data_format=layout, dilations=around(dilation))
    return y if bias is None else tf.nn.bias_add(y, tf.cast(bias, y.dtype), data_format=layout)


def _fused_norm(x, gamma, beta, mean, variance, epsilon, axis, is_training):
    """`FusedBatchNormV3`; in training it gives the batch's mean and its unbiased variance."""
    channels = x.shape[axis]
    gamma = tf.ones((channels,), tf.float32) if gamma is None else tf.convert_to_tensor(gamma)
    beta = tf.zeros((channels,), tf.float32) if beta is None else tf.convert_to_tensor(beta)
    data_format = "channels_first" if axis % 4 == 1 else "channels_last"
    if _transposed(data_format):
        y, *statistics = _fused_norm(_to_last(x), gamma, beta, mean, variance, epsilon, -1, is_training)
        return _to_first(y), *statistics
    y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=gamma,
        offset=beta,
        mean=mean,
        variance=variance,
        epsilon=epsilon,
        exponential_avg_factor=1.0,
        data_format="NCHW" if data_format == "channels_first" else "NHWC",
        is_training=is_training,
    )
    return y, mean, variance


def _is_fusable(x, axis):
    return len(x.shape) == 4 and axis % 4 in (1, 3) and x.dtype in _FUSED and x.shape[axis] is not None


def batch_norm_training(
    x, gamma, beta, moving_mean, moving_variance, momentum, epsilon, axis=-1, mask=None, synchronized=False, replicas=1
):
    """Keras takes the moments in two passes and normalizes in a third, float32 throughout.

    ResNet-50 training, batch 16, two cores, with this and `conv2d`: 1.31 times keras.applications in float32, 1.78 in bfloat16.
    """
    if mask is None and not synchronized and is_volume(x):
        y = batch_norm_training(flat(x, axis), gamma, beta, moving_mean, moving_variance, momentum, epsilon)
        return unflat(y, x, axis)
    together = replicas_now.current.together and not synchronized
    if mask is not None or synchronized or together or not _is_fusable(x, axis) or moving_mean.dtype != "float32":
        replicas = tf.distribute.get_strategy().num_replicas_in_sync if synchronized else 1
        joined = tensorflow_replicas.joined if together else tensorflow_replicas.alone
        settings = (momentum, epsilon, axis, mask, synchronized, replicas, joined, tensorflow_replicas.averaged)
        return reference.batch_norm_training(x, gamma, beta, moving_mean, moving_variance, *settings)
    empty = tf.constant([], tf.float32)
    y, mean, variance = _fused_norm(x, gamma, beta, empty, empty, epsilon, axis, is_training=True)
    for moving, batch in zip((moving_mean, moving_variance), tensorflow_replicas.averaged(mean, variance), strict=True):
        moving.assign(moving.value * momentum + tf.stop_gradient(batch) * (1.0 - momentum))
    return y


def batch_norm_inference(x, gamma, beta, mean, variance, epsilon, axis=-1):
    """A kernel that grappler fuses with the convolution before it and the ReLU behind it."""
    if is_volume(x):
        return unflat(batch_norm_inference(flat(x, axis), gamma, beta, mean, variance, epsilon), x, axis)
    if not _is_fusable(x, axis) or mean.dtype != "float32":
        return reference.batch_norm_inference(x, gamma, beta, mean, variance, epsilon, axis)
    mean, variance = tf.convert_to_tensor(mean), tf.convert_to_tensor(variance)
    return _fused_norm(x, gamma, beta, mean, variance, epsilon, axis, is_training=False)[0]


def conv_norm_folded(x, kernel, bias, norm, strides, padding, dilation, data_format, relu, add, memory):
    """On a CPU, folds the normalization into the kernel within the graph where that is less work than normalizing the output.

    Folding runs over the kernel, h w c f numbers, normalizing over the output, n h w f numbers; oneDNN then joins bias, sum and ReLU to the
    convolution. ResNet-50, two cores, 224 px, one run: batch 8 float32 199 to 186 ms, bfloat16 127 to 102 ms, batch 1 float32 31 to 29 ms
    (folding everywhere: 36 ms).
    """
    if norm is None or x.dtype not in _FUSED or has_gpu() or norm[2].dtype != tf.float32:
        return None
    settings = strides, padding, dilation, data_format
    gamma, beta, mean, variance, epsilon = norm
    height, width = reference.spatial_axes(data_format)
    rows, columns = x.shape[height], x.shape[width]
    outputs = 0 if None in (rows, columns) else (x.shape[0] or 8) * rows * columns // math.prod(strides)
    if outputs < math.prod(kernel.shape[:3]):
        axis = 1 if data_format == "channels_first" else -1
        return reference.add_relu(
            batch_norm_inference(_convolve(x, kernel, bias, *settings), gamma, beta, mean, variance, epsilon, axis), add, relu
        )
    kernel, bias = reference.fold_norm(kernel, bias, norm)
    return reference.add_relu(_convolve(x, kernel, bias, *settings), add, relu)


def doubled_norm_folded(x, joined, kernel, bias, norm, data_format, relu, add, memory):
    """As `conv_norm_folded`: what pays to double has more pixels than the kernel has channels."""
    if norm is None or norm[2].dtype != tf.float32:
        return None
    kernel, bias = reference.fold_norm(kernel, bias, norm)
    return reference.add_relu(doubled_conv2d(x, joined, kernel, bias, data_format), add, relu)


def max_pool2d(x, pool_size, strides, padding, data_format="channels_last"):
    if _transposed(data_format):
        return _to_first(max_pool2d(_to_last(x), pool_size, strides, padding))
    pads = _pads(x, pool_size, strides, padding, data_format)
    layout = "NCHW" if data_format == "channels_first" else "NHWC"
    if pads is None:
        return tf.nn.max_pool2d(x, pool_size, strides, "SAME", layout)
    if any(map(any, pads)):
        x = reference.pad2d(x, pads, data_format, value=reference.lowest(x.dtype))
    return tf.nn.max_pool2d(x, pool_size, strides, "VALID", layout)


def average_pool2d(x, pool_size, strides, padding, data_format="channels_last"):
    if _transposed(data_format):
        return _to_first(average_pool2d(_to_last(x), pool_size, strides, padding))
    return reference.average_pool2d(x, pool_size, strides, padding, data_format)


def blur_pool2d(x, size, stride, padding, data_format="channels_last"):
    """As a depthwise convolution, on a CPU in float32: its kernels for narrow types are slow. 56x56x128, stride 2, batch 8, two cores,
    forward and backward: float32 193 to 18 ms; bfloat16 186 (narrow 60) to 14 ms.
    """
    if _transposed(data_format):
        return _to_first(blur_pool2d(_to_last(x), size, stride, padding))
    wide = x if has_gpu() else tf.cast(x, tf.float64 if x.dtype == tf.float64 else tf.float32)
    around = (lambda hw, one: (one, one, *hw)) if data_format == "channels_first" else (lambda hw, one: (one, *hw, one))
    if padding:
        wide = tf.pad(wide, around(((padding,) * 2,) * 2, (0, 0)), mode="REFLECT")
    shares = np.array(reference.binomial(size))
    kernel = tf.constant(
        np.tile(np.outer(shares, shares)[:, :, None, None], (1, 1, wide.shape[1 if data_format == "channels_first" else 3], 1)), wide.dtype
    )
    y = tf.nn.depthwise_conv2d(wide, kernel, around((stride,) * 2, 1), "VALID", "NCHW" if data_format == "channels_first" else "NHWC")
    return tf.cast(y, x.dtype)


def group_norm(x, gamma, beta, groups, epsilon, axis=-1):
    """Sums over the map as products with ones, and the gradient by its formula, not by TensorFlow's for each step.

    Beside Keras's layer, two cores, batch 16, forward and with its gradient: 56x56x256 float32 68 and 112 to 31 and 56 ms, bfloat16 85 and
    141 to 26 and 87 ms; 14x14x1024 float32 17 and 37 to 15 and 25 ms, bfloat16 18 and 36 to 13 and 32 ms.
    """
    if is_volume(x):
        return unflat(group_norm(flat(x, axis), gamma, beta, groups, epsilon), x, axis)
    first = len(x.shape) == 4 and axis % 4 == 1
    if first and not has_gpu():
        return _to_first(group_norm(_to_last(x), gamma, beta, groups, epsilon))
    if len(x.shape) != 4 or first:
        return reference.group_norm(x, gamma, beta, groups, epsilon, axis)
    wide = tf.float64 if x.dtype == tf.float64 else tf.float32
    channels = x.shape[3]
    gamma = tf.ones((channels,), wide) if gamma is None else tf.cast(gamma, wide)
    beta = tf.zeros((channels,), wide) if beta is None else tf.cast(beta, wide)
    return _group_norm(groups, epsilon)(x, gamma, beta)


def kept(variable):
    """The tensor that the variable holds, which assigning replaces: no copy of it, a tenth of the memory of loading a ResNet-50."""
    return tf.convert_to_tensor(variable.value)


def _mean_of_map(x):
    """`(n, h, w, c)` to `(n, 1, 1, c)`."""
    rows = tf.reshape(x, (tf.shape(x)[0], -1, x.shape[3]))
    ones = tf.ones_like(rows[:, :, :1])
    return tf.matmul(ones / tf.cast(tf.shape(rows)[1], x.dtype), rows, transpose_a=True)[:, None]


def _group_norm(groups, epsilon):
    def over_group(vectors):
        """The mean over each channel's group."""
        parts = tf.reshape(vectors, (-1, groups, vectors.shape[3] // groups))
        return tf.reshape(tf.repeat(tf.reduce_mean(parts, -1, keepdims=True), parts.shape[2], -1), tf.shape(vectors))

    @tf.custom_gradient
    def normalize(x, gamma, beta):
        wide = tf.cast(x, gamma.dtype)
        centre = wide[:, :1, :1]
        distance = wide - centre
        offset = _mean_of_map(distance)
        variance = tf.maximum(_mean_of_map(distance * distance) - offset * offset, 0)
        mean, scale = reference.group_statistics((offset + centre)[:, 0, 0], variance[:, 0, 0], groups, epsilon)
        mean, scale = mean[:, None, None], scale[:, None, None]
        y = (wide - mean) * (scale * gamma) + beta

        def gradients(upstream):
            upstream = tf.cast(upstream, gamma.dtype)
            distance = tf.cast(x, gamma.dtype) - mean
            of_beta = _mean_of_map(upstream)
            of_gamma = _mean_of_map(upstream * distance) * scale
            along = over_group(of_gamma * gamma) * scale * scale
            of_x = upstream * (scale * gamma) - distance * along - over_group(of_beta * gamma) * scale
            pixels = tf.cast(tf.shape(x)[1] * tf.shape(x)[2], gamma.dtype)
            return tf.cast(of_x, x.dtype), tf.reduce_sum(of_gamma, (0, 1, 2)) * pixels, tf.reduce_sum(of_beta, (0, 1, 2)) * pixels

        return tf.cast(y, x.dtype), gradients

    return normalize
