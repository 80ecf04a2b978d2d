"""A convolution taken apart: one over the map for each channel, and one over the channels for each pixel."""

from typing import Any

import keras

from keras_resnet.layers.configured import ConfiguredLayer, check_count
from keras_resnet.layers.conv_norm import conv_norm, create_conv_norm
from keras_resnet.layers.convolution import Conv2D
from keras_resnet.layers.initializer import HeNormal
from keras_resnet.layers.normalization import check_norm


@keras.saving.register_keras_serializable("keras_resnet")
class SeparableConvNorm(ConfiguredLayer):
    """A depthwise convolution, a pointwise one, and the norm and activation behind both.

    ```
    x -- conv 3x3, depthwise, dilation d -- conv 1x1, f -- norm -- relu
    ```

    Args:
        filters: f, channels of the output.
        dilation_rate: d, in pixels.
        norm: `"batch"`, `"group"`, `"instance"`, `"layer"`, or `None`: a bias in the pointwise convolution instead.
        norm_momentum, norm_epsilon: of the norm.
        activation: any Keras activation, or `None`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: `(n, height, width, channels)`, or channels first. Output shape: the same with `filters` channels.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Chollet 2017, arXiv:1610.02357; in this order, with the norm behind both, as in DeepLabV3+ (Chen et al. 2018, arXiv:1802.02611)
    by segmentation_models.pytorch.
    """

    def __init__(
        self,
        filters: int,
        dilation_rate: int = 1,
        norm: str | None = "batch",
        norm_momentum: float = 0.9,
        norm_epsilon: float = 1e-5,
        activation: Any = "relu",
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_count("filters", filters)
        check_count("dilation_rate", dilation_rate)
        check_norm(norm, norm_momentum, norm_epsilon)
        self.keep(locals())

    def build(self, input_shape: tuple) -> None:
        channels = self.expect(input_shape)
        self.depthwise = Conv2D(
            channels,
            3,
            padding=self.dilation_rate,
            dilation_rate=self.dilation_rate,
            groups=channels,
            use_bias=False,
            kernel_initializer=HeNormal(mode="fan_in"),
            data_format=self.inner_format,
            dtype=self.dtype_policy,
            name="depthwise",
        )
        self.build_child(self.depthwise, channels)
        self._pointwise = create_conv_norm(self, "", channels, self.filters, 1)
        self.finish_build()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.leave(self.run(self.enter(inputs), training))

    def run(self, x: Any, training: bool | None) -> Any:
        """`call` for a block, whose data is in the inner format already."""
        return conv_norm(conv_norm(x, self.depthwise, None, training), *self._pointwise, training, self.activation)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        shape = list(input_shape)
        shape[self.channel_axis] = self.filters
        return tuple(shape)
