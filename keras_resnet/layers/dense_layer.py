"""The layer that dense blocks are made of: it reads all features so far and adds a few."""

from typing import Any

import keras

from keras_resnet.layers.configured import ConfiguredLayer, check_choice, check_count, check_flag, check_number
from keras_resnet.layers.conv_norm import conv_norm, norm_activation
from keras_resnet.layers.convolution import Conv2D
from keras_resnet.layers.initializer import HeNormal
from keras_resnet.layers.normalization import check_norm, create_norm
from keras_resnet.layers.rematerialized import rematerialized


@keras.saving.register_keras_serializable("keras_resnet")
class DenseLayer(ConfiguredLayer):
    """Makes `growth_rate` new features from all that there are. It puts out the new ones alone: a `DenseBlock` joins them, once.

    ```
    x -- norm -- relu -- conv 1x1, 4k -- norm -- relu -- conv 3x3, k        (bottleneck=4)
    x -- norm -- relu -- conv 3x3, k                                        (bottleneck=None)
    ```

    Args:
        growth_rate: k, how many features the layer makes.
        bottleneck: width of the 1x1 convolution in units of k, or `None` for none.
        dilation_rate: of the 3x3 convolution.
        dropout: share of the numbers behind each convolution that training sets to zero, from 0 to below 1.
        norm: `"batch"`, `"group"`, `"instance"`, `"layer"`, or `None`: no norm, and convolutions with a bias.
            `"layer"` goes over an image's channels and pixels together, so that flat regions are not stretched to the contrast of others.
        norm_momentum, norm_epsilon: of the norm; the defaults are torchvision's and timm's.
        activation: any Keras activation, by name or function.
        remat: whether training recomputes everything between input and output in the backward pass: memory for time.
            Statistics are moved once.
        use_bias: whether the convolutions have a bias, `None` where there is no norm.
        distribution: of the numbers that kernels start from, as in `layers.HeNormal`; their variance is `2 / fan_in` in any case.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: `(n, height, width, channels)`, or channels first. Output shape: the same with `growth_rate` channels.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Huang et al. 2016, arXiv:1608.06993, section 3; memory Pleiss et al. 2017, arXiv:1707.06990. Dropout as the authors have
    it, behind each convolution; torchvision and timm have it behind the last only.
    """

    def __init__(
        self,
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
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_dense(growth_rate, bottleneck, dilation_rate, dropout, norm, norm_momentum, norm_epsilon, remat)
        check_start(use_bias, distribution)
        self.keep(locals())
        self.drop: Any = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="drop") if dropout else None

    def build(self, input_shape: tuple) -> None:
        channels = self.expect(input_shape)
        widths = [(self.growth_rate, 3)] if self.bottleneck is None else [(self.bottleneck * self.growth_rate, 1), (self.growth_rate, 3)]
        self._steps: list = []
        for i, (filters, kernel_size) in enumerate(widths, start=1):
            rate = self.dilation_rate if kernel_size == 3 else 1
            norm = create_norm(self, f"norm{i}", channels)
            conv = Conv2D(
                filters,
                kernel_size,
                padding=rate * (kernel_size // 2),
                dilation_rate=rate,
                use_bias=self.norm is None if self.use_bias is None else self.use_bias,
                # As in torchvision; by the fan-out the sums would explode.
                kernel_initializer=HeNormal(mode="fan_in", distribution=self.distribution),
                data_format=self.inner_format,
                dtype=self.dtype_policy,
                name=f"conv{i}",
            )
            self.build_child(conv, channels)
            # As attributes the children get their names in files: norm1, conv1, ...
            setattr(self, f"norm{i}", norm)
            setattr(self, conv.name, conv)
            self._steps.append((norm, conv))
            channels = filters
        self.finish_build()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.leave(self.grow([self.enter(inputs)], training))

    def grow(self, features: list, training: bool | None) -> Any:
        """The new features from a list of all that there are, in the inner format: `call` for a block."""
        if self.remat and training:
            return rematerialized(
                self, lambda *features: self._forward(joined(features, self.inner_channel_axis), training=True), *features
            )
        return self._forward(joined(features, self.inner_channel_axis), training)

    def _forward(self, x: Any, training: bool | None) -> Any:
        return self.behind(norm_activation(x, self._steps[0][0], training, self.activation), training)

    def behind(self, y: Any, training: bool | None) -> Any:
        """What follows the first norm and activation."""
        for i, (_, conv) in enumerate(self._steps):
            norm = None if i + 1 == len(self._steps) else self._steps[i + 1][0]
            drops = bool(training and self.drop is not None)
            if drops and norm is not None:  # between the convolution and its norm
                y = norm_activation(self.drop.call(conv_norm(y, conv, None, training), training=True), norm, training, self.activation)
            else:
                y = conv_norm(y, conv, norm, training, None if norm is None else self.activation)
                y = self.drop.call(y, training=True) if drops else y
        return y

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        shape = list(input_shape)
        shape[self.channel_axis] = self.growth_rate
        return tuple(shape)


def joined(features: Any, axis: int) -> Any:
    """Features as one tensor."""
    return features[0] if len(features) == 1 else keras.ops.concatenate(features, axis)


def check_dense(
    growth_rate: Any, bottleneck: Any, dilation_rate: Any, dropout: Any, norm: Any, momentum: Any, epsilon: Any, remat: Any
) -> None:
    """Raises unless these are settings of a dense layer."""
    check_count("growth_rate", growth_rate)
    if bottleneck is not None:
        check_count("bottleneck", bottleneck)
    check_count("dilation_rate", dilation_rate)
    check_number("dropout", dropout, 0, 1)
    check_norm(norm, momentum, epsilon)
    check_flag("remat", remat)


def check_start(use_bias: Any, distribution: Any) -> None:
    """Raises unless these say which convolutions have a bias, and what kernels start from."""
    check_choice("use_bias", use_bias, (True, False, None))
    check_choice("distribution", distribution, ("untruncated_normal", "truncated_normal", "uniform"))
