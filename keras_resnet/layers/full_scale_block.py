"""The step of UNet 3+'s way up: maps of every scale, brought to one size and joined."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.backend import reference
from keras_resnet.layers.configured import ConfiguredLayer, check_choice, check_count, check_flag
from keras_resnet.layers.conv_norm import norm_activation
from keras_resnet.layers.conv_stack import ConvStack
from keras_resnet.layers.normalization import check_norm
from keras_resnet.layers.rematerialized import rematerialized

UPSAMPLINGS = ("nearest", "bilinear")
PART = 4  # times `filters`: how many channels are enlarged at a time where memory counts


@keras.saving.register_keras_serializable("keras_resnet")
class FullScaleBlock(ConfiguredLayer):
    """Joins maps of all scales at the size of one of them: larger ones by their maxima, smaller ones enlarged.

    ```
    larger ---- max 2x2, /2 ... -- conv 3x3, f -- norm -- relu --\\
    own ---------------------------conv 3x3, f -- norm -- relu ---+-- conv 3x3, n*f -- norm -- relu
    smaller --- enlarge ---------- conv 3x3, f -- norm -- relu --/
    ```

    Args:
        filters: f, channels that each of the n maps is brought to.
        place: which of the maps has the size of the output, from 1; those in front of it are larger.
        upsampling: `"bilinear"` or `"nearest"`. Any size will do: what was 33 pixels from 65 becomes 65 again.
        norm, norm_momentum, norm_epsilon, activation: as in `layers.DecoderBlock`.
        use_bias: whether the convolutions have a bias, `None` where there is no norm.
        remat: whether training recomputes what is inside in the backward pass, one map after the other: memory for time. Statistics are
            moved once.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: n maps, `[(n, height, width, channels), ...]`, or channels first, each side half of that before, rounded up.
    Output shape: that of map `place` with `n * filters` channels.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Huang et al. 2020, arXiv:2004.08790, section 2.1 and figure 2. Where sides are odd, the authors' maps do not meet; ours do.
    """

    def __init__(
        self,
        filters: int,
        place: int,
        upsampling: str = "bilinear",
        norm: str | None = "batch",
        norm_momentum: float = 0.9,
        norm_epsilon: float = 1e-5,
        activation: Any = "relu",
        use_bias: bool | None = None,
        remat: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_count("filters", filters)
        check_count("place", place)
        check_choice("upsampling", upsampling, UPSAMPLINGS)
        check_norm(norm, norm_momentum, norm_epsilon)
        check_choice("use_bias", use_bias, (True, False, None))
        check_flag("remat", remat)
        self.keep(locals())

    def build(self, input_shape: Any) -> None:
        if not isinstance(input_shape[0], (tuple, list)) or self.place > len(input_shape):
            raise ValueError(f"FullScaleBlock(place={self.place}) takes a list of that many maps or more. Received: shape={input_shape}.")
        channels, specs = [], []
        for shape in input_shape:
            channels.append(self.expect(shape))
            specs.append(self.input_spec)
        self.input_spec = specs
        # As attributes the children get their names in files: branch1, ..., fuse.
        self._branches = [self._conv(f"branch{i}", self.filters, entering) for i, entering in enumerate(channels, start=1)]
        self.fuse = self._conv("fuse", len(channels) * self.filters, len(channels) * self.filters)
        self.finish_build()

    def _conv(self, name: str, filters: int, channels: int) -> ConvStack:
        child = ConvStack(
            (filters,),
            norm=self.norm,
            norm_momentum=self.norm_momentum,
            norm_epsilon=self.norm_epsilon,
            activation=self.activation,
            use_bias=self.use_bias,
            data_format=self.inner_format,
            dtype=self.dtype_policy,
            name=name,
        )
        self.build_child(child, channels)
        setattr(self, name, child)
        return child

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        maps = [self.enter(x) for x in inputs]
        if self.remat and training:
            return self.leave(rematerialized(self, lambda *maps: self._forward(maps, training=True), *maps))
        return self.leave(self._forward(maps, training))

    def _forward(self, maps: Sequence, training: bool | None) -> Any:
        own = maps[self.place - 1]
        joined = [self._branch(number, x, own, training) for number, x in enumerate(maps, start=1)]
        return self.fuse.call(keras.ops.concatenate(joined, self.inner_channel_axis), training)

    def _branch(self, number: int, x: Any, own: Any, training: bool | None) -> Any:
        """A map at the size of `own`, convolved."""
        branch = self._branches[number - 1]
        if not (self.remat and training):
            return branch.call(self._resized(number, x, own), training)
        wide = number > self.place and x.shape[self.inner_channel_axis] > PART * self.filters

        def run(x: Any, own: Any) -> Any:
            if not wide:
                return branch.call(self._resized(number, x, own), training)
            return norm_activation(self._in_parts(number, x, own), branch.norm1, training, self.activation)

        return rematerialized(branch, run, x, own)

    def _in_parts(self, number: int, x: Any, own: Any) -> Any:
        """The convolution of an enlarged map as a sum over parts of its channels, each of which is enlarged, and recomputed, by itself.

        In UNet 3+ the deepest map has 1024 channels, which at full size would be larger than all else that is kept.
        """
        conv = self._branches[number - 1].conv1
        kernel, bias = conv.operands()

        def convolve(x: Any, own: Any, kernel: Any) -> Any:
            return backend.conv(self._resized(number, x, own), kernel, None, *conv.settings())

        axis, width = self.inner_channel_axis % 4, PART * self.filters
        total: Any = None
        for start in range(0, x.shape[axis], width):
            part = x[(*[slice(None)] * axis, slice(start, start + width))]
            y = backend.remat(convolve)(part, own, kernel[:, :, start : start + width])
            total = y if total is None else total + y
        return total if bias is None else total + reference.channel_shape(keras.ops.cast(bias, total.dtype), 4, axis)

    def _resized(self, number: int, x: Any, own: Any) -> Any:
        if number > self.place:
            height, width = reference.spatial_axes(self.inner_format)
            shape = keras.ops.shape(own)
            return backend.upsample2d(x, (shape[height], shape[width]), self.upsampling, self.inner_format)
        for _ in range(self.place - number):  # one halving after the other, so that an odd side is rounded up as on the way down
            x = backend.max_pool2d(x, (2, 2), (2, 2), "same", self.inner_format)
        return x

    def compute_output_shape(self, input_shape: Any) -> tuple:
        shape = list(input_shape[self.place - 1])
        shape[self.channel_axis] = len(input_shape) * self.filters
        return tuple(shape)
