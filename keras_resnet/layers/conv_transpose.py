"""Transposed convolution, which makes maps larger: the way up of the classic U-Nets, for images and for volumes."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.backend import geometry
from keras_resnet.layers.configured import ConfiguredLayer, check_count, check_flag
from keras_resnet.layers.initializer import HeNormal


@keras.saving.register_keras_serializable("keras_resnet")
class ConvTranspose(ConfiguredLayer):
    """Makes images, or volumes, exactly `strides` times as large, `ConvTranspose(64)` twice: the transpose of a strided convolution.

    ```
    a b    --    a*k a*k b*k b*k        (2x2 kernel k, stride 2: no pixels meet)
    c d          a*k a*k b*k b*k
                 c*k c*k d*k d*k ...
    ```

    Where the kernel is larger than the stride, pixels that meet are summed, and of the surplus at the border, `kernel_size - strides`, the
    far side loses the odd pixel: 2n of 2n + 1 for 3x3 at stride 2. The numbers are those of Keras's `Conv2DTranspose(padding="same")` on
    JAX and TensorFlow; on PyTorch Keras's own takes the other 2n where the surplus is odd.

    Args:
        filters: number of output channels.
        kernel_size: window in pixels, an integer or one an axis; 2x2 is the original U-Net's, 3x3 FC-DenseNet's.
        strides: how many times as large the output is, an integer or one an axis.
        use_bias: whether a learned number a channel is added.
        kernel_initializer: any Keras initializer. `None` is normal numbers of variance `2 / (filters * window)`, He's for a kernel that is
            read backwards: Keras's layout has the filters where other kernels have what they sum over.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Variables: `kernel`, `(height, width, filters, channels)` as in Keras, of volumes with the depth in front; `bias`, `(filters,)`.

    Input shape: `(n, height, width, channels)`, `(n, depth, height, width, channels)`, or channels first.
    Output shape: the same with `filters` channels and `size * strides` pixels a side.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Ronneberger et al. 2015, arXiv:1505.04597 ("up-convolution"); Jegou et al. 2016, arXiv:1611.09326 (3x3, stride 2).
    """

    takes_volumes = True

    def __init__(
        self,
        filters: int,
        kernel_size: Any = 2,
        strides: Any = 2,
        use_bias: bool = True,
        kernel_initializer: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_count("filters", filters)
        for name, value in (("kernel_size", kernel_size), ("strides", strides)):
            geometry.numbers(value, name, len(value) if isinstance(value, (tuple, list)) else 2, 1)
        check_flag("use_bias", use_bias)
        kernel_initializer = None if kernel_initializer is None else keras.initializers.get(kernel_initializer)
        self.keep(locals())

    def build(self, input_shape: tuple) -> None:
        channels = self.expect(input_shape)
        windows = geometry.numbers(self.kernel_size, "kernel_size", self.spatial_dims, 1)
        self._steps = geometry.numbers(self.strides, "strides", self.spatial_dims, 1)
        initializer = HeNormal(mode="fan_in") if self.kernel_initializer is None else self.kernel_initializer
        # Not cast by Keras, as in our convolutions: the operation casts.
        self.kernel = self.add_weight(name="kernel", shape=(*windows, self.filters, channels), initializer=initializer, autocast=False)
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros", autocast=False) if self.use_bias else None

    def call(self, inputs: Any) -> Any:
        if keras.backend.standardize_dtype(inputs.dtype) != self.compute_dtype:
            inputs = keras.ops.cast(inputs, self.compute_dtype)
        return backend.conv_transpose(inputs, *self.operands(), *self.settings())

    def operands(self) -> tuple[Any, Any]:
        """Kernel and bias as tensors, for `backend.conv_transpose`."""
        return self.kernel.value, None if self.bias is None else self.bias.value

    def settings(self) -> tuple[geometry.Numbers, str]:
        """Strides and data format, in the order of `backend.conv_transpose`."""
        return self._steps, self.data_format

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        count = len(input_shape) - 2
        strides = geometry.numbers(self.strides, "strides", count, 1)
        first = self.data_format == "channels_first"
        sizes = input_shape[2:] if first else input_shape[1:-1]
        sizes = tuple(None if size is None else size * stride for size, stride in zip(sizes, strides, strict=True))
        return (input_shape[0], self.filters, *sizes) if first else (input_shape[0], *sizes, self.filters)

    def get_config(self) -> dict:
        config = super().get_config()
        initializer = config["kernel_initializer"]
        return {**config, "kernel_initializer": None if initializer is None else keras.initializers.serialize(initializer)}
