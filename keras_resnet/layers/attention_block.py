"""Self-attention between the pixels of a map, as a residual block of diffusion networks."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.backend import reference
from keras_resnet.layers.configured import ConfiguredLayer, check_count
from keras_resnet.layers.conv_norm import norm_activation
from keras_resnet.layers.normalization import check_norm, create_norm
from keras_resnet.layers.projection import project
from keras_resnet.layers.timestep_embedding import NEAR_ZERO, diffusion_start


@keras.saving.register_keras_serializable("keras_resnet")
class AttentionBlock(ConfiguredLayer):
    """Adds to each pixel a mean over all pixels, weighted by how well their keys fit its query.

    ```
    x -- norm -- conv 1x1: q, k, v -- softmax(q k' / sqrt(d)) v -- conv 1x1 -- + --
     \\-----------------------------------------------------------------------/
    ```

    Args:
        num_heads: of d = channels / num_heads channels each, of which the input's must be a multiple.
        head_channels: d instead; then `num_heads` does not count.
        norm: `"batch"`, `"group"`, `"instance"`, `"layer"`, or `None`.
        norm_momentum, norm_epsilon: of the norm.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    The first kernel holds all queries, then all keys, then all values, each head by head. The last one starts near zero. The softmax is
    taken in float32 under every policy; memory grows with the fourth power of the map's side.

    Input and output shape: `(n, height, width, channels)`, or channels first.

    Raises:
        ValueError: at an argument outside what is listed, and where the heads do not divide the channels.

    Source: Ho et al. 2020, arXiv:2006.11239, section 4 and appendix B; several heads Dhariwal and Nichol 2021, arXiv:2105.05233.
    """

    def __init__(
        self,
        num_heads: int = 1,
        head_channels: int | None = None,
        norm: str | None = "group",
        norm_momentum: float = 0.9,
        norm_epsilon: float = 1e-6,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_count("num_heads", num_heads)
        if head_channels is not None:
            check_count("head_channels", head_channels)
        check_norm(norm, norm_momentum, norm_epsilon)
        self.keep(locals())

    def build(self, input_shape: tuple) -> None:
        channels = self.expect(input_shape)
        self._heads = head_count(channels, self.num_heads, self.head_channels)
        self.norm_layer = create_norm(self, "norm", channels)
        self.qkv = self._dense("qkv", channels, 3 * channels, 1.0)
        self.projection = self._dense("projection", channels, channels, NEAR_ZERO)
        self.finish_build()

    def _dense(self, name: str, channels: int, units: int, scale: float) -> keras.layers.Dense:
        dense = keras.layers.Dense(units, kernel_initializer=diffusion_start(scale), dtype=self.dtype_policy, name=name)
        dense.build((None, None, channels))
        return dense

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = self.enter(inputs)
        channels = x.shape[self.inner_channel_axis]
        y = norm_activation(x, self.norm_layer, training, keras.activations.linear)
        y = backend.turn(y, self.inner_format, "channels_last")
        shape = keras.ops.shape(y)
        height, width = (shape[axis] for axis in reference.spatial_axes("channels_last"))
        y = project(keras.ops.reshape(y, (-1, height * width, channels)), self.qkv)
        y = project(backend.self_attention(y, self._heads), self.projection)
        y = keras.ops.reshape(y, (-1, height, width, channels))
        return self.leave(x + backend.turn(y, "channels_last", self.inner_format))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return tuple(input_shape)


def head_count(channels: int, num_heads: int, head_channels: int | None) -> int:
    """How many heads attention between pixels of so many channels has. Raises where they do not divide them."""
    if channels % (num_heads if head_channels is None else head_channels):
        setting = f"num_heads={num_heads}" if head_channels is None else f"head_channels={head_channels}"
        raise ValueError(f"The channels must be a multiple of `{setting.partition('=')[0]}`. Received: {channels} channels, {setting}.")
    return num_heads if head_channels is None else channels // head_channels
