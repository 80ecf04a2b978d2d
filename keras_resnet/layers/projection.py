"""The matrix product of transformers with its bias, run past `Layer.__call__` as the convolutions in `conv_norm` are."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.layers.initializer import HeNormal

DEVIATION = 0.02  # of the kernels and position embeddings that transformers start from


def create_projection(parent: Any, name: str, channels: int, units: int, use_bias: bool = True) -> keras.layers.Dense:
    """A dense layer, built as the child of `parent` for tokens of so many `channels`; its kernel starts from normal numbers."""
    start = HeNormal(scale=DEVIATION**2 * channels, mode="fan_in")
    dense = keras.layers.Dense(units, use_bias=use_bias, kernel_initializer=start, dtype=parent.dtype_policy, name=name)
    dense.build((None, None, channels))
    return dense


def project(x: Any, dense: keras.layers.Dense) -> Any:
    """`x @ kernel + bias` for a dense layer that is built. The result is a fresh tensor: the caller may overwrite it."""
    if dense.quantization_mode is not None:
        return dense(x)
    kernel = dense.kernel  # a variable, or with LoRA a tensor
    kernel = kernel.value if isinstance(kernel, keras.Variable) else kernel
    return backend.dense(x, kernel, None if dense.bias is None else dense.bias.value)
