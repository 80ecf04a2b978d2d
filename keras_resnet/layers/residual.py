"""The residual layer: what every block of the zoo has in common. The blocks say only what their branch is."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.layers import repeated
from keras_resnet.layers import shortcut as shortcuts
from keras_resnet.layers.average_pooling import AveragePooling2D
from keras_resnet.layers.blur_pooling import BlurPooling2D
from keras_resnet.layers.branch_scale import check_branch, scaled
from keras_resnet.layers.configured import ConfiguredLayer, check_choice, check_count, check_flag, check_number
from keras_resnet.layers.conv_kinds import check_conv, create_conv
from keras_resnet.layers.conv_norm import conv_norm, norm_activation
from keras_resnet.layers.drop_block import DropBlock2D
from keras_resnet.layers.efficient_channel_attention import EfficientChannelAttention
from keras_resnet.layers.normalization import check_norm, check_pixels, create_norm
from keras_resnet.layers.rematerialized import rematerialized
from keras_resnet.layers.squeeze_excite import SqueezeExcite
from keras_resnet.layers.stochastic_depth import StochasticDepth

ATTENTIONS = (None, "se", "eca")
ANTI_ALIASES = (None, "average", "blur")


class Residual(ConfiguredLayer):
    """`activation(scale * branch(x) + shortcut(x))`, or with pre-activation `scale * branch(activation(norm(x))) + shortcut(x)`.

    ```
    x -- branch: [conv -- norm -- activation] ... -- + -- activation
     \\------------------ shortcut -----------------/
    ```

    A subclass gives `branch()`: the settings of its convolutions. One Keras layer runs the whole block, its children (`conv1`, `norm1`,
    ..., `shortcut`) own the variables.

    Args:
        filters: the block's width; it puts out `filters * expansion` channels.
        strides: 1, or the step by which the block makes the image smaller.
        dilation_rate: of the convolutions larger than 1x1.
        first_dilation_rate: of the first of them, `None` for the same: where a stage keeps its resolution, its first block still
            looks as narrowly as the stage before.
        shortcut: `"identity"` (A: subsample, zeros for new channels), `"projection"` (B: 1x1 convolution where the shape changes),
            `"projection_all"` (C: always), `"projection_3x3"` (as B, but 3x3 where it strides), `"avg_pool"` (D: mean, then 1x1
            convolution, where the shape changes), or `None`: a plain block without one.
        zero_padding: where `"identity"` puts the new channels, `"end"` or `"both"` sides.
        norm: `"batch"`, `"group"`, `"instance"`, `"layer"`, or `None`: no norm, and convolutions with a bias.
            `"layer"` goes over an image's channels and pixels together, so that flat regions are not stretched to the contrast of others.
        norm_momentum, norm_epsilon: of the norm; the defaults are torchvision's and timm's.
        conv: kind of the convolutions: `"plain"`, `"standardized"` (each filter's weights at mean 0 and variance 1) or `"scaled"`
            (that, over the root of their number, with a learned gain a filter).
        padding: `"symmetric"`, or TensorFlow's `"same"`, which pads more at the bottom and right.
        use_bias: `True` or `False` for all convolutions; `"unnormalized"`: those with no norm right behind; `None`: all if there is no
            norm at all, else none.
        activation: any Keras activation, by name or function.
        zero_init_residual: whether the branch starts at zero (timm's do, these by default not): by the gamma of its last norm, or where it
            ends in a convolution by that kernel.
        attention: what weighs the branch's channels before the sum: `"se"` (squeeze and excitation), `"eca"` (efficient channel
            attention), or `None`.
        attention_ratio: channels within squeeze and excitation over those of the branch.
        anti_alias: what strides behind the activation in place of the convolution: `"average"` (2x2 mean), `"blur"` (3x3 binomial
            filter), or `None`.
        dropout: share of the numbers before the last convolution that training sets to zero, from 0 to below 1.
        drop_block: share of them in training that goes in squares, within the first convolution larger than 1x1; from 0 to below 1.
        drop_block_size: pixels a side of such a square.
        drop_block_scale: factor of how many squares there are.
        residual_scale: factor of the branch: a number, `"1/sqrt(N)"` with N = `num_blocks`, or `"learned"`: a scalar that starts at
            0 (SkipInit, ReZero).
        num_blocks: how many residual blocks the network has; for `"1/sqrt(N)"`.
        stochastic_depth: probability of leaving the branch out in training, per sample, from 0 to below 1.
        remat: whether training recomputes the block's inner activations in the backward pass, keeping only its input: memory for
            time. Statistics are moved once.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: `(n, height, width, channels)`, or channels first.
    Output shape: `filters * expansion` channels, `ceil(size / strides)` pixels a side.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: He et al. 2015, arXiv:1512.03385; pre-activation He et al. 2016, arXiv:1603.05027; learned scale De and Smith 2020,
    arXiv:2002.10444, and Bachlechner et al. 2020, arXiv:2003.04887; attention before the sum Hu et al. 2017, arXiv:1709.01507; blur
    Zhang 2019, arXiv:1904.11486; dropout Zagoruyko and Komodakis 2016, arXiv:1605.07146.
    """

    preactivation = False
    expansion = 1

    def __init__(
        self,
        filters: int,
        strides: int = 1,
        dilation_rate: int = 1,
        first_dilation_rate: int | None = None,
        shortcut: str | None = "projection",
        zero_padding: str = "end",
        norm: str | None = "batch",
        norm_momentum: float = 0.9,
        norm_epsilon: float = 1e-5,
        activation: Any = "relu",
        conv: str = "plain",
        padding: str = "symmetric",
        use_bias: bool | str | None = None,
        zero_init_residual: bool = False,
        attention: str | None = None,
        attention_ratio: float = 1 / 16,
        anti_alias: str | None = None,
        dropout: float = 0.0,
        drop_block: float = 0.0,
        drop_block_size: int = 7,
        drop_block_scale: float = 1.0,
        residual_scale: float | str = 1.0,
        num_blocks: int | None = None,
        stochastic_depth: float = 0.0,
        remat: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        for name in ("filters", "strides", "dilation_rate"):
            check_count(name, locals()[name])
        check_choice("shortcut", shortcut, (*shortcuts.KINDS, None))
        check_choice("zero_padding", zero_padding, ("end", "both"))
        check_norm(norm, norm_momentum, norm_epsilon)
        check_conv(conv, padding, use_bias, activation)
        check_choice("attention", attention, ATTENTIONS)
        check_number("attention_ratio", attention_ratio, 0)
        check_choice("anti_alias", anti_alias, ANTI_ALIASES)
        check_number("dropout", dropout, 0, 1)
        check_number("drop_block", drop_block, 0, 1)
        check_count("drop_block_size", drop_block_size)
        check_number("drop_block_scale", drop_block_scale, 0)
        check_branch(residual_scale, num_blocks, stochastic_depth)
        check_flag("zero_init_residual", zero_init_residual)
        check_flag("remat", remat)
        if first_dilation_rate is not None:
            check_count("first_dilation_rate", first_dilation_rate)
        self.keep({**locals(), "shortcut": shortcut})
        self.shortcut_layer: Any = None
        self.attention_layer: Any = None
        self.anti_alias_layer: Any = None
        self.residual_gain: Any = None
        self.drop: Any = None
        self.dropout_layer: Any = None
        self.drop_block_layer: Any = None
        if stochastic_depth:
            self.drop = StochasticDepth(stochastic_depth, dtype=self.dtype_policy, name="drop")
        if dropout:
            self.dropout_layer = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        if drop_block:
            settings = dict(data_format=self.inner_format, dtype=self.dtype_policy, name="drop_block")
            self.drop_block_layer = DropBlock2D(drop_block, drop_block_size, drop_block_scale, **settings)

    def branch(self) -> list[dict]:
        """Settings of the branch's convolutions in order: `filters, kernel_size`, for the one that strides `strides`, and
        `dilation_rate, groups` where not 1.
        """
        raise NotImplementedError("A subclass of Residual says here what its branch is.")

    @property
    def dilations(self) -> tuple[int, int]:
        """Dilation of the first convolution larger than 1x1, and of the others."""
        return self.first_dilation_rate or self.dilation_rate, self.dilation_rate

    def build(self, input_shape: tuple) -> None:
        channels = entering = self.expect(input_shape)
        settings = self.branch()
        self._convs: list = []
        self._norms: list = []
        self._striding = next(i for i, setting in enumerate(settings) if "strides" in setting)
        # The first convolution larger than 1x1.
        self._widest = next(i for i, setting in enumerate(settings) if setting["kernel_size"] > 1)
        if self.anti_alias:
            self._build_anti_alias(settings[self._striding])
        for i, setting in enumerate(settings, start=1):
            last = i == len(settings)
            zero = self.zero_init_residual and last
            if zero and (self.preactivation or self.norm is None):
                setting[self._zeroed] = "zeros"
            normalized = self.norm is not None and not (self.preactivation and last)
            conv = create_conv(self, f"conv{i}", channels, normalized=normalized, **setting)
            gamma = "zeros" if zero and not self.preactivation else "ones"
            norm = create_norm(self, f"norm{i}", channels if self.preactivation else conv.filters, gamma)
            channels = conv.filters
            # As attributes the children get their names in files: conv1, norm1, ...
            setattr(self, conv.name, conv)
            setattr(self, f"norm{i}", norm)
            self._convs.append(conv)
            self._norms.append(norm)
        changes = self.strides > 1 or entering != channels
        if self.shortcut == "projection_all" or (changes and self.shortcut is not None):
            norm = None if self.preactivation else self.norm
            self.shortcut_layer = shortcuts.Shortcut(
                channels,
                self.strides,
                self.dilation_rate,
                self.shortcut,
                self.zero_padding,
                norm,
                {None: self.norm is None, "unnormalized": norm is None}.get(self.use_bias, self.use_bias),
                self.norm_momentum,
                self.norm_epsilon,
                self.first_dilation_rate,
                self.conv,
                self.padding,
                self.activation,
                self.inner_format,
                dtype=self.dtype_policy,
                name="shortcut",
            )
            self.build_child(self.shortcut_layer, entering)
        if self.attention:
            common = dict(data_format=self.inner_format, dtype=self.dtype_policy, name="attention")
            attention: Any = (
                SqueezeExcite(self.attention_ratio, **common) if self.attention == "se" else EfficientChannelAttention(**common)
            )
            self.attention_layer = attention
            self.build_child(attention, channels)
        if self.residual_scale == "learned":
            self.residual_gain = self.add_weight(name="residual_gain", shape=(), initializer="zeros")
        self.finish_build()

    # Which initializer `zero_init_residual` sets where no gamma stands behind the branch.
    _zeroed = "kernel_initializer"

    def _build_anti_alias(self, setting: dict) -> None:
        """Takes the stride out of a convolution's settings, for the pool behind it; where dilation took its place, blurs all the same."""
        strides = setting.pop("strides")
        common = dict(data_format=self.inner_format, dtype=self.dtype_policy, name="anti_alias")
        if self.anti_alias == "blur" and (strides > 1 or self.dilations[0] != self.dilations[1]):
            self.anti_alias_layer = BlurPooling2D(strides=strides, **common)
        elif self.anti_alias == "average" and strides > 1:
            self.anti_alias_layer = AveragePooling2D(strides, strides, "same", **common)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        run = repeated.run_of(self) if backend.scans else None  # `torch.compile` does not trace through a context variable
        if run is not None:
            return repeated.run_through(run, inputs, training) if run else inputs
        x = self.enter(inputs)
        y = rematerialized(self, lambda x: self._forward(x, True), x) if self.remat and training else self._forward(x, training)
        check_pixels(self, y, training)
        return self.leave(y)

    def _forward(self, x: Any, training: bool | None) -> Any:
        if self.preactivation:
            y = self._preactivate(x, training)
            around = self._around(x, y, training)
            behind, activation = [*self._norms[1:], None], None
        else:
            y, around = x, self._around(x, x, training)
            behind, activation = self._norms, self.activation
        for place, (conv, norm) in enumerate(zip(self._convs[:-1], behind[:-1], strict=True)):
            y = self._step(place, y, conv, norm, training)
        if training and self.dropout_layer is not None:
            y = self.dropout_layer.call(y, training=True)
        last = self._convs[-1], behind[-1], training
        if self.attention_layer is None and not self._rescales(training):
            return conv_norm(y, *last, activation, around)
        y = conv_norm(y, *last)
        if self.attention_layer is not None:
            y = self._attend(y)
        y = backend.add_relu(self._rescale(y, training), around, activation is keras.activations.relu)
        return y if activation in (None, keras.activations.relu) else activation(y)

    def _preactivate(self, x: Any, training: bool | None) -> Any:
        return norm_activation(x, self._norms[0], training, self.activation)

    def _step(self, place: int, y: Any, conv: Any, norm: Any, training: bool | None) -> Any:
        """One convolution of the branch but the last, with what stands behind it."""
        if training and self.drop_block_layer is not None and place == self._widest:
            y = self.drop_block_layer.call(conv_norm(y, conv, norm, training), training=True)
            y = self.activation(y)
        else:
            y = conv_norm(y, conv, norm, training, self.activation)
        if self.anti_alias_layer is not None and place == self._striding:
            y = self.anti_alias_layer.call(y)
        return y

    def _attend(self, y: Any) -> Any:
        return self.attention_layer.excite(y)

    def _around(self, x: Any, preactivated: Any, training: bool | None) -> Any:
        """What is added to the branch. A projection sees the pre-activated input, as in the authors' code; an identity never does."""
        if self.shortcut is None:
            return None
        if self.shortcut_layer is None:
            return x
        projects = self.shortcut_layer.conv_layer is not None
        return self.shortcut_layer.bring(preactivated if projects else x, training)

    def _rescales(self, training: bool | None) -> bool:
        return self.residual_scale != 1 or bool(training and self.drop is not None)

    def _rescale(self, y: Any, training: bool | None) -> Any:
        y = scaled(y, self.residual_scale, self.num_blocks, self.residual_gain)
        return y if self.drop is None else self.drop.call(y, training=training)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        channels = self.branch()[-1]["filters"]
        strides = (self.strides, self.strides)
        return backend.geometry.window_output_shape(input_shape, channels, (1, 1), strides, "same", self.data_format)
