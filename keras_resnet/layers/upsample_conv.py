"""A map enlarged by repeating its pixels, and the convolution that smooths them."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.backend import reference
from keras_resnet.layers.configured import ConfiguredLayer, check_count
from keras_resnet.layers.conv_norm import conv_norm
from keras_resnet.layers.convolution import Conv2D
from keras_resnet.layers.timestep_embedding import diffusion_start


@keras.saving.register_keras_serializable("keras_resnet")
class UpsampleConv2D(ConfiguredLayer):
    """Each pixel twice along both axes, then a convolution.

    ```
    x -- nearest, x2 -- conv 3x3, f
    ```

    Args:
        filters: f, channels of the output.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: `(n, height, width, channels)`, or channels first. Output shape: twice the size, with `filters` channels.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Odena et al. 2016, doi:10.23915/distill.00003; in diffusion networks Ho et al. 2020, arXiv:2006.11239.
    """

    def __init__(self, filters: int, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        check_count("filters", filters)
        self.keep(locals())

    def build(self, input_shape: tuple) -> None:
        channels = self.expect(input_shape)
        self.conv = Conv2D(
            self.filters,
            3,
            padding=1,
            kernel_initializer=diffusion_start(),
            data_format=self.inner_format,
            dtype=self.dtype_policy,
            name="conv",
        )
        self.build_child(self.conv, channels)
        self.finish_build()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = self.enter(inputs)
        if backend.doubling_pays(x, [], self.inner_format):
            return self.leave(conv_norm(x, self.conv, None, training, joined=[]))
        return self.leave(conv_norm(doubled(x, self.inner_format), self.conv, None, training))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        shape = [None if size is None else 2 * size for size in input_shape]
        shape[0], shape[self.channel_axis] = input_shape[0], self.filters
        return tuple(shape)


def doubled(x: Any, data_format: str) -> Any:
    """Each pixel of a map twice along both axes."""
    shape = keras.ops.shape(x)
    height, width = reference.spatial_axes(data_format)
    return backend.upsample2d(x, (2 * shape[height], 2 * shape[width]), "nearest", data_format)
