"""The first convolutions of a network, with their norms and activations."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet.backend import geometry
from keras_resnet.layers.configured import ConfiguredLayer, check_count, check_flag, is_count
from keras_resnet.layers.conv_kinds import check_conv, create_conv
from keras_resnet.layers.conv_norm import conv_norm
from keras_resnet.layers.image_size import SizedLayer, check_image_size
from keras_resnet.layers.normalization import check_norm, create_norm


@keras.saving.register_keras_serializable("keras_resnet")
class Stem(SizedLayer, ConfiguredLayer):
    """Convolution, norm and activation in front of the first stage; a deep stem has three 3x3 convolutions.

    ```
    x -- conv 7x7, 64, /2 -- norm -- relu
    x -- conv 3x3, 32, /2 -- norm -- relu -- conv 3x3, 32 -- norm -- relu -- conv 3x3, 64 -- norm -- relu      deep=(32, 32)
    ```

    Args:
        filters: output channels.
        kernel_size: window in pixels, odd.
        strides: step in pixels, of the first convolution.
        deep: channels of the convolutions in front of the last one, such as `(32, 32)`; `None` for none.
        preactivation: whether the last convolution stands bare, because the first block begins with a norm.
        norm: `"batch"`, `"group"`, `"instance"`, `"layer"`, or `None`: a bias instead.
            `"layer"` goes over an image's channels and pixels together, so that flat regions are not stretched to the contrast of others.
        norm_momentum, norm_epsilon: of the norm.
        activation: any Keras activation, or `None`.
        conv, padding, use_bias: as in `Residual`.
        minimum_size: the least height and width in pixels that the network behind it can take.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: `(n, height, width, channels)`, or channels first. Output shape: `filters` channels, `ceil(size / strides)` pixels a side.

    Raises:
        ValueError: for an image below `minimum_size`.

    Source: He et al. 2015, arXiv:1512.03385, table 1 (7x7, /2) and section 4.2 (3x3, CIFAR); deep He et al. 2018, arXiv:1812.01187,
    figure 2b.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 7,
        strides: int = 2,
        deep: Sequence[int] | None = None,
        preactivation: bool = False,
        norm: str | None = "batch",
        norm_momentum: float = 0.9,
        norm_epsilon: float = 1e-5,
        activation: Any = "relu",
        conv: str = "plain",
        padding: str = "symmetric",
        use_bias: bool | str | None = None,
        minimum_size: int = 1,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_norm(norm, norm_momentum, norm_epsilon)
        check_conv(conv, padding, use_bias, activation)
        check_flag("preactivation", preactivation)
        for name in ("filters", "kernel_size", "strides", "minimum_size"):
            check_count(name, locals()[name])
        if kernel_size % 2 == 0:
            raise ValueError(f"`kernel_size` must be odd, so that the padding is symmetric. Received: kernel_size={kernel_size}.")
        if deep is not None and not (isinstance(deep, (tuple, list)) and deep and all(map(is_count, deep))):
            raise ValueError(
                f"`deep` must be None or hold an integer of at least 1 for each convolution before the last. Received: {deep=}."
            )
        self.keep(locals())

    def build(self, input_shape: tuple) -> None:
        channels = self.expect(input_shape)
        self._steps: list = []
        widths = (*(self.deep or ()), self.filters)
        for place, width in enumerate(widths, start=1):
            last = place == len(widths)
            normalized = self.norm is not None and not (last and self.preactivation)
            conv = create_conv(
                self,
                "conv" if last else f"conv{place}",
                channels,
                width,
                self.kernel_size,
                normalized=normalized,
                strides=self.strides if place == 1 else 1,
            )
            norm = create_norm(self, "norm" if last else f"norm{place}", width) if normalized else None
            # As attributes the children get their names in files.
            setattr(self, "conv_layer" if last else f"conv{place}", conv)
            setattr(self, "norm_layer" if last else f"norm{place}", norm)
            self._steps.append((conv, norm, None if last and self.preactivation else self.activation))
            channels = width
        self.finish_build()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        self.check_size(inputs.shape)
        x = self.enter(inputs)
        for conv, norm, activation in self._steps:
            x = conv_norm(x, conv, norm, training, activation)
        return self.leave(x)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        self.check_size(input_shape)
        strides = (self.strides,) * 2
        return geometry.window_output_shape(input_shape, self.filters, (1, 1), strides, "same", self.data_format)

    def check_size(self, shape: tuple) -> None:
        """Raises where images of this shape, with the batch, are smaller than `minimum_size`."""
        check_image_size(shape, self.data_format, self.minimum_size)
