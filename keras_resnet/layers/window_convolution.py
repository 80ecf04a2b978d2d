"""What convolutions of images and of volumes share: symmetric padding by whole pixels, and the way past `Layer.__call__`."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.backend import geometry


class WindowConvolution(keras.layers.Layer):
    """Integer padding and our operations for a convolution of Keras's, which a subclass names after this one."""

    def __init__(self, filters: int, kernel_size: Any, strides: Any = 1, padding: Any = "valid", **kwargs: Any):
        pixels = self.standardize_padding(padding)
        super().__init__(filters, kernel_size, strides, pixels if isinstance(pixels, str) else "valid", **kwargs)
        self.padding = pixels
        # Set without Keras's tracking: this is a cache, not state.
        self.folded = backend.FoldedKernel()

    @staticmethod
    def standardize_padding(padding: Any) -> geometry.Padding:
        """`"valid"`, `"same"`, or pixels for each axis."""
        return geometry.standardize_padding(padding)

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
        outputs = backend.conv(inputs, *self.operands(), *self.settings())
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
