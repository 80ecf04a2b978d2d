"""DeepLabV3+'s way back: the deep map enlarged and joined with an early one that was made narrow."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.backend import reference
from keras_resnet.layers.configured import ConfiguredLayer, check_choice, check_count
from keras_resnet.layers.conv_norm import conv_norm, create_conv_norm
from keras_resnet.layers.normalization import check_norm
from keras_resnet.layers.separable_conv import SeparableConvNorm
from keras_resnet.layers.upsample_to import METHODS


@keras.saving.register_keras_serializable("keras_resnet")
class DeepLabDecoder(ConfiguredLayer):
    """`DeepLabDecoder(f)([x, early])` has f channels and the size of the early map.

    ```
    x -- separable conv 3x3, f -- enlarge -- concat -- separable conv 3x3, f
    early -- conv 1x1, e -- norm -- relu -----/
    ```

    Args:
        filters: f.
        early_filters: e.
        upsampling: `"bilinear"`, `"aligned"` or `"nearest"`, as in `layers.UpsampleTo`.
        norm: `"batch"`, `"group"`, `"instance"`, `"layer"`, or `None`: biases instead.
        norm_momentum, norm_epsilon: of the norm.
        activation: any Keras activation, by name or function.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: two maps, `(n, height, width, channels)`, or channels first. Output shape: the second's with f channels.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Chen et al. 2018, arXiv:1802.02611, figure 2; the convolution in front of the enlargement is segmentation_models.pytorch's.
    """

    def __init__(
        self,
        filters: int = 256,
        early_filters: int = 48,
        upsampling: str = "bilinear",
        norm: str | None = "batch",
        norm_momentum: float = 0.9,
        norm_epsilon: float = 1e-5,
        activation: Any = "relu",
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_count("filters", filters)
        check_count("early_filters", early_filters)
        check_choice("upsampling", upsampling, METHODS)
        check_norm(norm, norm_momentum, norm_epsilon)
        self.keep(locals())

    def build(self, input_shape: Any) -> None:
        deep, early = (shape[self.channel_axis] for shape in input_shape)
        names = ("norm", "norm_momentum", "norm_epsilon", "activation")
        shared: dict = {name: getattr(self, name) for name in names} | dict(data_format=self.inner_format, dtype=self.dtype_policy)
        self.deep = SeparableConvNorm(self.filters, name="deep", **shared)
        self.build_child(self.deep, deep)
        self._early = create_conv_norm(self, "_early", early, self.early_filters, 1)
        self.joined = SeparableConvNorm(self.filters, name="joined", **shared)
        self.build_child(self.joined, self.filters + self.early_filters)
        self.finish_build()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x, early = (self.enter(one) for one in inputs)
        height, width = reference.spatial_axes(self.inner_format)
        shape = keras.ops.shape(early)
        x = backend.upsample2d(self.deep.run(x, training), (shape[height], shape[width]), self.upsampling, self.inner_format)
        x = keras.ops.concatenate([x, conv_norm(early, *self._early, training, self.activation)], self.inner_channel_axis)
        return self.leave(self.joined.run(x, training))

    def compute_output_shape(self, input_shape: Any) -> tuple:
        shape = list(input_shape[1])
        shape[self.channel_axis] = self.filters
        return tuple(shape)
