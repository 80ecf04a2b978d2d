"""What makes a map larger on the way up of a U-Net, in four ways."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.backend import geometry, reference
from keras_resnet.layers.configured import ConfiguredLayer, check_choice, check_count, check_flag, check_odd
from keras_resnet.layers.conv_norm import conv_norm, create_conv_norm
from keras_resnet.layers.conv_transpose import ConvTranspose
from keras_resnet.layers.initializer import HeNormal
from keras_resnet.layers.normalization import check_norm

METHODS = ("transpose", "nearest", "bilinear", "pixel_shuffle")


@keras.saving.register_keras_serializable("keras_resnet")
class Enlarge(ConfiguredLayer):
    """Makes images, or volumes, exactly `strides` times as large.

    ```
    "transpose"             x -- transposed conv s x s, f, *s
    "nearest", "bilinear"   x -- interpolation, *s -- [conv k x k, f -- norm -- relu]
    "pixel_shuffle"         x -- conv k x k, s*s*f -- each pixel's channels become s x s pixels of f
    ```

    Args:
        filters: f, or `None` for an interpolation that keeps the channels.
        method: one of the four above; `"bilinear"` weighs by the distance of the pixels' centres, in volumes along all three axes.
        strides: s, an integer or one an axis.
        kernel_size: k, an odd number, where there are filters; with `"pixel_shuffle"` too.
        norm, norm_momentum, norm_epsilon: of the norm behind an interpolation's convolution: `"batch"`, `"group"`, `"instance"`,
            `"layer"` or `None`.
        use_bias: whether convolutions have a bias; `None`: where no norm stands behind.
        activation: behind an interpolation's convolution, any Keras activation; the other methods have none.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: `(n, height, width, channels)`, `(n, depth, height, width, channels)`, or channels first.
    Output shape: `size * strides` pixels a side, f channels or the input's.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Ronneberger et al. 2015, arXiv:1505.04597; pixel shuffle Shi et al. 2016, arXiv:1609.05158, whose kernel starts as Aitken et
    al. 2017, arXiv:1707.02937, have it: all s*s pixels alike, so that there is no checkerboard at the start.
    """

    takes_volumes = True

    def __init__(
        self,
        filters: int | None = None,
        method: str = "transpose",
        strides: Any = 2,
        kernel_size: int = 3,
        norm: str | None = None,
        norm_momentum: float = 0.9,
        norm_epsilon: float = 1e-5,
        use_bias: bool | None = None,
        activation: Any = "relu",
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_choice("method", method, METHODS)
        if filters is not None or method in ("transpose", "pixel_shuffle"):
            check_count("filters", filters)
        geometry.numbers(strides, "strides", len(strides) if isinstance(strides, (tuple, list)) else 2, 1)
        check_odd("kernel_size", kernel_size)
        if use_bias is not None:
            check_flag("use_bias", use_bias)
        check_norm(norm, norm_momentum, norm_epsilon)
        self.keep(locals())
        self._transposed: Any = None
        self._step: Any = None

    def build(self, input_shape: tuple) -> None:
        channels = self.expect(input_shape)
        strides = geometry.numbers(self.strides, "strides", self.spatial_dims, 1)
        self._times = strides
        biased = True if self.use_bias is None else self.use_bias
        shared: dict = dict(data_format=self.inner_format, dtype=self.dtype_policy)
        if self.method == "transpose":
            self._transposed = self.conv1 = ConvTranspose(self.filters, strides, strides, biased, name="conv1", **shared)
            self.build_child(self.conv1, channels)
        elif self.filters is not None and self.method == "pixel_shuffle":
            self._build_shuffled(channels, biased)
        elif self.filters is not None:
            settings: dict = {} if self.use_bias is None else dict(use_bias=self.use_bias)
            self._step = create_conv_norm(self, "1", channels, self.filters, self.kernel_size, **settings)
        self.finish_build()

    def _build_shuffled(self, channels: int, biased: bool) -> None:
        count, filters = 1, self.filters
        for stride in self._times:
            count *= stride

        def alike(shape: tuple, dtype: Any = None) -> Any:
            return keras.ops.tile(HeNormal(1.0, mode="fan_in")((*shape[:-1], filters), dtype), (1,) * (len(shape) - 1) + (count,))

        settings: dict = dict(use_bias=biased, kernel_initializer=alike)
        self._step = create_conv_norm(self, "1", channels, count * filters, self.kernel_size, normalized=False, **settings)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = self.enter(inputs)
        if self._transposed is not None:
            return self.leave(backend.conv_transpose(x, *self._transposed.operands(), *self._transposed.settings()))
        if self.method == "pixel_shuffle":
            x = backend.turn(conv_norm(x, self.conv1, None, training), self.inner_format, "channels_last")
            return backend.turn(backend.depth_to_space(x, self._times), "channels_last", self.data_format)
        shape = keras.ops.shape(x)
        axes = reference.spatial_axes(self.inner_format, len(x.shape))
        sizes = tuple(shape[axis] * stride for axis, stride in zip(axes, self._times, strict=True))
        x = backend.upsample(x, sizes, self.method, self.inner_format)
        if self._step is None:
            return self.leave(x)
        conv, norm = self._step
        return self.leave(conv_norm(x, conv, norm, training, self.activation))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        strides = geometry.numbers(self.strides, "strides", len(input_shape) - 2, 1)
        shape = list(input_shape)
        for axis, stride in zip(reference.spatial_axes(self.data_format, len(shape)), strides, strict=True):
            shape[axis] = None if shape[axis] is None else shape[axis] * stride
        shape[self.channel_axis] = shape[self.channel_axis] if self.filters is None else self.filters
        return tuple(shape)
