"""What brings one map of a feature pyramid to the size of the largest: a convolution a step, and an enlargement behind each."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.backend import reference
from keras_resnet.layers.configured import ConfiguredLayer, check_choice, check_count
from keras_resnet.layers.conv_norm import conv_norm, create_conv_norm
from keras_resnet.layers.normalization import check_norm, check_pixels
from keras_resnet.layers.upsample_to import METHODS


@keras.saving.register_keras_serializable("keras_resnet")
class ClimbingConvs(ConfiguredLayer):
    """`ClimbingConvs(f)([x, larger, still_larger])` has f channels and the size of the last; of those behind x only the sizes count.

    ```
    x -- (conv 3x3, f -- norm -- relu -- enlarge), once for each larger map; without any once, and no enlargement
    ```

    Args:
        filters: f.
        upsampling: `"bilinear"`, `"aligned"` or `"nearest"`, as in `layers.UpsampleTo`.
        norm: `"group"`, `"batch"`, `"instance"`, `"layer"`, or `None`: a bias instead.
        norm_momentum, norm_epsilon: of the norm.
        activation: any Keras activation, by name or function.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: one map or more, in a list, `(n, height, width, channels)`, or channels first, each larger than the one before.
    Output shape: height and width of the last, `filters` channels.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Kirillov et al. 2019, arXiv:1901.02446, figure 3.
    """

    def __init__(
        self,
        filters: int = 128,
        upsampling: str = "bilinear",
        norm: str | None = "group",
        norm_momentum: float = 0.9,
        norm_epsilon: float = 1e-5,
        activation: Any = "relu",
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_count("filters", filters)
        check_choice("upsampling", upsampling, METHODS)
        check_norm(norm, norm_momentum, norm_epsilon)
        self.keep(locals())

    def build(self, input_shape: Any) -> None:
        channels = input_shape[0][self.channel_axis]
        self._steps: list = []
        for place in range(1, max(len(input_shape), 2)):
            self._steps.append(create_conv_norm(self, str(place), channels, self.filters))
            channels = self.filters
        self.finish_build()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x, *larger = inputs
        height, width = reference.spatial_axes(self.data_format)
        x = self.enter(x)
        for place, (conv, norm) in enumerate(self._steps):
            x = conv_norm(x, conv, norm, training, self.activation)
            check_pixels(self, x, training)
            if larger:
                shape = keras.ops.shape(larger[place])
                x = backend.upsample2d(x, (shape[height], shape[width]), self.upsampling, self.inner_format)
        return self.leave(x)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        shape = list(input_shape[-1])
        shape[self.channel_axis] = self.filters
        return tuple(shape)
