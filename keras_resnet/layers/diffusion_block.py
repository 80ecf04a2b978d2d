"""The residual block of diffusion networks: two convolutions, and between them what the network knows of time and class."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.layers.configured import ConfiguredLayer, check_choice, check_count, check_flag, check_number
from keras_resnet.layers.conv_norm import conv_norm, norm_activation
from keras_resnet.layers.convolution import Conv2D
from keras_resnet.layers.dense_layer import joined
from keras_resnet.layers.normalization import check_norm, create_norm
from keras_resnet.layers.projection import project
from keras_resnet.layers.timestep_embedding import NEAR_ZERO, diffusion_start
from keras_resnet.layers.upsample_conv import doubled


@keras.saving.register_keras_serializable("keras_resnet")
class DiffusionBlock(ConfiguredLayer):
    """A pre-activation residual block that a vector, the embedding of time and class, acts on.

    ```
    x -- norm -- silu -- [resample] -- conv 3x3, f -- + -- norm -- silu -- dropout -- conv 3x3, f -- + --
     \\                             embedding -- silu -- dense, f                                  /
      \\----------------- [resample] -- [conv 1x1, f, where the channels change] -----------------/
    ```

    With `scale_shift` the dense layer gives 2 f numbers, s and b, and instead of the sum there is `norm(y) * (1 + s) + b`.

    Args:
        filters: f, channels of the output.
        resample: `"up"` (each pixel twice along both axes), `"down"` (means of 2x2 pixels), or `None`.
        scale_shift: whether the embedding scales and shifts what the second norm gives, or is added in front of it.
        dropout: share of the numbers in front of the last convolution that training sets to zero, from 0 to below 1.
        norm: `"batch"`, `"group"`, `"instance"`, `"layer"`, or `None`.
        norm_momentum, norm_epsilon: of the norms.
        activation: any Keras activation, by name or function.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    The last convolution starts near zero, so that a fresh block gives its shortcut.

    Input shape: `[(n, height, width, channels), ..., (n, units)]`, or channels first: one map or more of one size, which are joined, and
    the embedding. Output shape: `(n, height, width, filters)`, the size doubled or halved by `resample`.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Ho et al. 2020, arXiv:2006.11239, appendix B; scale and shift Nichol and Dhariwal 2021, arXiv:2102.09672; resampling inside
    Dhariwal and Nichol 2021, arXiv:2105.05233.
    """

    def __init__(
        self,
        filters: int,
        resample: str | None = None,
        scale_shift: bool = False,
        dropout: float = 0.0,
        norm: str | None = "group",
        norm_momentum: float = 0.9,
        norm_epsilon: float = 1e-6,
        activation: Any = "silu",
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_count("filters", filters)
        check_choice("resample", resample, ("up", "down", None))
        check_flag("scale_shift", scale_shift)
        check_number("dropout", dropout, 0, 1)
        check_norm(norm, norm_momentum, norm_epsilon)
        self.keep(locals())
        self.drop: Any = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="drop") if dropout else None

    def build(self, input_shape: Any) -> None:
        *maps, vector = input_shape
        if not maps or len(vector) != 2 or any(len(shape) != 4 for shape in maps):
            raise ValueError(f"{type(self).__name__} takes a list of maps and, last, an embedding (n, units). Received: {input_shape}.")
        channels = sum(shape[self.channel_axis] for shape in maps)
        self.norm1 = create_norm(self, "norm1", channels)
        self.conv1 = self._conv("conv1", channels, 3)
        self.dense = keras.layers.Dense(
            self.filters * (2 if self.scale_shift else 1), kernel_initializer=diffusion_start(), dtype=self.dtype_policy, name="dense"
        )
        self.dense.build((None, vector[-1]))
        self.norm2 = create_norm(self, "norm2", self.filters)
        self.conv2 = self._conv("conv2", self.filters, 3, NEAR_ZERO)
        self.shortcut = self._conv("shortcut", channels, 1) if channels != self.filters else None
        self.finish_build()

    def _conv(self, name: str, channels: int, kernel_size: int, scale: float = 1.0) -> Conv2D:
        conv = Conv2D(
            self.filters,
            kernel_size,
            padding=kernel_size // 2,
            kernel_initializer=diffusion_start(scale),
            data_format=self.inner_format,
            dtype=self.dtype_policy,
            name=name,
        )
        self.build_child(conv, channels)
        return conv

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        *maps, vector = inputs
        x = joined([self.enter(one) for one in maps], self.inner_channel_axis)
        y = norm_activation(x, self.norm1, training, self.activation)
        y, x = self._resampled(y), self._resampled(x)
        y = conv_norm(y, self.conv1, None, training)
        acts = project(self.activation(keras.ops.cast(vector, self.compute_dtype)), self.dense)
        acts = keras.ops.expand_dims(acts, (2, 3) if self.inner_channel_axis == 1 else (1, 2))
        if self.scale_shift:
            scale, shift = keras.ops.split(acts, 2, axis=self.inner_channel_axis)
            y = self.activation(norm_activation(y, self.norm2, training, keras.activations.linear) * (1 + scale) + shift)
        else:
            y = norm_activation(y + acts, self.norm2, training, self.activation)
        if training and self.drop is not None:
            y = self.drop.call(y, training=True)
        x = x if self.shortcut is None else conv_norm(x, self.shortcut, None, training)
        return self.leave(conv_norm(y, self.conv2, None, training, add=x))

    def _resampled(self, x: Any) -> Any:
        if self.resample is None:
            return x
        if self.resample == "up":
            return doubled(x, self.inner_format)
        return backend.average_pool2d(x, (2, 2), (2, 2), "valid", self.inner_format)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        change = {"up": lambda size: 2 * size, "down": lambda size: size // 2, None: lambda size: size}[self.resample]
        first = input_shape[0]
        shape = [None if size is None else change(size) for size in first]
        shape[0], shape[self.channel_axis] = first[0], self.filters
        return tuple(shape)
