"""One convolution with the norm and activation behind it, run past `Layer.__call__`: the step all blocks are made of."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.layers.convolution import Conv2D
from keras_resnet.layers.normalization import BatchNormalization


def conv_norm(x: Any, conv: Conv2D, norm: Any, training: bool | None, activation: Any = None, add: Any = None) -> Any:
    """`activation(norm(conv(x)) + add)` for layers that are built already; `norm`, `activation` and `add` may be `None`.

    On PyTorch a Keras layer costs 100 to 200 microseconds a call beside its arithmetic, so the blocks call their children's operations
    directly: ResNet-50 then has 20 layer calls, not 177. The result is a fresh tensor: the caller may overwrite it.
    """
    if training:
        conv.folded.clear()
    relu = activation is keras.activations.relu
    batch_norm = isinstance(norm, BatchNormalization)
    by_statistics = training and batch_norm and norm.moves
    if by_statistics or (norm is not None and not batch_norm):
        y = backend.conv(x, *conv.operands(), *conv.settings())
        y = _normalize(y, norm, training)
        y = backend.add_relu(y, add, relu)
    else:
        folded = norm.operands() if batch_norm else None
        y = backend.conv_norm_inference(x, *conv.operands(), folded, *conv.settings(), relu, add, conv.folded)
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
