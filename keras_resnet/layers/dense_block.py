"""The dense block: layers each of which reads the features of all before it."""

from typing import Any

import keras

from keras_resnet.layers.configured import ConfiguredLayer, check_count, check_flag
from keras_resnet.layers.dense_layer import DenseLayer, check_dense, check_start, joined


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
        remat: whether training keeps each layer's input features and new ones only, and recomputes concatenation, norms,
            activations and the 1x1 convolution in the backward pass. Without it memory grows with the square of `num_layers`.
        use_bias, distribution: as in `layers.DenseLayer`.
        keeps_input: whether the output begins with the input; else it is the new features alone.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: `(n, height, width, channels)`, or channels first; or a list of such maps of one size, which count as joined.
    Output shape: the same with `channels + num_layers * growth_rate` channels, the input's first, or without the input's.

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
        remat: bool = False,
        use_bias: bool | None = None,
        distribution: str = "untruncated_normal",
        keeps_input: bool = True,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_count("num_layers", num_layers)
        check_dense(growth_rate, bottleneck, dilation_rate, dropout, norm, norm_momentum, norm_epsilon, remat)
        check_start(use_bias, distribution)
        check_flag("keeps_input", keeps_input)
        self.keep(locals())

    def build(self, input_shape: Any) -> None:
        channels, specs = 0, []
        for shape in maps_of(input_shape):
            channels += self.expect(shape)
            specs.append(self.input_spec)
        self.input_spec = specs if isinstance(input_shape[0], (tuple, list)) else specs[0]
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
                self.remat,
                self.use_bias,
                self.distribution,
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
        features = [self.enter(one) for one in (inputs if isinstance(inputs, (list, tuple)) else [inputs])]
        new: list = []
        recomputes = self.remat and training
        for place, layer in enumerate(self._grown, start=1):
            new.append(layer.grow(features, training))
            features.append(new[-1])
            if not recomputes and (self.keeps_input or place < self.num_layers):
                # What each layer joined is kept anyway: DenseNet-121 at batch 8 on PyTorch 185 to 174 ms.
                features = [joined(features, self.inner_channel_axis)]
        return self.leave(joined(features if self.keeps_input else new, self.inner_channel_axis))

    def compute_output_shape(self, input_shape: Any) -> tuple:
        maps = maps_of(input_shape)
        shape = list(maps[0])
        shape[self.channel_axis] = self.num_layers * self.growth_rate
        if self.keeps_input:
            shape[self.channel_axis] += sum(one[self.channel_axis] for one in maps)
        return tuple(shape)

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> keras.KerasTensor:
        shape = [x.shape for x in inputs] if isinstance(inputs, (list, tuple)) else inputs.shape
        return keras.KerasTensor(self.compute_output_shape(shape), dtype=self.compute_dtype)


def maps_of(shape: Any) -> list:
    """The shapes of several maps, or of one as a list."""
    return list(shape) if isinstance(shape[0], (tuple, list)) else [shape]
