"""2-D convolution with symmetric padding by whole pixels, as the published networks and their weights use it."""

import keras

from keras_resnet.layers.window_convolution import WindowConvolution


@keras.saving.register_keras_serializable("keras_resnet")
class Conv2D(WindowConvolution, keras.layers.Conv2D):
    """Keras's `Conv2D`, faster, and with integer padding: `Conv2D(64, 3, strides=2, padding=1)`.

    Keras's `"same"` pads an even image by one pixel less at the top and left when it strides; torchvision, timm and the papers pad both
    sides alike, and weights trained there lose accuracy under the other. The configuration, the variables and their order are Keras's.

    Args:
        filters: number of output channels, positive.
        kernel_size: window in pixels, one integer or (height, width).
        strides: step in pixels, one integer or (height, width).
        padding: `"valid"`, `"same"` (Keras's), or pixels a side: one integer or (height, width).
        **kwargs: the rest of `keras.layers.Conv2D`: `data_format, dilation_rate, groups, activation, use_bias, kernel_initializer ...`

    Input shape: `(n, height, width, channels)`; `(n, channels, height, width)` with `data_format="channels_first"`.
    Output shape: the same with `filters` channels and `(size + 2 * padding - window) // stride + 1` pixels a side.

    Raises:
        ValueError: at an impossible argument, and at an image smaller than the window.

    Source: symmetric padding as in He et al. 2015, arXiv:1512.03385, and torchvision.
    """
