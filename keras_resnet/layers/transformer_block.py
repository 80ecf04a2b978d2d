"""The block of transformers: attention and a perceptron, each the branch of a residual."""

from collections.abc import Callable
from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.layers.attention import Attention, check_tokens
from keras_resnet.layers.branch_scale import check_branch, scaled
from keras_resnet.layers.configured import ConfiguredLayer, check_flag, check_number
from keras_resnet.layers.layer_normalization import LayerNormalization
from keras_resnet.layers.projection import create_projection, project
from keras_resnet.layers.rematerialized import rematerialized
from keras_resnet.layers.stochastic_depth import StochasticDepth


@keras.saving.register_keras_serializable("keras_resnet")
class TransformerBlock(ConfiguredLayer):
    """`x + scale * attention(norm(x))`, then `x + scale * mlp(norm(x))`; post-norm `norm(x + scale * branch(x))`.

    ```
    x -- norm -- attention -- + -- norm -- dense, 4 dim -- gelu -- dense, dim -- + --
     \\-----------------------/ \\------------------------------------------------/
    ```

    One Keras layer runs the whole block, its children (`norm1`, `attention`, `norm2`, `mlp1`, `mlp2`) own the variables.

    Args:
        num_heads: of the attention; the tokens' channels must be a multiple of it.
        mlp_ratio: channels between the two dense layers, in multiples of the tokens'.
        pre_norm: whether a norm stands in front of each branch (the way around it is then free), or behind each sum, as in the
            first transformers.
        norm_epsilon: of the norms.
        activation: between the dense layers: any Keras activation, by name or function; `"gelu"` is the exact one.
        qkv_bias: whether queries, keys and values have a bias.
        dropout: share of numbers that training sets to zero behind each dense layer but that of queries, keys and values, from 0
            to below 1.
        attention_dropout: share of the attention's weights that training sets to zero, from 0 to below 1.
        stochastic_depth: probability of leaving a branch out in training, per sample and branch, from 0 to below 1.
        layer_scale: what the factor of each of a branch's channels starts from, such as 1e-5; `None` for no such factors.
        residual_scale: factor of both branches: a number, `"1/sqrt(N)"` with N = `num_blocks`, or `"learned"`: a scalar for each
            branch that starts at 0 (ReZero).
        num_blocks: how many blocks the network has; for `"1/sqrt(N)"`.
        remat: whether training recomputes the block's inner activations in the backward pass, keeping only its input: memory for
            time.

    Input and output shape: `(n, tokens, dim)`.

    Raises:
        ValueError: at an argument outside what is listed, and where dim is no multiple of `num_heads`.

    Source: Vaswani et al. 2017, arXiv:1706.03762 (post-norm); Dosovitskiy et al. 2020, arXiv:2010.11929, figure 1 (pre-norm);
    LayerScale Touvron et al. 2021, arXiv:2103.17239.
    """

    def __init__(
        self,
        num_heads: int,
        mlp_ratio: float = 4,
        pre_norm: bool = True,
        norm_epsilon: float = 1e-6,
        activation: Any = "gelu",
        qkv_bias: bool = True,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        stochastic_depth: float = 0.0,
        layer_scale: float | None = None,
        residual_scale: float | str = 1.0,
        num_blocks: int | None = None,
        remat: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_number("mlp_ratio", mlp_ratio, 0)
        check_number("norm_epsilon", norm_epsilon, 0)
        check_flag("pre_norm", pre_norm)
        check_flag("remat", remat)
        check_branch(residual_scale, num_blocks, stochastic_depth)
        if layer_scale is not None:
            check_number("layer_scale", layer_scale, 0)
        self.keep(locals())
        # Here and not in `build`, so that a wrong setting is refused at once.
        self.attention = Attention(num_heads, qkv_bias, dropout, attention_dropout, dtype=self.dtype_policy, name="attention")
        self.drop = StochasticDepth(stochastic_depth, dtype=self.dtype_policy, name="drop") if stochastic_depth else None
        self.mlp_drop = keras.layers.Dropout(dropout, name="mlp_drop") if dropout else None
        self.gains: tuple = (None, None)
        self.layer_scales: tuple = (None, None)

    def build(self, input_shape: tuple) -> None:
        dim = check_tokens(self, input_shape)
        inner = int(dim * self.mlp_ratio)
        if inner < 1:
            raise ValueError(f"`mlp_ratio` leaves no channels of {dim}. Received: mlp_ratio={self.mlp_ratio!r}.")
        self.attention.build(input_shape)
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={-1: dim})
        self.norm1 = LayerNormalization(self.norm_epsilon, dtype=self.dtype_policy, name="norm1")
        self.norm2 = LayerNormalization(self.norm_epsilon, dtype=self.dtype_policy, name="norm2")
        for norm in (self.norm1, self.norm2):
            norm.build(input_shape)
        self.mlp1 = create_projection(self, "mlp1", dim, inner)
        self.mlp2 = create_projection(self, "mlp2", inner, dim)
        if self.layer_scale is not None:
            start = keras.initializers.Constant(self.layer_scale)
            self.layer_scales = tuple(self.add_weight(name=f"layer_scale{i}", shape=(dim,), initializer=start) for i in (1, 2))
        if self.residual_scale == "learned":
            self.gains = tuple(self.add_weight(name=f"residual_gain{i}", shape=(), initializer="zeros") for i in (1, 2))
        self.finish_build()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if keras.backend.standardize_dtype(inputs.dtype) != self.compute_dtype:
            inputs = keras.ops.cast(inputs, self.compute_dtype)
        if self.remat and training:
            return rematerialized(self, lambda x: self._forward(x, True), inputs)
        return self._forward(inputs, training)

    def _forward(self, x: Any, training: bool | None) -> Any:
        x = self._residual(x, 0, self.norm1, self.attention.call, training)
        return self._residual(x, 1, self.norm2, self._mlp, training)

    def _residual(self, x: Any, place: int, norm: LayerNormalization, branch: Callable, training: bool | None) -> Any:
        y = branch(norm.call(x) if self.pre_norm else x, training)
        layer_scale = self.layer_scales[place]
        if layer_scale is not None:
            y = y * keras.ops.cast(layer_scale.value, y.dtype)
        y = scaled(y, self.residual_scale, self.num_blocks, self.gains[place])
        y = y if self.drop is None else self.drop.call(y, training=training)
        y = backend.add_relu(y, x)
        return y if self.pre_norm else norm.call(y)

    def _mlp(self, x: Any, training: bool | None) -> Any:
        y = self._drop(self.activation(project(x, self.mlp1)), training)
        return self._drop(project(y, self.mlp2), training)

    def _drop(self, y: Any, training: bool | None) -> Any:
        return y if self.mlp_drop is None else self.mlp_drop.call(y, training=training)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape)
