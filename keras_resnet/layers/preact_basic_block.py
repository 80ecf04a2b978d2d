"""The basic block with norm and activation before each convolution."""

import keras

from keras_resnet.layers.basic_block import BasicBlock


@keras.saving.register_keras_serializable("keras_resnet")
class PreActBasicBlock(BasicBlock):
    """`BasicBlock` with pre-activation: the sum passes on unchanged from block to block.

    ```
    x -- norm -- relu -+- conv 3x3, f, /s -- norm -- relu -- conv 3x3, f -- +
     \\                  \\--------------- [conv 1x1, f, /s] ---------------/
      \\------------------------------ or as it is -----------------------/
    ```

    Args: those of `Residual`.

    Input shape: `(n, height, width, channels)`, or channels first. Output shape: `filters` channels, `ceil(size / strides)` pixels a side.

    Source: He et al. 2016, arXiv:1603.05027, figure 1b; the projection takes the pre-activated input as in the authors' code.
    """

    preactivation = True
