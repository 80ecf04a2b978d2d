"""The block of ResNet-18, 34 and the CIFAR networks."""

import keras

from keras_resnet.layers.residual import Residual


@keras.saving.register_keras_serializable("keras_resnet")
class BasicBlock(Residual):
    """Two 3x3 convolutions around which the input is added.

    ```
    x -- conv 3x3, f, /s -- norm -- relu -- conv 3x3, f -- norm -- + -- relu
     \\----------------- [conv 1x1, f, /s -- norm] ---------------/
    ```

    Args: those of `Residual`.

    Input shape: `(n, height, width, channels)`, or channels first. Output shape: `filters` channels, `ceil(size / strides)` pixels a side.

    Source: He et al. 2015, arXiv:1512.03385, figure 5 left.
    """

    def branch(self) -> list[dict]:
        first, later = self.dilations
        return [
            dict(filters=self.filters, kernel_size=3, strides=self.strides, dilation_rate=first),
            dict(filters=self.filters, kernel_size=3, dilation_rate=later),
        ]
