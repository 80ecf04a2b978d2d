"""The residual layer: what every block of the zoo has in common. The blocks say only what their branch is."""

import math
from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.layers import shortcut as shortcuts
from keras_resnet.layers.configured import ConfiguredLayer, check_choice, check_count, check_flag, check_number
from keras_resnet.layers.conv_norm import conv_norm, norm_activation
from keras_resnet.layers.convolution import Conv2D
from keras_resnet.layers.initializer import HeNormal
from keras_resnet.layers.normalization import check_norm, create_norm
from keras_resnet.layers.stochastic_depth import StochasticDepth


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
            `"projection_all"` (C: always), `"avg_pool"` (D: mean, then 1x1 convolution, where the shape changes), or `None`: a plain
            block without one.
        zero_padding: where `"identity"` puts the new channels, `"end"` or `"both"` sides.
        norm: `"batch"`, `"group"`, or `None`: no norm, and convolutions with a bias.
        norm_momentum, norm_epsilon: of the norm; the defaults are torchvision's and timm's.
        activation: any Keras activation, by name or function.
        zero_init_residual: whether the branch starts at zero: by the gamma of its last norm, or where it ends in a convolution by
            that kernel.
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
    arXiv:2002.10444, and Bachlechner et al. 2020, arXiv:2003.04887.
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
        zero_init_residual: bool = False,
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
        check_number("residual_scale", residual_scale, also=("1/sqrt(N)", "learned"))
        check_number("stochastic_depth", stochastic_depth, 0, 1)
        check_flag("zero_init_residual", zero_init_residual)
        check_flag("remat", remat)
        if first_dilation_rate is not None:
            check_count("first_dilation_rate", first_dilation_rate)
        if residual_scale == "1/sqrt(N)":
            check_count("num_blocks", num_blocks)
        self.keep({**locals(), "shortcut": shortcut})
        self.shortcut_layer: Any = None
        self.residual_gain: Any = None
        self.drop: Any = None
        if stochastic_depth:
            self.drop = StochasticDepth(stochastic_depth, dtype=self.dtype_policy, name="drop")

    def branch(self) -> list[dict]:
        """Settings of the branch's convolutions in order: `filters, kernel_size`, and `strides, dilation_rate, groups` where not 1."""
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
        for i, setting in enumerate(settings, start=1):
            last = i == len(settings)
            zero = self.zero_init_residual and last
            conv = Conv2D(
                **setting,
                padding=setting.get("dilation_rate", 1) * (setting["kernel_size"] // 2),
                use_bias=self.norm is None,
                kernel_initializer="zeros" if zero and (self.preactivation or self.norm is None) else HeNormal(),
                data_format=self.inner_format,
                dtype=self.dtype_policy,
                name=f"conv{i}",
            )
            gamma = "zeros" if zero and not self.preactivation else "ones"
            norm = create_norm(self, f"norm{i}", channels if self.preactivation else conv.filters, gamma)
            self.build_child(conv, channels)
            channels = conv.filters
            # As attributes the children get their names in files: conv1, norm1, ...
            setattr(self, conv.name, conv)
            setattr(self, f"norm{i}", norm)
            self._convs.append(conv)
            self._norms.append(norm)
        changes = self.strides > 1 or entering != channels
        if self.shortcut == "projection_all" or (changes and self.shortcut is not None):
            self.shortcut_layer = shortcuts.Shortcut(
                channels,
                self.strides,
                self.dilation_rate,
                self.shortcut,
                self.zero_padding,
                None if self.preactivation else self.norm,
                self.norm is None,
                self.norm_momentum,
                self.norm_epsilon,
                self.inner_format,
                dtype=self.dtype_policy,
                name="shortcut",
            )
            self.build_child(self.shortcut_layer, entering)
        if self.residual_scale == "learned":
            self.residual_gain = self.add_weight(name="residual_gain", shape=(), initializer="zeros")
        self.finish_build()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = self.enter(inputs)
        return self.leave(self._rematerialized(x) if self.remat and training else self._forward(x, training))

    def _forward(self, x: Any, training: bool | None) -> Any:
        if self.preactivation:
            y = norm_activation(x, self._norms[0], training, self.activation)
            around = self._around(x, y, training)
            behind, activation = [*self._norms[1:], None], None
        else:
            y, around = x, self._around(x, x, training)
            behind, activation = self._norms, self.activation
        for conv, norm in zip(self._convs[:-1], behind[:-1], strict=True):
            y = conv_norm(y, conv, norm, training, self.activation)
        last = self._convs[-1], behind[-1], training
        if not self._rescales(training):
            return conv_norm(y, *last, activation, around)
        y = backend.add_relu(self._rescale(conv_norm(y, *last), training), around)
        return y if activation is None else activation(y)

    def _around(self, x: Any, preactivated: Any, training: bool | None) -> Any:
        """What is added to the branch. A projection sees the pre-activated input, as in the authors' code; an identity never does."""
        if self.shortcut is None:
            return None
        if self.shortcut_layer is None:
            return x
        projects = self.shortcut_layer.conv is not None
        return self.shortcut_layer.bring(preactivated if projects else x, training)

    def _rescales(self, training: bool | None) -> bool:
        return self.residual_scale != 1 or bool(training and self.drop is not None)

    def _rescale(self, y: Any, training: bool | None) -> Any:
        if self.residual_scale == "learned":
            y = y * keras.ops.cast(self.residual_gain.value, y.dtype)
        elif self.residual_scale == "1/sqrt(N)":
            y = y * (1 / math.sqrt(self.num_blocks))
        elif self.residual_scale != 1:
            y = y * self.residual_scale
        return y if self.drop is None else self.drop.call(y, training=training)

    def _rematerialized(self, x: Any) -> Any:
        """Runs the block as a pure function of its variables, whose new statistics come out of it and are assigned once."""
        trained = self.trainable_variables
        moving = [v for v in self.variables if not any(v is t for t in trained)]
        # Copies: PyTorch assigns statistics and seeds in place, and the backward pass must see them as they were.
        before = [(v, keras.ops.copy(v.value)) for v in moving]

        def run(x: Any, *values: Any) -> tuple:
            with keras.StatelessScope(state_mapping=[*before, *zip(trained, values, strict=True)]) as scope:
                y = self._forward(x, training=True)
            return y, *(scope.get_current_value(v) for v in moving)

        y, *after = backend.remat(run)(x, *(v.value for v in trained))
        for variable, value in zip(moving, after, strict=True):
            variable.assign(value)
        return y

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        channels = self.branch()[-1]["filters"]
        strides = (self.strides, self.strides)
        return backend.geometry.window_output_shape(input_shape, channels, (1, 1), strides, "same", self.data_format)
