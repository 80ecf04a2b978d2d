"""2-D convolution with symmetric padding by whole pixels, as the published networks and their weights use it."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.backend import geometry


@keras.saving.register_keras_serializable("keras_resnet")
class Conv2D(keras.layers.Conv2D):
    """Keras's `Conv2D`, faster, and with integer padding: `Conv2D(64, 3, strides=2, padding=1)`.

    Keras's `"same"` pads an even image by one pixel less at the top and left when it strides; torchvision, timm and the papers pad both
    sides alike, and weights trained there lose accuracy under the other. The configuration, the variables and their order are Keras's.

    Args:
        filters: number of output channels, positive.
        kernel_size: window in pixels, one integer or (height, width).
        strides: step in pixels, one integer or (height, width).
        padding: `"valid"`, `"same"` (Keras's), or pixels a side: one integer or (height, width).
        **kwargs: the rest of `keras.layers.Conv2D`: `data_format, dilation_rate, groups, activation, use_bias, kernel_initializer ...`

    Input shape: `(n, height, width, channels)`; `(n, channels, height, width)` with `data_format="channels_first"`.
    Output shape: the same with `filters` channels and `(size + 2 * padding - window) // stride + 1` pixels a side.

    Raises:
        ValueError: at an impossible argument, and at an image smaller than the window.

    Source: symmetric padding as in He et al. 2015, arXiv:1512.03385, and torchvision.
    """

    def __init__(self, filters: int, kernel_size: Any, strides: Any = (1, 1), padding: Any = "valid", **kwargs: Any):
        pixels = geometry.standardize_padding(padding)
        super().__init__(filters, kernel_size, strides, pixels if isinstance(pixels, str) else "valid", **kwargs)
        self.padding = pixels
        # Set without Keras's tracking: this is a cache, not state.
        self.folded = backend.FoldedKernel()

    def add_weight(self, *args: Any, **kwargs: Any) -> keras.Variable:
        """As Keras's, but the variable stays in its own type: the operation casts it, so that a cast copy can be kept."""
        kwargs.setdefault("autocast", False)
        return super().add_weight(*args, **kwargs)

    def build(self, input_shape: tuple) -> None:
        super().build(input_shape)
        backend.prepare_kernel(self._kernel)

    def call(self, inputs: Any) -> Any:
        if keras.backend.standardize_dtype(inputs.dtype) != self.compute_dtype:
            inputs = keras.ops.cast(inputs, self.compute_dtype)
        outputs = backend.conv2d(inputs, *self.operands(), *self.settings())
        return outputs if self.activation is None else self.activation(outputs)

    def operands(self) -> tuple[Any, Any]:
        """Kernel and bias as tensors, for the operations of `keras_resnet.backend`."""
        kernel = self.kernel
        kernel = kernel.value if isinstance(kernel, keras.Variable) else kernel
        return kernel, None if self.bias is None else self.bias.value

    def settings(self) -> tuple[Any, Any, Any, str]:
        """Strides, padding, dilation and data format, in the order of the operations of `keras_resnet.backend`."""
        return self.strides, self.padding, self.dilation_rate, self.data_format

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        windows = tuple((size - 1) * rate + 1 for size, rate in zip(self.kernel_size, self.dilation_rate, strict=True))
        return geometry.window_output_shape(input_shape, self.filters, windows, self.strides, self.padding, self.data_format)

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)

    def get_config(self) -> dict:
        return {**super().get_config(), "padding": self.padding}
