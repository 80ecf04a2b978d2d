"""3-D convolution: of volumes, with the padding and the operations of `Conv2D`."""

from typing import Any

import keras

from keras_resnet.backend import geometry
from keras_resnet.layers.window_convolution import WindowConvolution


@keras.saving.register_keras_serializable("keras_resnet")
class Conv3D(WindowConvolution, keras.layers.Conv3D):
    """Keras's `Conv3D` with integer padding: `Conv3D(32, 3, strides=2, padding=1)`.

    Args:
        filters: number of output channels, positive.
        kernel_size: window in voxels, one integer or (depth, height, width).
        strides: step in voxels, one integer or (depth, height, width).
        padding: `"valid"`, `"same"` (Keras's), or voxels a side: one integer or (depth, height, width).
        **kwargs: the rest of `keras.layers.Conv3D`.

    Input shape: `(n, depth, height, width, channels)`; `(n, channels, depth, height, width)` with `data_format="channels_first"`.
    Output shape: the same with `filters` channels and `(size + 2 * padding - window) // stride + 1` voxels a side.

    Raises:
        ValueError: at an impossible argument, and at a volume smaller than the window.

    Source: symmetric padding as in Isensee et al. 2021, arXiv:1809.10486, and PyTorch.
    """

    @staticmethod
    def standardize_padding(padding: Any) -> geometry.Padding:
        return geometry.standardize_padding(padding) if isinstance(padding, str) else geometry.numbers(padding, "padding", 3, 0)
