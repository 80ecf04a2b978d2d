"""The stem of vision transformers: the image cut into squares, each projected to a vector."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.backend import geometry
from keras_resnet.layers.configured import ConfiguredLayer, check_count
from keras_resnet.layers.conv_norm import conv_norm
from keras_resnet.layers.convolution import Conv2D
from keras_resnet.layers.image_size import SizedLayer, check_image_size
from keras_resnet.layers.initializer import HeNormal


@keras.saving.register_keras_serializable("keras_resnet")
class PatchStem(SizedLayer, ConfiguredLayer):
    """A convolution whose step is its window: `PatchStem(768)` makes 14x14 vectors of 224x224 pixels.

    ```
    x -- [zeros below and right] -- conv 16x16, f, /16
    ```

    An image that the patches do not divide is padded by zeros at the bottom and right.

    Args:
        filters: channels of a vector.
        patch_size: pixels a side of a patch.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: `(n, height, width, channels)`, or channels first. Output shape: `filters` channels, `ceil(size / patch_size)` a side.

    Raises:
        ValueError: for an image smaller than a patch.

    Source: Dosovitskiy et al. 2020, arXiv:2010.11929, section 3.1; padding as timm's `dynamic_img_pad`.
    """

    def __init__(self, filters: int, patch_size: int = 16, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        check_count("filters", filters)
        check_count("patch_size", patch_size)
        self.keep(locals())

    def build(self, input_shape: tuple) -> None:
        channels = self.expect(input_shape)
        start = HeNormal(scale=1 / 3, mode="fan_in", distribution="uniform")  # as PyTorch starts it
        self.conv = Conv2D(
            self.filters,
            self.patch_size,
            self.patch_size,
            kernel_initializer=start,
            data_format=self.inner_format,
            dtype=self.dtype_policy,
            name="conv",
        )
        self.build_child(self.conv, channels)
        self.finish_build()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        self.check_size(inputs.shape)
        x = self.enter(inputs)
        first = self.inner_format == "channels_first"
        sizes = tuple(x.shape[2:4]) if first else tuple(x.shape[1:3])
        # Of a size that is not known, as within a `tf.function`, the pixels beyond the last whole patch are never looked at.
        pads = [(0, -size % self.patch_size if isinstance(size, int) else self.patch_size - 1) for size in sizes]
        if any(map(any, pads)):
            x = backend.pad(x, [(0, 0), (0, 0), *pads] if first else [(0, 0), *pads, (0, 0)])
        return self.leave(conv_norm(x, self.conv, None, training))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        self.check_size(input_shape)
        strides = (self.patch_size, self.patch_size)
        return geometry.window_output_shape(input_shape, self.filters, (1, 1), strides, "same", self.data_format)

    def check_size(self, shape: tuple) -> None:
        """Raises where images of this shape, with the batch, are smaller than a patch."""
        check_image_size(shape, self.data_format, self.patch_size)
