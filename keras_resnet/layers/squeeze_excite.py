"""Squeeze-and-excitation: each channel weighed by what all channels are on average over the map."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.layers.configured import ConfiguredLayer, check_count, check_number
from keras_resnet.layers.convolution import Conv2D
from keras_resnet.layers.initializer import HeNormal


@keras.saving.register_keras_serializable("keras_resnet")
class SqueezeExcite(ConfiguredLayer):
    """Scales each channel by a number between 0 and 1 that depends on the whole map.

    ```
    x -- mean over the map -- conv 1x1, r -- relu -- conv 1x1, f -- sigmoid -- * -- y
     \\-------------------------------------------------------------------------/
    ```

    Args:
        ratio: the narrow convolution's channels r as a share of the input's; 1/16 in the paper, 1/4 in ResNet-RS.
        divisor: r is rounded to a multiple of this, and is at least this; 8 as in timm.
        activation: between the two convolutions.
        gate: at the end.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input and output shape: `(n, height, width, channels)`, or channels first.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Hu et al. 2017, arXiv:1709.01507, figure 3; the rounding is timm's.
    """

    def __init__(
        self,
        ratio: float = 1 / 16,
        divisor: int = 8,
        activation: Any = "relu",
        gate: Any = "sigmoid",
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_number("ratio", ratio, 0)
        check_count("divisor", divisor)
        gate = keras.activations.get(gate)
        self.keep(locals())

    def build(self, input_shape: tuple) -> None:
        channels = self.expect(input_shape)
        squeezed = max(self.divisor, int(channels * self.ratio + self.divisor / 2) // self.divisor * self.divisor)
        settings: dict = dict(kernel_initializer=HeNormal(), data_format=self.inner_format, dtype=self.dtype_policy)
        self.fc1 = Conv2D(squeezed, 1, **settings, name="fc1")
        self.fc2 = Conv2D(channels, 1, **settings, name="fc2")
        self.build_child(self.fc1, channels)
        self.build_child(self.fc2, squeezed)
        self.finish_build()

    def call(self, inputs: Any) -> Any:
        return self.leave(self.excite(self.enter(inputs)))

    def excite(self, x: Any) -> Any:
        """`call` for a block, whose data is in the inner format already."""
        y = backend.global_average_pool2d(x, self.inner_format)
        y = self.gate(_product(self.activation(_product(y, self.fc1)), self.fc2))
        return x * keras.ops.reshape(y, (-1, y.shape[1], 1, 1) if self.inner_format == "channels_first" else (-1, 1, 1, y.shape[1]))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def get_config(self) -> dict:
        return {**super().get_config(), "gate": keras.activations.serialize(self.gate)}


def _product(x: Any, conv: Conv2D) -> Any:
    """A 1x1 convolution of a single pixel, `(n, channels)`."""
    kernel, bias = conv.operands()
    backend.record("gate", macs=kernel.shape[2] * kernel.shape[3], outputs=kernel.shape[3])
    return keras.ops.matmul(x, keras.ops.cast(kernel[0, 0], x.dtype)) + keras.ops.cast(bias, x.dtype)
