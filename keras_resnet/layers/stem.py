"""The first convolution of a network, with its norm and activation."""

from typing import Any

import keras

from keras_resnet.backend import geometry
from keras_resnet.layers.configured import ConfiguredLayer, check_count
from keras_resnet.layers.conv_norm import conv_norm
from keras_resnet.layers.convolution import Conv2D
from keras_resnet.layers.initializer import HeNormal
from keras_resnet.layers.normalization import check_norm, create_norm


@keras.saving.register_keras_serializable("keras_resnet")
class Stem(ConfiguredLayer):
    """Convolution, norm and activation in front of the first stage.

    ```
    x -- conv 7x7, 64, /2 -- norm -- relu
    ```

    Args:
        filters: output channels.
        kernel_size: window in pixels, odd.
        strides: step in pixels.
        norm: `"batch"`, `"group"`, or `None`: a bias instead.
        norm_momentum, norm_epsilon: of the norm.
        activation: any Keras activation, or `None`.
        minimum_size: the least height and width in pixels that the network behind it can take.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: `(n, height, width, channels)`, or channels first. Output shape: `filters` channels, `ceil(size / strides)` pixels a side.

    Raises:
        ValueError: for an image below `minimum_size`.

    Source: He et al. 2015, arXiv:1512.03385, table 1 (7x7, /2) and section 4.2 (3x3, CIFAR).
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 7,
        strides: int = 2,
        norm: str | None = "batch",
        norm_momentum: float = 0.9,
        norm_epsilon: float = 1e-5,
        activation: Any = "relu",
        minimum_size: int = 1,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_norm(norm, norm_momentum, norm_epsilon)
        for name in ("filters", "kernel_size", "strides", "minimum_size"):
            check_count(name, locals()[name])
        if kernel_size % 2 == 0:
            raise ValueError(f"`kernel_size` must be odd, so that the padding is symmetric. Received: kernel_size={kernel_size}.")
        self.keep(locals())

    def build(self, input_shape: tuple) -> None:
        channels = self.expect(input_shape)
        self.conv = Conv2D(
            self.filters,
            self.kernel_size,
            self.strides,
            padding=self.kernel_size // 2,
            use_bias=self.norm is None,
            kernel_initializer=HeNormal(),
            data_format=self.inner_format,
            dtype=self.dtype_policy,
            name="conv",
        )
        self.build_child(self.conv, channels)
        self.norm_layer = create_norm(self, "norm", self.filters)
        self.finish_build()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        self.check_size(inputs.shape)
        return self.leave(conv_norm(self.enter(inputs), self.conv, self.norm_layer, training, self.activation))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        self.check_size(input_shape)
        windows, strides = (self.kernel_size,) * 2, (self.strides,) * 2
        padding = (self.kernel_size // 2,) * 2
        return geometry.window_output_shape(input_shape, self.filters, windows, strides, padding, self.data_format)

    def check_size(self, shape: tuple) -> None:
        """Raises where images of this shape, with the batch, are smaller than `minimum_size`."""
        sizes = tuple(shape[2:4]) if self.data_format == "channels_first" else tuple(shape[1:3])
        if any(isinstance(size, int) and size < self.minimum_size for size in sizes):
            raise ValueError(
                f"Images of {sizes[0]}x{sizes[1]} pixels ({self.data_format}) are too small: this network takes "
                f"{self.minimum_size}x{self.minimum_size} or larger. Resize them"
                + (", or use a network for small images, such as resnet20." if self.minimum_size > 4 else ".")
            )
