"""Twin for TensorFlow of the operations of volumes, and of what makes maps larger."""

import functools

import tensorflow as tf

from keras_resnet.backend import doubling, reference, volumes


@functools.cache
def has_gpu() -> bool:
    """Whether TensorFlow computes on a GPU here."""
    return bool(tf.config.list_logical_devices("GPU"))


def conv3d(x, kernel, bias=None, strides=(1, 1, 1), padding="valid", dilation=(1, 1, 1), data_format="channels_last"):
    """`tf.nn.conv3d` channels last: on a CPU TensorFlow has no other."""
    if max(dilation) > 1 or x.shape[1 if data_format == "channels_first" else -1] != kernel.shape[3]:
        return volumes.conv3d(x, kernel, bias, strides, padding, dilation, data_format)
    x = reference.turn(x, data_format, "channels_last")
    if not isinstance(padding, str):
        windows = [int(size) for size in kernel.shape[:3]]
        same = max(strides) == 1 and all(2 * pixels == window - 1 for pixels, window in zip(padding, windows, strict=True))
        x = x if same else reference.pad2d(x, tuple((pixels, pixels) for pixels in padding), "channels_last")
        padding = "same" if same else "valid"
    y = tf.nn.conv3d(x, tf.cast(kernel, x.dtype), (1, *strides, 1), padding.upper())
    return reference.turn(reference.add_bias(y, bias, "channels_last"), "channels_last", data_format)


def conv_transpose(x, kernel, bias, strides, data_format="channels_last"):
    """As a product where the window is the stride, else TensorFlow's own.

    2x2, 8 x 64x64, 128 to 64 channels, forward and backward, two cores, beside `tf.nn.conv2d_transpose` in one run: float32 36 to 21 ms,
    bfloat16 12 to 11 ms; at 8 x 16x16, 512 to 256, 21 to 20 and 12 to 8 ms.
    """
    x = reference.turn(x, data_format, "channels_last")
    *windows, filters, channels = (int(size) for size in kernel.shape)
    kernel = tf.cast(kernel, x.dtype)
    if tuple(windows) == tuple(strides):
        y = tf.matmul(x, tf.reshape(kernel, (-1, channels)), transpose_b=True)
        y = (
            tf.nn.depth_to_space(y, strides[0])
            if len(windows) == 2 and strides[0] == strides[1] > 1
            else volumes.depth_to_space(y, strides)
        )
    else:
        sizes = [tf.shape(x)[axis] * stride for axis, stride in enumerate(strides, start=1)]
        own = tf.nn.conv2d_transpose if len(windows) == 2 else tf.nn.conv3d_transpose
        y = own(x, kernel, (tf.shape(x)[0], *sizes, filters), strides, "SAME")
        y = tf.ensure_shape(y, (x.shape[0], *(None if n is None else n * s for n, s in zip(x.shape[1:-1], strides, strict=True)), filters))
    return reference.turn(reference.add_bias(y, bias, "channels_last"), "channels_last", data_format)


def max_pool3d(x, pool_size, strides, padding, data_format="channels_last"):
    """TensorFlow's kernel, channels last."""
    if padding != "valid":
        return volumes.max_pool3d(x, pool_size, strides, padding, data_format)
    x = tf.nn.max_pool3d(reference.turn(x, data_format, "channels_last"), pool_size, strides, "VALID")
    return reference.turn(x, "channels_last", data_format)


def upsample2d(x, size, method="nearest", data_format="channels_last"):
    """`"aligned"` by TensorFlow's kernel, which gives float32. 2 x 32x32, 128 channels, to 64x64, on one core: 0.3 ms, and with the
    gradient 0.7 ms; as matrix products 1.7 and 4.0 ms. `"bilinear"` by its kernel for even factors alone: compiled by XLA it gives other
    values for others, off by 3.6 where the map's own are standard normal (TensorFlow 2.21; 5 pixels to 9 or 15, 9 to 65).
    """
    old = [x.shape[axis] for axis in reference.spatial_axes(data_format)]
    if method == "bilinear" and not all(map(_is_even_factor, old, size)):
        return volumes.between_centres(x, size, data_format)
    if method != "aligned" or x.dtype == tf.float64:
        return volumes.upsample2d(x, size, method, data_format)
    x = reference.turn(x, data_format, "channels_last")
    y = tf.raw_ops.ResizeBilinear(images=x, size=tf.stack(size), align_corners=True)
    return reference.turn(tf.cast(y, x.dtype), "channels_last", data_format)


def _is_even_factor(old, new):
    return isinstance(old, int) and isinstance(new, int) and new % (2 * old) == 0


def is_volume(x):
    """Whether these are volumes, not images."""
    return len(x.shape) == 5


def flat(x, axis):
    """Volumes as channels-last images of depth times height rows, which to a norm are the same and to TensorFlow's kernels are not."""
    x = tf.transpose(x, reference.turning(5, "channels_last")) if axis % 5 == 1 else x
    sizes = tf.shape(x)
    return tf.reshape(x, (sizes[0], sizes[1] * sizes[2], sizes[3], x.shape[4]))


def unflat(y, x, axis):
    """What came of `flat(x, axis)`, in the shape of `x`."""
    if axis % 5 != 1:
        return tf.reshape(y, tf.shape(x))
    sizes = tf.shape(x)
    y = tf.reshape(y, (sizes[0], *(sizes[i] for i in (2, 3, 4)), x.shape[1]))
    return tf.transpose(y, reference.turning(5, "channels_first"))


def doubling_pays(x, others, data_format="channels_last"):
    """On a CPU in float32, where there are more pixels than channels."""
    if has_gpu() or data_format != "channels_last" or x.dtype != tf.float32 or not doubling.is_double(x, others, data_format):
        return False
    return (x.shape[0] or 8) * x.shape[1] * x.shape[2] >= 4 * x.shape[3]


def doubled_conv2d(x, others, kernel, bias=None, data_format="channels_last"):
    """A transposed convolution of `x`, and one of the others that is added.

    The first convolutions of the five decoder blocks of `UNet("resnet34")` at 256 px, batch 8, two cores, beside doubling, joining and
    convolving in one run: 249 to 156 ms, with their gradients 1066 to 497 ms. As four 2x2 convolutions: 172 and 747 ms.
    """
    x, *others = (reference.turn(one, data_format, "channels_last") for one in (x, *others))
    kernel = tf.cast(kernel, x.dtype)
    channels, shape = x.shape[3], tf.shape(x)
    size = (shape[0], 2 * shape[1], 2 * shape[2], kernel.shape[3])
    y = tf.nn.conv2d_transpose(x, doubling.stretched(kernel[:, :, :channels]), size, 2, "SAME")
    y = tf.ensure_shape(y, (x.shape[0], *(None if n is None else 2 * n for n in x.shape[1:3]), kernel.shape[3]))
    if others:
        joined = tf.concat(others, -1) if len(others) > 1 else others[0]
        y += tf.nn.conv2d(joined, kernel[:, :, channels:], 1, "SAME")
    return reference.turn(reference.add_bias(y, bias, "channels_last"), "channels_last", data_format)
