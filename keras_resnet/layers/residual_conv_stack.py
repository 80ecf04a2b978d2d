"""The residual block of nnU-Net's encoders, for images and volumes: a stack of convolutions with a shortcut around it."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.layers.conv_norm import conv_norm, create_conv_norm
from keras_resnet.layers.conv_stack import ConvStack


@keras.saving.register_keras_serializable("keras_resnet")
class ResidualConvStack(ConvStack):
    """A `ConvStack` to whose last norm the input is added, in front of the activation.

    ```
    x -- conv 3x3, f, /s -- norm -- relu -- conv 3x3, f -- norm -- + -- relu
     \\-- [mean s x s, /s] -- [conv 1x1, f -- norm] ----------------/
    ```

    The mean is there where something strides, the 1x1 convolution, which has no bias where there is a norm, where the channels change.

    Args: those of `ConvStack`; `padding` is `"same"`.

    Input and output shape: those of `ConvStack`. What strides takes sides that the strides divide.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Isensee et al. 2024, arXiv:2404.09556, "ResEnc"; the shortcut He et al. 2018, arXiv:1812.01187.
    """

    def __init__(self, filters: Any, padding: str = "same", **kwargs: Any):
        super().__init__(filters, padding=padding, **kwargs)
        if padding != "same":
            raise ValueError(f"`padding` must be 'same': the shortcut keeps the map's size. Received: padding={padding!r}.")

    def build_steps(self, channels: int) -> None:
        super().build_steps(channels)
        self._shortcut: Any = None
        if channels != self.filters[-1]:
            self._shortcut = create_conv_norm(self, "_shortcut", channels, self.filters[-1], 1)

    def run_steps(self, x: Any, training: bool | None) -> Any:
        strides = self._numbers("strides")
        around = x if max(strides) == 1 else backend.average_pool(x, strides, strides, "valid", self.inner_format)
        if self._shortcut is not None:
            conv, norm = self._shortcut
            around = conv_norm(around, conv, norm, training)
        for conv, norm in self._steps[:-1]:
            x = conv_norm(x, conv, norm, training, self.activation)
        conv, norm = self._steps[-1]
        return conv_norm(x, conv, norm, training, self.activation, around)
