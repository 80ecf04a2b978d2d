"""Atrous spatial pyramid pooling: one map seen through windows of several sizes, and as a whole."""

import functools
from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet.backend import reference
from keras_resnet.layers.configured import ConfiguredLayer, check_count, check_number, is_count
from keras_resnet.layers.conv_norm import conv_norm, create_conv_norm
from keras_resnet.layers.normalization import check_norm
from keras_resnet.layers.separable_conv import SeparableConvNorm


@keras.saving.register_keras_serializable("keras_resnet")
class AtrousPyramid(ConfiguredLayer):
    """Joins a pixel's own features with those of its surroundings near and far, and with the mean of the map.

    ```
    x -- conv 1x1, f -- norm -- relu ------------------ concat -- conv 1x1, f -- norm -- relu -- [dropout]
     |-- separable conv 3x3, f, dilation r1, r2, r3 -----/
     \\-- mean over the map -- conv 1x1, f -- norm -- relu
    ```

    Args:
        filters: f.
        rates: dilation of each separable convolution, in pixels of the map.
        dropout: share of numbers that training sets to zero, from 0 to below 1.
        norm: `"batch"`, `"group"`, `"instance"`, `"layer"`, or `None`: no norm, and convolutions with a bias. That of the mean has one
            number a channel and image: `"instance"` makes it 0, `"group"` wants several channels a group (`filters` from 128 on), and
            `"batch"` takes its moving statistics, and leaves them as they are, where a batch is one image.
        norm_momentum, norm_epsilon: of the norm.
        activation: any Keras activation, by name or function.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: `(n, height, width, channels)`, or channels first. Output shape: the same with `filters` channels.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Chen et al. 2017, arXiv:1706.05587, figure 5; separable Chen et al. 2018, arXiv:1802.02611.
    """

    def __init__(
        self,
        filters: int = 256,
        rates: Sequence[int] = (12, 24, 36),
        dropout: float = 0.5,
        norm: str | None = "batch",
        norm_momentum: float = 0.9,
        norm_epsilon: float = 1e-5,
        activation: Any = "relu",
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_count("filters", filters)
        if not isinstance(rates, (tuple, list)) or not rates or not all(map(is_count, rates)):
            raise ValueError(f"`rates` must hold an integer of at least 1 for each dilated convolution. Received: rates={rates!r}.")
        check_number("dropout", dropout, 0, 1)
        check_norm(norm, norm_momentum, norm_epsilon)
        self.keep(locals())
        self.drop: Any = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="drop") if dropout else None

    def build(self, input_shape: tuple) -> None:
        channels = self.expect(input_shape)
        self._near = create_conv_norm(self, "_near", channels, self.filters, 1)
        names = ("norm", "norm_momentum", "norm_epsilon", "activation")
        shared: dict = {name: getattr(self, name) for name in names} | dict(data_format=self.inner_format, dtype=self.dtype_policy)
        self._far: list = []
        for place, rate in enumerate(self.rates, start=1):
            far = SeparableConvNorm(self.filters, rate, name=f"far{place}", **shared)
            self.build_child(far, channels)
            setattr(self, far.name, far)
            self._far.append(far)
        self._whole = create_conv_norm(self, "_whole", channels, self.filters, 1)
        self._join = create_conv_norm(self, "_join", self.filters * (2 + len(self.rates)), self.filters, 1)
        self.finish_build()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = self.enter(inputs)
        whole = self._seen_whole(keras.ops.mean(x, reference.spatial_axes(self.inner_format), keepdims=True), training)
        near = conv_norm(x, *self._near, training, self.activation)
        parts = [near, *(far.run(x, training) for far in self._far), keras.ops.broadcast_to(whole, keras.ops.shape(near))]
        y = conv_norm(keras.ops.concatenate(parts, self.inner_channel_axis), *self._join, training, self.activation)
        if training and self.drop is not None:
            y = self.drop.call(y, training=True)
        return self.leave(y)

    def _seen_whole(self, mean: Any, training: bool | None) -> Any:
        """What is made of the map's mean; of one image there is no variance to learn: it would go to 0."""
        count = keras.ops.shape(mean)[0]
        if not training or self.norm != "batch":
            return conv_norm(mean, *self._whole, training, self.activation)
        if isinstance(count, int):
            return conv_norm(mean, *self._whole, count > 1, self.activation)
        ways = [functools.partial(conv_norm, mean, *self._whole, moves, self.activation) for moves in (True, False)]
        return keras.ops.cond(count > 1, *ways)  # on TensorFlow, whose data sets need not know

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        shape = list(input_shape)
        shape[self.channel_axis] = self.filters
        return tuple(shape)
