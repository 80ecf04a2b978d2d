"""One convolution with the norm and activation behind it, run past `Layer.__call__`: the step all blocks are made of."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.backend import geometry
from keras_resnet.layers.convolution import Conv2D
from keras_resnet.layers.convolution_3d import Conv3D
from keras_resnet.layers.initializer import HeNormal
from keras_resnet.layers.normalization import BatchNormalization, create_norm


def create_conv_norm(
    parent: Any, name: str, channels: int, filters: int, kernel_size: Any = 3, normalized: bool = True, **settings: Any
) -> tuple[Any, Any]:
    """A convolution that keeps the map's size and the norm that `parent.norm` names, built as its children `conv{name}` and `norm{name}`.

    Of images or of volumes, as the parent's input.

    Args:
        parent: a layer with the attributes `norm, norm_momentum, norm_epsilon, inner_format, dtype_policy, spatial_dims`.
        name: what stands behind "conv" and "norm" in the children's names.
        kernel_size: an odd number, or one an axis.
        normalized: whether the norm is there; without it, `None`, the convolution has a bias.
        **settings: more of the convolution's own.
    """
    windows = geometry.numbers(kernel_size, "kernel_size", parent.spatial_dims, 1)
    conv = (Conv2D if parent.spatial_dims == 2 else Conv3D)(
        filters,
        windows,
        data_format=parent.inner_format,
        dtype=parent.dtype_policy,
        name=f"conv{name}",
        **{
            "padding": tuple(((window - 1) * settings.get("dilation_rate", 1) + 1) // 2 for window in windows),
            "use_bias": parent.norm is None or not normalized,
            "kernel_initializer": HeNormal(mode="fan_in"),
            **settings,
        },
    )
    parent.build_child(conv, channels)
    norm = create_norm(parent, f"norm{name}", filters) if normalized else None
    setattr(parent, f"conv{name}", conv)
    setattr(parent, f"norm{name}", norm)
    return conv, norm


def conv_norm(
    x: Any, conv: Conv2D, norm: Any, training: bool | None, activation: Any = None, add: Any = None, joined: list | None = None
) -> Any:
    """`activation(norm(conv(x)) + add)` for layers that are built already; `norm`, `activation` and `add` may be `None`.

    With `joined`, maps of twice its size, x is doubled and those are joined to it before the convolution, as `backend.doubled_conv2d` does.

    On PyTorch a Keras layer costs 100 to 200 microseconds a call beside its arithmetic, so the blocks call their children's operations
    directly: ResNet-50 then has 20 layer calls, not 177. The result is a fresh tensor: the caller may overwrite it.
    """
    if training:
        conv.folded.clear()
    relu = activation is keras.activations.relu
    batch_norm = isinstance(norm, BatchNormalization)
    by_statistics = training and batch_norm and norm.moves
    if by_statistics or (norm is not None and not batch_norm):
        if joined is None:
            y = backend.conv(x, *conv.operands(), *conv.settings())
        else:
            y = backend.doubled_conv2d(x, joined, *conv.operands(), conv.data_format)
        y = _normalize(y, norm, training)
        y = backend.add_relu(y, add, relu)
    else:
        folded = norm.operands() if batch_norm else None
        y = backend.conv_norm_inference(x, *conv.operands(), folded, *conv.settings(), relu, add, conv.folded, joined)
    return y if relu or activation is None else activation(y)


def norm_activation(x: Any, norm: Any, training: bool | None, activation: Any) -> Any:
    """`activation(norm(x))`; `x` itself is never overwritten."""
    if norm is None:
        return activation(x)
    y = _normalize(x, norm, training)
    return backend.add_relu(y, relu=True) if activation is keras.activations.relu else activation(y)


def _normalize(x: Any, norm: Any, training: bool | None) -> Any:
    if isinstance(norm, BatchNormalization):
        return norm.call(x, training=training)
    return norm.call(x)
