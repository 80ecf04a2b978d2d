"""The step of a classic U-Net on either way: maps are joined or pooled, and convolutions follow one another."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.backend import geometry, reference
from keras_resnet.layers.configured import ConfiguredLayer, check_choice, check_count, check_flag, check_number, check_odd, is_count
from keras_resnet.layers.conv_norm import conv_norm, create_conv_norm
from keras_resnet.layers.image_size import SizedLayer, check_image_size
from keras_resnet.layers.normalization import check_norm, check_pixels
from keras_resnet.layers.rematerialized import rematerialized


@keras.saving.register_keras_serializable("keras_resnet")
class ConvStack(SizedLayer, ConfiguredLayer):
    """Joins several maps, or takes one; pools it if asked to; then convolutions with norm and activation, one behind the other.

    ```
    x ---- + -- [max, /p] -- conv 3x3, f1, /s -- norm -- relu -- conv 3x3, f2 -- norm -- relu ... -- [dropout]
    skip --/
    ```

    Args:
        filters: channels of each convolution, such as `(64, 64)`.
        kernel_size: of each convolution, an odd number or one an axis.
        strides: of the first convolution, an integer or one an axis.
        pool: window and step of the maximum in front, an integer or one an axis; 1 for none.
        merge: how several inputs are joined: `"concat"`, in their order, or `"add"`.
        padding: `"same"`: by half the window on each side; `"valid"`: none, each 3x3 convolution takes two pixels off the map. Of several
            inputs the larger are then cut to the size of the last, at their middle.
        norm: `"batch"`, `"group"`, `"instance"`, `"layer"` or `None`.
        norm_momentum, norm_epsilon: of the norm.
        use_bias: of the convolutions; `None`: where there is no norm.
        activation: any Keras activation, by name or function, or `None`.
        dropout: share of the numbers behind the last activation that training sets to zero, from 0 to below 1.
        remat: whether training recomputes the convolutions, norms and activations in the backward pass: memory for time.
        minimum_size: the least side in pixels of a single input that the network behind it can take, where that pads nothing.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: one map or several, `(n, height, width, channels)` or `(n, depth, height, width, channels)`, or channels first.
    Output shape: the last of `filters` channels; a side is divided by `pool` and `strides`.

    Raises:
        ValueError: at an argument outside what is listed, and at maps that cannot be joined; in training at maps of one pixel behind
            `norm="instance"`, which leaves nothing of them.

    Source: Ronneberger et al. 2015, arXiv:1505.04597, figure 1; in three dimensions Cicek et al. 2016, arXiv:1606.06650.
    """

    takes_volumes = True

    def __init__(
        self,
        filters: Sequence[int],
        kernel_size: Any = 3,
        strides: Any = 1,
        pool: Any = 1,
        merge: str = "concat",
        padding: str = "same",
        norm: str | None = None,
        norm_momentum: float = 0.9,
        norm_epsilon: float = 1e-5,
        use_bias: bool | None = None,
        activation: Any = "relu",
        dropout: float = 0.0,
        remat: bool = False,
        minimum_size: int = 1,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not isinstance(filters, (tuple, list)) or not filters or not all(map(is_count, filters)):
            raise ValueError(f"`filters` must hold an integer of at least 1 for each convolution. Received: filters={filters!r}.")
        for name, value in (("kernel_size", kernel_size), ("strides", strides), ("pool", pool)):
            geometry.numbers(value, name, len(value) if isinstance(value, (tuple, list)) else 2, 1)
        if padding == "same":
            check_odd("kernel_size", kernel_size)
        check_choice("merge", merge, ("concat", "add"))
        check_choice("padding", padding, ("same", "valid"))
        check_norm(norm, norm_momentum, norm_epsilon)
        check_choice("use_bias", use_bias, (True, False, None))
        check_number("dropout", dropout, 0, 1)
        check_flag("remat", remat)
        check_count("minimum_size", minimum_size)
        self.keep(locals())
        self.drop: Any = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="drop") if dropout else None

    def build(self, input_shape: Any) -> None:
        shapes = input_shape if isinstance(input_shape[0], (tuple, list)) else [input_shape]
        counts = [self.expect(shape) for shape in shapes]
        if len(shapes) > 1:
            self.input_spec = None  # of several inputs Keras would ask for several
        if len({len(shape) for shape in shapes}) > 1 or (self.merge == "add" and len(set(counts)) > 1):
            raise ValueError(f"merge={self.merge!r} cannot join maps of the shapes {', '.join(map(str, shapes))}.")
        self.build_steps(counts[0] if self.merge == "add" else sum(counts))
        self.finish_build()

    def build_steps(self, channels: int) -> None:
        """Builds the convolutions with their norms."""
        self._steps: list = []
        for place, filters in enumerate(self.filters, start=1):
            self._steps.append(self.build_step(place, channels, filters))
            channels = filters

    def build_step(self, place: int, channels: int, filters: int) -> tuple[Any, Any]:
        """Convolution `place`, from 1, and its norm."""
        settings: dict = {} if self.use_bias is None else dict(use_bias=self.use_bias)
        if self.padding == "valid":
            settings["padding"] = "valid"
        if place == 1:
            settings["strides"] = self._numbers("strides")
        return create_conv_norm(self, str(place), channels, filters, self.kernel_size, **settings)

    def _numbers(self, name: str) -> geometry.Numbers:
        return geometry.numbers(getattr(self, name), name, self.spatial_dims, 1)

    def check_size(self, shape: tuple) -> None:
        """Raises where images of this shape, with the batch, are smaller than `minimum_size`."""
        check_image_size(shape, self.data_format, self.minimum_size, "use padding='same'")

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if self.padding == "valid":  # whose maps may be used up; each framework would say so in words of its own
            self.compute_output_shape([tuple(x.shape) for x in inputs] if isinstance(inputs, (tuple, list)) else tuple(inputs.shape))
        x = self._joined([self.enter(one) for one in inputs]) if isinstance(inputs, (tuple, list)) else self.enter(inputs)
        pool = self._numbers("pool")
        if max(pool) > 1:
            x = backend.max_pool(x, pool, pool, "valid", self.inner_format)
        x = rematerialized(self, lambda x: self.run_steps(x, True), x) if self.remat and training else self.run_steps(x, training)
        check_pixels(self, x, training)
        if training and self.drop is not None:
            x = self.drop.call(x, training=True)
        return self.leave(x)

    def run_steps(self, x: Any, training: bool | None) -> Any:
        """The convolutions, in the inner format."""
        for conv, norm in self._steps:
            x = conv_norm(x, conv, norm, training, self.activation)
        return x

    def _joined(self, maps: list) -> Any:
        if self.padding == "valid":
            maps = [self._middle(one, maps[-1]) for one in maps]
        if self.merge == "concat":
            return keras.ops.concatenate(maps, self.inner_channel_axis)
        total = maps[0]
        for one in maps[1:]:
            total = total + one
        return total

    def _middle(self, x: Any, like: Any) -> Any:
        """The middle of `x`, as large as `like`; of an odd surplus the far side loses more."""
        sizes, wanted = keras.ops.shape(x), keras.ops.shape(like)
        index: list = [slice(None)] * len(x.shape)
        for axis in reference.spatial_axes(self.inner_format, len(x.shape)):
            start = (sizes[axis] - wanted[axis]) // 2
            index[axis] = slice(start, start + wanted[axis])
        return x[tuple(index)]

    def compute_output_shape(self, input_shape: Any) -> tuple:
        shape = input_shape[-1] if isinstance(input_shape[0], (tuple, list)) else input_shape
        count = len(shape) - 2
        each = {name: geometry.numbers(getattr(self, name), name, count, 1) for name in ("pool", "strides", "kernel_size")}
        shape = geometry.window_output_shape(shape, None, each["pool"], each["pool"], "valid", self.data_format)
        padding: Any = "valid" if self.padding == "valid" else tuple(window // 2 for window in each["kernel_size"])
        for place, filters in enumerate(self.filters):
            strides = each["strides"] if place == 0 else (1,) * count
            shape = geometry.window_output_shape(shape, filters, each["kernel_size"], strides, padding, self.data_format)
        return shape

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> keras.KerasTensor:
        shapes = [x.shape for x in inputs] if isinstance(inputs, (tuple, list)) else inputs.shape
        return keras.KerasTensor(self.compute_output_shape(shapes), dtype=self.compute_dtype)
