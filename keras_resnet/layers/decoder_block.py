"""The step of a U-Net's way up: the map grows to the size of the encoder's, which is joined to it."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.backend import reference
from keras_resnet.layers.configured import ConfiguredLayer, check_choice, check_count, check_flag, check_number
from keras_resnet.layers.conv_norm import conv_norm, create_conv_norm
from keras_resnet.layers.normalization import check_norm
from keras_resnet.layers.scse import ScSE


@keras.saving.register_keras_serializable("keras_resnet")
class DecoderBlock(ConfiguredLayer):
    """Enlarges a map to the size of others, joins those to it, and makes of all one of `filters` channels.

    ```
    x -- enlarge -- + -- [scse] -- conv 3x3, f -- norm -- relu -- conv 3x3, f -- norm -- relu -- [scse]
    skip -----------/
    ```

    Args:
        filters: f, channels of the output.
        joins: whether the other inputs are joined; else only the size of the first of them counts.
        upsampling: `"nearest"` or `"bilinear"`. Any size will do: what was 33 pixels from 65 becomes 65 again.
        attention: `"scse"` or `None`.
        dropout: share of the channels behind the second activation that training sets to zero, from 0 to below 1.
        norm: `"batch"`, `"group"`, `"instance"`, `"layer"`, or `None`: no norm, and convolutions with a bias.
            `"layer"` goes over an image's channels and pixels together, so that flat regions are not stretched to the contrast of others.
        norm_momentum, norm_epsilon: of the norm.
        activation: any Keras activation, by name or function.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: two maps or more, `[(n, height, width, channels), (n, larger height, larger width, channels), ...]`, or channels first;
    those behind the first are of one size. Output shape: that of the second with `filters` channels.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Ronneberger et al. 2015, arXiv:1505.04597, as segmentation_models.pytorch builds it; scSE Roy et al. 2018, arXiv:1803.02579.
    """

    def __init__(
        self,
        filters: int,
        joins: bool = True,
        upsampling: str = "nearest",
        attention: str | None = None,
        dropout: float = 0.0,
        norm: str | None = "batch",
        norm_momentum: float = 0.9,
        norm_epsilon: float = 1e-5,
        activation: Any = "relu",
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_count("filters", filters)
        check_flag("joins", joins)
        check_decoder(upsampling, attention, dropout, norm, norm_momentum, norm_epsilon)
        self.keep(locals())
        drop = keras.layers.SpatialDropout2D(dropout, data_format=self.inner_format, dtype=self.dtype_policy, name="drop")
        self.drop: Any = drop if dropout else None

    def build(self, input_shape: Any) -> None:
        channels = sum(shape[self.channel_axis] for shape in (input_shape if self.joins else input_shape[:1]))
        self._attention: list = [None, None]
        for place in (1, 2):
            if self.attention is not None and (place == 2 or self.joins):
                gate = ScSE(data_format=self.inner_format, dtype=self.dtype_policy, name=f"attention{place}")
                self.build_child(gate, channels if place == 1 else self.filters)
                setattr(self, gate.name, gate)
                self._attention[place - 1] = gate
        self._steps: list = []
        for place in (1, 2):
            self._steps.append(create_conv_norm(self, str(place), channels, self.filters))
            channels = self.filters
        self.finish_build()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x, *others = (self.enter(one) for one in inputs)
        height, width = reference.spatial_axes(self.inner_format)
        shape = keras.ops.shape(others[0])
        x = backend.upsample2d(x, (shape[height], shape[width]), self.upsampling, self.inner_format)
        if self.joins:
            x = keras.ops.concatenate([x, *others], self.inner_channel_axis)
        before, behind = self._attention
        x = x if before is None else before.excite(x)
        for conv, norm in self._steps:
            x = conv_norm(x, conv, norm, training, self.activation)
        x = x if behind is None else behind.excite(x)
        if training and self.drop is not None:
            x = self.drop.call(x, training=True)
        return self.leave(x)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        shape = list(input_shape[1])
        shape[self.channel_axis] = self.filters
        return tuple(shape)

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape([x.shape for x in inputs]), dtype=self.compute_dtype)


def check_decoder(upsampling: Any, attention: Any, dropout: Any, norm: Any, momentum: Any, epsilon: Any) -> None:
    """Raises unless these are settings of a decoder block."""
    check_choice("upsampling", upsampling, ("nearest", "bilinear"))
    check_choice("attention", attention, ("scse", None))
    check_number("dropout", dropout, 0, 1)
    check_norm(norm, momentum, epsilon)
