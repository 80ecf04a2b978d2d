"""Efficient channel attention: each channel weighed by its few neighbours' means over the map."""

import math
from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.layers.configured import ConfiguredLayer, check_count, check_number
from keras_resnet.layers.initializer import HeNormal


@keras.saving.register_keras_serializable("keras_resnet")
class EfficientChannelAttention(ConfiguredLayer):
    """Scales each channel by a number between 0 and 1, by one short convolution along the channels.

    ```
    x -- mean over the map -- conv k along the channels -- sigmoid -- * -- y
     \\--------------------------------------------------------------/
    ```

    Args:
        kernel_size: how many channels the convolution sees, odd; `None` for `|log2(channels) + beta| / gamma`, rounded down, and up
            to an odd number of at least 3.
        gamma, beta: of that rule.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input and output shape: `(n, height, width, channels)`, or channels first.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Wang et al. 2019, arXiv:1910.03151, figure 2 and equation 12; at least 3 as in timm.
    """

    def __init__(
        self,
        kernel_size: int | None = None,
        gamma: float = 2,
        beta: float = 1,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if kernel_size is not None:
            check_count("kernel_size", kernel_size)
            if kernel_size % 2 == 0:
                raise ValueError(f"`kernel_size` must be odd, so that the padding is symmetric. Received: kernel_size={kernel_size}.")
        check_number("gamma", gamma)
        check_number("beta", beta)
        if gamma <= 0:
            raise ValueError(f"`gamma` must be above 0. Received: gamma={gamma!r}.")
        self.keep(locals())

    def build(self, input_shape: tuple) -> None:
        channels = self.expect(input_shape)
        size = self.kernel_size
        if size is None:
            size = max(int(abs(math.log2(channels) + self.beta) / self.gamma), 2)
            size += 1 - size % 2
        self.conv = keras.layers.Conv1D(
            1,
            size,
            padding="same",
            use_bias=False,
            kernel_initializer=HeNormal(scale=1 / 3, mode="fan_in", distribution="uniform"),  # what PyTorch's convolutions start from
            data_format="channels_last",
            dtype=self.dtype_policy,
            name="conv",
        )
        self.conv.build((None, channels, 1))
        self.finish_build()

    def call(self, inputs: Any) -> Any:
        return self.leave(self.excite(self.enter(inputs)))

    def excite(self, x: Any) -> Any:
        """`call` for a block, whose data is in the inner format already."""
        y = backend.global_average_pool2d(x, self.inner_format)
        channels = y.shape[1]
        kernel = keras.ops.cast(self.conv.kernel, y.dtype)
        size = kernel.shape[0]
        backend.record("gate", macs=size * channels, outputs=channels)
        padded = backend.pad(y, ((0, 0), (size // 2, size // 2)))
        # The taps by hand: a convolution of one channel costs each framework more than these few numbers.
        y = sum(padded[:, i : i + channels] * kernel[i, 0, 0] for i in range(size))
        y = keras.ops.sigmoid(y)
        return x * keras.ops.reshape(y, (-1, channels, 1, 1) if self.inner_format == "channels_first" else (-1, 1, 1, channels))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape
