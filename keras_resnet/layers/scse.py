"""Concurrent spatial and channel squeeze-and-excitation: a map weighed by channel and by pixel at once."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.layers.configured import ConfiguredLayer, check_count
from keras_resnet.layers.convolution import Conv2D
from keras_resnet.layers.initializer import HeNormal
from keras_resnet.layers.squeeze_excite import SqueezeExcite


@keras.saving.register_keras_serializable("keras_resnet")
class ScSE(ConfiguredLayer):
    """Adds what each channel's weight makes of a map, and what each pixel's does; both are between 0 and 1.

    ```
    x -- mean over the map -- conv 1x1, f/r -- relu -- conv 1x1, f -- sigmoid -- * x -- + -- y
     \\------------------ conv 1x1, 1 -- sigmoid -- * x --------------------------------/
    ```

    Args:
        reduction: r, by which the narrow convolution has fewer channels than the map; rounded down, at least one is left.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input and output shape: `(n, height, width, channels)`, or channels first.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Roy et al. 2018, arXiv:1803.02579, figure 1d; both parts are added, as in segmentation_models.pytorch.
    """

    def __init__(self, reduction: int = 16, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        check_count("reduction", reduction)
        self.keep(locals())

    def build(self, input_shape: tuple) -> None:
        channels = self.expect(input_shape)
        shared: dict = dict(data_format=self.inner_format, dtype=self.dtype_policy)
        squeezed = max(channels // self.reduction, 1)
        self.channel = SqueezeExcite(squeezed / channels, 1, **shared, name="channel")
        self.spatial = Conv2D(1, 1, kernel_initializer=HeNormal(), **shared, name="spatial")
        self.build_child(self.channel, channels)
        self.build_child(self.spatial, channels)
        self.finish_build()

    def call(self, inputs: Any) -> Any:
        return self.leave(self.excite(self.enter(inputs)))

    def excite(self, x: Any) -> Any:
        """`call` for a block, whose data is in the inner format already."""
        pixels = backend.conv2d(x, *self.spatial.operands(), *self.spatial.settings())
        return self.channel.excite(x) + x * keras.ops.sigmoid(pixels)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape
