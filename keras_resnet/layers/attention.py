"""Multi-head self-attention: each token a mean of all tokens' values, weighted by how well their keys fit its query."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.layers.configured import ConfiguredLayer, check_count, check_flag, check_number
from keras_resnet.layers.projection import create_projection, project


def check_tokens(layer: keras.layers.Layer, input_shape: tuple) -> int:
    """The channels of a token. Raises where the input is no batch of tokens."""
    if len(input_shape) != 3 or input_shape[-1] is None:
        raise ValueError(
            f"{type(layer).__name__} takes tokens of the shape (n, tokens, dim), of which only dim must be known. "
            f"Received: shape={tuple(input_shape)}."
        )
    return input_shape[-1]


@keras.saving.register_keras_serializable("keras_resnet")
class Attention(ConfiguredLayer):
    """`softmax(q k' / sqrt(d)) v` in each of `num_heads` heads of d = dim / num_heads channels, then a projection.

    ```
    x -- dense, 3 dim -- q, k, v -- softmax(q k' / sqrt(d)) v -- dense, dim
    ```

    Args:
        num_heads: of which dim must be a multiple.
        qkv_bias: whether queries, keys and values have a bias; the projection behind them always has.
        dropout: share of the output's numbers that training sets to zero, from 0 to below 1.
        attention_dropout: share of the weights of the mean that training sets to zero, from 0 to below 1.

    Input and output shape: `(n, tokens, dim)`. The softmax is taken in float32 under every policy.

    Raises:
        ValueError: at an argument outside what is listed, and where dim is no multiple of `num_heads`.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2.
    """

    def __init__(self, num_heads: int, qkv_bias: bool = True, dropout: float = 0.0, attention_dropout: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        check_count("num_heads", num_heads)
        check_flag("qkv_bias", qkv_bias)
        check_number("dropout", dropout, 0, 1)
        check_number("attention_dropout", attention_dropout, 0, 1)
        self.keep(locals())
        self.drop = keras.layers.Dropout(dropout, name="drop") if dropout else None
        self.weight_drop = keras.layers.Dropout(attention_dropout, name="weight_drop") if attention_dropout else None

    def build(self, input_shape: tuple) -> None:
        dim = check_tokens(self, input_shape)
        if dim % self.num_heads:
            raise ValueError(
                f"The tokens' channels must be a multiple of `num_heads`. Received: {dim} channels, num_heads={self.num_heads}."
            )
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={-1: dim})
        self.qkv = create_projection(self, "qkv", dim, 3 * dim, self.qkv_bias)
        self.projection = create_projection(self, "projection", dim, dim)
        self.finish_build()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if keras.backend.standardize_dtype(inputs.dtype) != self.compute_dtype:
            inputs = keras.ops.cast(inputs, self.compute_dtype)
        drop = self.weight_drop if training else None
        y = backend.self_attention(project(inputs, self.qkv), self.num_heads, drop and (lambda weights: drop.call(weights, training=True)))
        y = project(y, self.projection)
        return y if self.drop is None else self.drop.call(y, training=training)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape)
