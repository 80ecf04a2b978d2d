"""Anti-aliasing: a blur in front of each step that makes the image smaller."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.backend import geometry
from keras_resnet.layers.configured import ConfiguredLayer, check_count


@keras.saving.register_keras_serializable("keras_resnet")
class BlurPooling2D(ConfiguredLayer):
    """A fixed binomial blur of each channel, then every s-th pixel: `BlurPooling2D()` is `[1 2 1]^T [1 2 1] / 16` at stride 2.

    Args:
        kernel_size: window in pixels, at least 2.
        strides: step in pixels.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: `(n, height, width, channels)`, or channels first; `(kernel_size + strides - 2) // 2` pixels a side are mirrored.
    Output shape: `ceil(size / strides)` pixels a side for odd windows.

    Raises:
        ValueError: at an argument outside what is listed, and at an image too small to be mirrored.

    Source: Zhang 2019, arXiv:1904.11486; padding as in timm.
    """

    def __init__(self, kernel_size: int = 3, strides: int = 2, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        check_count("kernel_size", kernel_size)
        check_count("strides", strides)
        if kernel_size < 2:
            raise ValueError(f"`kernel_size` must be an integer of at least 2. Received: kernel_size={kernel_size!r}.")
        self.keep(locals())

    @property
    def padding(self) -> int:
        """Pixels mirrored on each side."""
        return (self.kernel_size + self.strides - 2) // 2

    def build(self, input_shape: tuple) -> None:
        self.expect(input_shape)
        self.finish_build()

    def call(self, inputs: Any) -> Any:
        return self.leave(self.blur(self.enter(inputs)))

    def blur(self, x: Any) -> Any:
        """`call` for a block, whose data is in the inner format already."""
        self._check_size(x.shape, self.inner_format)
        return backend.blur_pool2d(x, self.kernel_size, self.strides, self.padding, self.inner_format)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        self._check_size(input_shape, self.data_format)
        windows, strides, pads = (self.kernel_size,) * 2, (self.strides,) * 2, (self.padding,) * 2
        return geometry.window_output_shape(input_shape, None, windows, strides, pads, self.data_format)

    def _check_size(self, shape: tuple, data_format: str) -> None:
        sizes = tuple(shape[2:4]) if data_format == "channels_first" else tuple(shape[1:3])
        if any(isinstance(size, int) and size <= self.padding for size in sizes):
            raise ValueError(
                f"An image of {sizes[0]}x{sizes[1]} is too small for BlurPooling2D(kernel_size={self.kernel_size}, "
                f"strides={self.strides}), which mirrors {self.padding} pixels a side. "
                f"Pass one of {self.padding + 1}x{self.padding + 1} or larger."
            )
