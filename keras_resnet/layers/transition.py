"""What stands between two dense blocks: fewer channels, half the size."""

import math
from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.layers.configured import ConfiguredLayer, check_choice, check_count, check_flag, check_number
from keras_resnet.layers.conv_norm import conv_norm, norm_activation
from keras_resnet.layers.convolution import Conv2D
from keras_resnet.layers.dense_layer import check_start
from keras_resnet.layers.initializer import HeNormal
from keras_resnet.layers.normalization import check_norm, create_norm
from keras_resnet.layers.rematerialized import rematerialized


@keras.saving.register_keras_serializable("keras_resnet")
class Transition(ConfiguredLayer):
    """Compresses the channels and halves the map.

    ```
    x -- norm -- relu -- conv 1x1, compression * channels -- mean 2x2, /2
    ```

    Args:
        compression: share of the channels that go on, above 0 and up to 1; rounded down.
        filters: how many channels go on instead, or `None`.
        strides: 2, or 1 to keep the size; the mean is over 2x2 pixels all the same, so that every second one is what strides would give.
        dilation_rate: with strides 1, how far apart those pixels are: the dilation of the block before.
        dropout: share of the numbers behind the convolution that training sets to zero, from 0 to below 1.
        normalizes: whether the norm and its activation are part of it; else they were a layer of their own in front, a `NormActivation`.
        norm: `"batch"`, `"group"`, `"instance"`, `"layer"`, or `None`: no norm, and a convolution with a bias.
            `"layer"` goes over an image's channels and pixels together, so that flat regions are not stretched to the contrast of others.
        norm_momentum, norm_epsilon: of the norm.
        activation: any Keras activation, by name or function.
        pool: `"mean"`, or `"max"`, with strides 2: the largest of 2x2 pixels, where of an odd map the last row and column count, too.
        remat: whether training recomputes everything between input and output in the backward pass: memory for time.
        use_bias, distribution: as in `layers.DenseLayer`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: `(n, height, width, channels)`, or channels first.
    Output shape: the compressed channels, `size // strides` pixels a side, with `"max"` rounded up.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Huang et al. 2016, arXiv:1608.06993, section 3; with the maximum Jegou et al. 2017, arXiv:1611.09326, table 1.
    """

    def __init__(
        self,
        compression: float = 0.5,
        filters: int | None = None,
        strides: int = 2,
        dilation_rate: int = 1,
        dropout: float = 0.0,
        normalizes: bool = True,
        norm: str | None = "batch",
        norm_momentum: float = 0.9,
        norm_epsilon: float = 1e-5,
        activation: Any = "relu",
        pool: str = "mean",
        remat: bool = False,
        use_bias: bool | None = None,
        distribution: str = "untruncated_normal",
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_compression(compression)
        check_choice("strides", strides, (1, 2))
        if filters is not None:
            check_count("filters", filters)
        check_count("dilation_rate", dilation_rate)
        check_number("dropout", dropout, 0, 1)
        check_flag("normalizes", normalizes)
        check_choice("pool", pool, ("mean", "max"))
        if pool == "max" and strides != 2:
            raise ValueError(f"pool='max' goes with strides=2. Received: strides={strides}.")
        check_flag("remat", remat)
        check_start(use_bias, distribution)
        check_norm(norm, norm_momentum, norm_epsilon)
        self.keep(locals())
        self.drop: Any = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="drop") if dropout else None

    def build(self, input_shape: tuple) -> None:
        channels = self.expect(input_shape)
        if self._filters(channels) == 0:
            raise ValueError(f"`compression` leaves none of {channels} channels. Received: compression={self.compression!r}.")
        self.norm_layer = create_norm(self, "norm", channels) if self.normalizes else None
        self.conv = Conv2D(
            self._filters(channels),
            1,
            use_bias=self.norm is None if self.use_bias is None else self.use_bias,
            # As in torchvision; by the fan-out the sums would explode.
            kernel_initializer=HeNormal(mode="fan_in", distribution=self.distribution),
            data_format=self.inner_format,
            dtype=self.dtype_policy,
            name="conv",
        )
        self.build_child(self.conv, channels)
        self.finish_build()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = self.enter(inputs)
        if self.remat and training:
            return self.leave(rematerialized(self, lambda x: self._forward(x, training=True), x))
        return self.leave(self._forward(x, training))

    def _forward(self, y: Any, training: bool | None) -> Any:
        if self.normalizes:
            y = norm_activation(y, self.norm_layer, training, self.activation)
        y = conv_norm(y, self.conv, None, training)
        if training and self.drop is not None:
            y = self.drop.call(y, training=True)
        if self.pool == "max":
            return backend.max_pool2d(y, (2, 2), (2, 2), "same", self.inner_format)
        if self.strides == 2:
            return backend.average_pool2d(y, (2, 2), (2, 2), "valid", self.inner_format)
        for axis in (2, 3) if self.inner_format == "channels_first" else (1, 2):
            y = (y + self._ahead(y, axis)) / 2
        return y

    def _ahead(self, y: Any, axis: int) -> Any:
        """Each pixel's neighbour along an axis, `dilation_rate` further on; at the edge, where there is none, the pixel itself."""
        whole = [slice(None)] * axis
        rate = self.dilation_rate
        return keras.ops.concatenate([y[(*whole, slice(rate, None))], y[(*whole, slice(-rate, None))]], axis)

    def _filters(self, channels: int) -> int:
        return math.floor(self.compression * channels) if self.filters is None else self.filters

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        filters = self._filters(input_shape[self.channel_axis])
        strides = (self.strides, self.strides)
        padding = "same" if self.pool == "max" else "valid"
        return backend.geometry.window_output_shape(input_shape, filters, strides, strides, padding, self.data_format)


def check_compression(compression: Any) -> None:
    """Raises unless `compression` is a number above 0 and up to 1."""
    number = isinstance(compression, (int, float)) and not isinstance(compression, bool)
    if not (number and 0 < compression <= 1):
        raise ValueError(f"`compression` must be a number above 0 and up to 1. Received: compression={compression!r}.")
