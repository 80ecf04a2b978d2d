"""The bottleneck with norm and activation before each convolution."""

import keras

from keras_resnet.layers.bottleneck import Bottleneck


@keras.saving.register_keras_serializable("keras_resnet")
class PreActBottleneck(Bottleneck):
    """`Bottleneck` with pre-activation: the sum passes on unchanged from block to block.

    ```
    x -- norm -- relu -+- conv 1x1, w -- norm -- relu -- conv 3x3, w, /s -- norm -- relu -- conv 1x1, 4f -- +
     \\                  \\----------------------------- [conv 1x1, 4f, /s] --------------------------------/
      \\-------------------------------------------- or as it is -----------------------------------------/
    ```

    Args: those of `Bottleneck`. `strides_in="1x1"` is the authors' code, `"3x3"` timm and keras.applications.

    Input shape: `(n, height, width, channels)`, or channels first. Output shape: `4 * filters` channels, `ceil(size / strides)` pixels.

    Source: He et al. 2016, arXiv:1603.05027, figure 1b and appendix.
    """

    preactivation = True
