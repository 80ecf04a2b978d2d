"""The step of a feature pyramid: the deeper map enlarged, and the encoder's map brought to as many channels, summed."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.backend import reference
from keras_resnet.layers.configured import ConfiguredLayer
from keras_resnet.layers.convolution import Conv2D
from keras_resnet.layers.initializer import HeNormal


@keras.saving.register_keras_serializable("keras_resnet")
class LateralSum(ConfiguredLayer):
    """`LateralSum()([x, skip])` enlarges x to the size of skip, and adds what a 1x1 convolution makes of that.

    ```
    x -- enlarge (nearest) -- + -- y
    skip -- conv 1x1, f ------/
    ```

    f is the number of channels of x. The convolution has a bias.

    Args:
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: two maps, `(n, height, width, channels)`, or channels first. Output shape: the size of the second, the channels of the
    first.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Lin et al. 2017, arXiv:1612.03144, figure 3.
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.keep(locals())

    def build(self, input_shape: Any) -> None:
        x, skip = input_shape
        self.conv = Conv2D(
            x[self.channel_axis],
            1,
            kernel_initializer=HeNormal(scale=1.0, mode="fan_in"),
            data_format=self.inner_format,
            dtype=self.dtype_policy,
            name="conv",
        )
        self.build_child(self.conv, skip[self.channel_axis])
        self.finish_build()

    def call(self, inputs: Any) -> Any:
        x, skip = (self.enter(one) for one in inputs)
        height, width = reference.spatial_axes(self.inner_format)
        shape = keras.ops.shape(skip)
        side = backend.conv2d(skip, *self.conv.operands(), *self.conv.settings())
        return self.leave(side + backend.upsample2d(x, (shape[height], shape[width]), "nearest", self.inner_format))

    def compute_output_shape(self, input_shape: Any) -> tuple:
        x, skip = input_shape
        shape = list(skip)
        shape[self.channel_axis] = x[self.channel_axis]
        return tuple(shape)
