"""The other way around a residual branch: as it is, subsampled and padded with zeros, or projected."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.layers.configured import ConfiguredLayer, check_choice, check_count
from keras_resnet.layers.conv_kinds import check_conv, create_conv
from keras_resnet.layers.conv_norm import conv_norm
from keras_resnet.layers.normalization import check_norm, create_norm

KINDS = ("identity", "projection", "projection_all", "projection_3x3", "avg_pool")


@keras.saving.register_keras_serializable("keras_resnet")
class Shortcut(ConfiguredLayer):
    """Brings a block's input to the shape of its branch.

    ```
    "identity"                        x -- every s-th pixel -- zeros for the new channels        (option A, no weights)
    "projection", "projection_all"    x -- conv 1x1, f, /s -- norm                               (options B and C)
    "projection_3x3"                  x -- conv 3x3, f, /s -- norm, 1x1 where nothing strides    (SENet-154)
    "avg_pool"                        x -- mean 2x2, /s -- conv 1x1, f -- norm                   (option D)
    ```

    Args:
        filters: channels of the branch's output.
        strides: step of the branch in pixels.
        dilation_rate: of the branch; above 1, `"avg_pool"` pools at stride 1, keeping the size, with zeros beyond the last row and column
            that count in the mean, as in timm.
        first_dilation_rate: of the 3x3 projection, `None` for `dilation_rate`.
        kind: one of the five above.
        zero_padding: where `"identity"` puts the new channels: at the `"end"`, or half on `"both"` sides as some CIFAR weights expect.
        norm: `"batch"`, `"group"`, `"instance"`, `"layer"` or `None`.
            `"layer"` goes over an image's channels and pixels together, so that flat regions are not stretched to the contrast of others.
        norm_momentum, norm_epsilon: of the norm.
        conv, padding, use_bias: as in `Residual`.
        activation: of the network, whose gain scaled convolutions undo; the shortcut itself has none.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: `(n, height, width, channels)`, or channels first. Output shape: `filters` channels, `ceil(size / strides)` pixels a side.

    Raises:
        ValueError: at an unknown `kind`, and for `"identity"` with fewer filters than input channels.

    Source: options A to C He et al. 2015, arXiv:1512.03385; 3x3 Hu et al. 2017, arXiv:1709.01507; option D He et al. 2018,
    "Bag of tricks", arXiv:1812.01187.
    """

    def __init__(
        self,
        filters: int,
        strides: int = 1,
        dilation_rate: int = 1,
        kind: str = "projection",
        zero_padding: str = "end",
        norm: str | None = "batch",
        use_bias: bool | str | None = None,
        norm_momentum: float = 0.9,
        norm_epsilon: float = 1e-5,
        first_dilation_rate: int | None = None,
        conv: str = "plain",
        padding: str = "symmetric",
        activation: Any = "relu",
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_choice("kind", kind, KINDS)
        check_choice("zero_padding", zero_padding, ("end", "both"))
        for name in ("filters", "strides", "dilation_rate"):
            check_count(name, locals()[name])
        if first_dilation_rate is not None:
            check_count("first_dilation_rate", first_dilation_rate)
        check_norm(norm, norm_momentum, norm_epsilon)
        check_conv(conv, padding, use_bias, activation)
        self.keep(locals())
        self.conv_layer: Any = None
        self.norm_layer: Any = None
        self.pools = kind == "avg_pool" and max(strides, dilation_rate) > 1
        self.new_channels = 0

    def build(self, input_shape: tuple) -> None:
        channels = self.expect(input_shape)
        if self.kind == "identity":
            self.new_channels = self.filters - channels
            if self.new_channels < 0:
                raise ValueError(
                    f'shortcut="identity" can add channels, not remove them: {channels} come in, {self.filters} go out. '
                    'Use shortcut="projection".'
                )
            return
        wide = self.kind == "projection_3x3" and max(self.strides, self.dilation_rate) > 1
        self.conv_layer = create_conv(
            self,
            "conv",
            channels,
            self.filters,
            3 if wide else 1,
            normalized=self.norm is not None,
            strides=1 if self.kind == "avg_pool" else self.strides,
            dilation_rate=(self.first_dilation_rate or self.dilation_rate) if wide else 1,
        )
        self.norm_layer = create_norm(self, "norm", self.filters)
        self.finish_build()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.leave(self.bring(self.enter(inputs), training))

    def bring(self, x: Any, training: bool | None) -> Any:
        """`call` for a block, whose data is in the inner format already."""
        if self.kind == "identity":
            return self._identity(x)
        if self.pools:
            if self.strides == 1:  # dilated: as timm has it, the zeros beyond the last row and column count
                first = self.inner_format == "channels_first"
                x = backend.pad(x, ((0, 0), (0, 0), (0, 1), (0, 1)) if first else ((0, 0), (0, 1), (0, 1), (0, 0)))
            x = backend.average_pool2d(x, (2, 2), (self.strides,) * 2, "valid" if self.strides == 1 else "same", self.inner_format)
        return conv_norm(x, self.conv_layer, self.norm_layer, training)

    def _identity(self, x: Any) -> Any:
        first = self.inner_format == "channels_first"
        if self.strides > 1:
            x = x[:, :, :: self.strides, :: self.strides] if first else x[:, :: self.strides, :: self.strides]
        if self.new_channels == 0:
            return x
        before = self.new_channels // 2 if self.zero_padding == "both" else 0
        pads = [(0, 0)] * 4
        pads[1 if first else 3] = (before, self.new_channels - before)
        return backend.pad(x, pads)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        windows, strides = (1, 1), (self.strides, self.strides)
        return backend.geometry.window_output_shape(input_shape, self.filters, windows, strides, "same", self.data_format)
