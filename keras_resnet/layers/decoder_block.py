"""The step of a U-Net's way up: the map grows to the size of the encoder's, which is joined to it."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.backend import reference
from keras_resnet.layers.attention_gate import AttentionGate
from keras_resnet.layers.configured import ConfiguredLayer, check_choice, check_count, check_flag, check_number
from keras_resnet.layers.conv_norm import conv_norm, create_conv_norm
from keras_resnet.layers.convolution import Conv2D
from keras_resnet.layers.crop_to import cut
from keras_resnet.layers.enlarge import METHODS, Enlarge
from keras_resnet.layers.initializer import HeNormal
from keras_resnet.layers.normalization import check_norm
from keras_resnet.layers.scse import ScSE

LEARNED = ("transpose", "pixel_shuffle")


@keras.saving.register_keras_serializable("keras_resnet")
class DecoderBlock(ConfiguredLayer):
    """Enlarges a map to the size of others, joins those to it, and makes of all one of `filters` channels.

    ```
    x -- enlarge ------- join -- [scse] -- conv 3x3, f -- norm -- relu -- conv 3x3, f -- norm -- relu -- [scse]
    skip -- [gate] ------/
    ```

    Args:
        filters: f, channels of the output.
        joins: whether the other inputs are joined; else only the size of the first of them counts.
        strides: how many times as large the others are. An interpolation does not need it.
        upsampling: `"nearest"`, `"bilinear"`; or learned, `"transpose"` or `"pixel_shuffle"`, as in `layers.Enlarge`, to `filters`
            channels. Any size will do: what was 33 pixels from 65 becomes 65 again, of learned ones the last row is cut off.
        merge: `"concat"`, or `"add"`: a convolution 1x1 brings x to the others' channels, which are then to be equal, and all are summed.
        attention: `"scse"`; `"gate"`: each of the others is weighed by a `layers.AttentionGate` of half its channels; or `None`.
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
        strides: int = 2,
        upsampling: str = "nearest",
        merge: str = "concat",
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
        check_count("strides", strides)
        check_decoder(upsampling, merge, attention, dropout, norm, norm_momentum, norm_epsilon)
        self.keep(locals())
        drop = keras.layers.SpatialDropout2D(dropout, data_format=self.inner_format, dtype=self.dtype_policy, name="drop")
        self.drop: Any = drop if dropout else None

    def build(self, input_shape: Any) -> None:
        x, *others = (shape[self.channel_axis] for shape in input_shape)
        adds = self.merge == "add" and self.joins
        if adds and len(set(others)) > 1:
            raise ValueError(f'merge="add" takes maps of as many channels each. Received: {others} to be added.')
        self._gates: list = []
        self._attention: list = [None, None]
        self.enlarge: Any = None
        self.project: Any = None
        if self.upsampling in LEARNED and self.strides > 1:
            width = others[0] if adds else self.filters
            self.enlarge = self._child(Enlarge, "enlarge", x, filters=width, method=self.upsampling, strides=self.strides)
            x = width
        elif adds and x != others[0]:
            start = HeNormal(1.0, mode="fan_in")
            self.project = self._child(Conv2D, "project", x, filters=others[0], kernel_size=1, kernel_initializer=start)
        if self.attention == "gate" and self.joins:
            norm = dict(norm=self.norm, norm_momentum=self.norm_momentum, norm_epsilon=self.norm_epsilon)
            shape = (None, None, None, None)
            for place, skip in enumerate(others, start=1):
                gate = AttentionGate(max(skip // 2, 1), activation=self.activation, name=f"gate{place}", **norm, **self._form)
                maps = [self._with_channels(shape, channels) for channels in (skip, others[0] if adds else x)]
                gate.adapts_statistics = self.adapts_statistics
                gate.build(maps)
                setattr(self, gate.name, gate)
                self._gates.append(gate)
        channels = others[0] if adds else x + sum(others if self.joins else ())
        for place in (1, 2):
            if self.attention == "scse" and (place == 2 or self.joins):
                self._attention[place - 1] = self._child(ScSE, f"attention{place}", channels if place == 1 else self.filters)
        self._steps: list = []
        for place in (1, 2):
            self._steps.append(create_conv_norm(self, str(place), channels, self.filters))
            channels = self.filters
        self.finish_build()

    @property
    def _form(self) -> dict[str, Any]:
        return dict(data_format=self.inner_format, dtype=self.dtype_policy)

    def _child(self, kind: Any, name: str, channels: int, **settings: Any) -> Any:
        """A layer built for maps of that many channels, as an attribute."""
        child = kind(name=name, **settings, **self._form)
        self.build_child(child, channels)
        setattr(self, name, child)
        return child

    def _with_channels(self, shape: tuple, channels: int) -> tuple:
        return tuple(channels if axis == self.inner_channel_axis % 4 else size for axis, size in enumerate(shape))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x, *others = (self.enter(one) for one in inputs)
        (conv, norm), (last_conv, last_norm) = self._steps
        before, behind = self._attention
        plain = self.upsampling == "nearest" and before is None and not self._gates and not (self.joins and self.merge == "add")
        if plain and backend.doubling_pays(x, others, self.inner_format):
            x = conv_norm(x, conv, norm, training, self.activation, joined=others if self.joins else [])
        else:
            x = self._join(x, others, training)
            x = x if before is None else before.excite(x)
            x = conv_norm(x, conv, norm, training, self.activation)
        x = conv_norm(x, last_conv, last_norm, training, self.activation)
        x = x if behind is None else behind.excite(x)
        if training and self.drop is not None:
            x = self.drop.call(x, training=True)
        return self.leave(x)

    def _join(self, x: Any, others: list, training: bool | None) -> Any:
        """`x` at the size of the others, and joined with them."""
        height, width = reference.spatial_axes(self.inner_format)
        shape = keras.ops.shape(others[0])
        if self.enlarge is not None:
            x = cut(self.enlarge.call(x, training), shape, (height, width))
        else:
            x = x if self.project is None else backend.conv2d(x, *self.project.operands(), *self.project.settings())
            method = "nearest" if self.upsampling in LEARNED else self.upsampling  # at stride 1 nothing is to be learned
            x = backend.upsample2d(x, (shape[height], shape[width]), method, self.inner_format)
        if not self.joins:
            return x
        if self._gates:
            others = [gate.call([one, x], training) for gate, one in zip(self._gates, others, strict=True)]
        return sum(others, x) if self.merge == "add" else keras.ops.concatenate([x, *others], self.inner_channel_axis)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        shape = list(input_shape[1])
        shape[self.channel_axis] = self.filters
        return tuple(shape)


def check_decoder(upsampling: Any, merge: Any, attention: Any, dropout: Any, norm: Any, momentum: Any, epsilon: Any) -> None:
    """Raises unless these are settings of a decoder block."""
    check_choice("upsampling", upsampling, METHODS)
    check_choice("merge", merge, ("concat", "add"))
    check_choice("attention", attention, ("scse", "gate", None))
    check_number("dropout", dropout, 0, 1)
    check_norm(norm, momentum, epsilon)
