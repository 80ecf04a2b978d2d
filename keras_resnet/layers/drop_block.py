"""DropBlock: square pieces of the map left out at random during training."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.backend import geometry
from keras_resnet.layers.configured import check_count, check_number


@keras.saving.register_keras_serializable("keras_resnet")
class DropBlock2D(keras.layers.Layer):
    """Sets blocks of pixels to zero in training, in all channels alike, and scales the rest so that the mean over the batch stays.

    Each pixel is a block's centre with probability `gamma_scale * rate * h * w / (b_h * b_w * (h - b_h + 1) * (w - b_w + 1))`; a block
    `b_h` x `b_w` is no larger than the map.

    Args:
        rate: share of the pixels to drop, from 0 to below 1; somewhat less are, where blocks overlap or reach beyond the border.
        block_size: side of a block in pixels.
        gamma_scale: factor of the probability of a centre.
        seed: integer, or `None` for one from Keras's global seed.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input and output shape: `(n, height, width, channels)`, or channels first. In inference the input itself.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Ghiasi et al. 2018, arXiv:1810.12890, algorithm 1; centres anywhere in the map, as in timm.
    """

    def __init__(
        self,
        rate: float,
        block_size: int = 7,
        gamma_scale: float = 1.0,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_number("rate", rate, 0, 1)
        check_count("block_size", block_size)
        check_number("gamma_scale", gamma_scale, 0)
        self.rate = rate
        self.block_size = block_size
        self.gamma_scale = gamma_scale
        self.seed = seed
        self.data_format = geometry.standardize_data_format(data_format, keras.config.image_data_format())
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if not training or self.rate == 0:
            return inputs
        first = self.data_format == "channels_first"
        shape = keras.ops.shape(inputs)
        n, height, width = (shape[0], *shape[2:4]) if first else tuple(shape[:3])
        # Uniform numbers in float32: bfloat16 has 8 bits, too coarse for a small rate.
        centres = keras.random.uniform((n, height, width), dtype="float32", seed=self.seed_generator) < self.probability(height, width)
        keep = self.kept(keras.ops.cast(centres, "float32"))
        return inputs * keras.ops.cast(keras.ops.expand_dims(keep, 1 if first else -1), inputs.dtype)

    def probability(self, height: Any, width: Any) -> Any:
        """That a pixel is the centre of a block; sizes may be tensors."""
        result: Any = self.gamma_scale * self.rate
        for size in (height, width):
            size = keras.ops.cast(size, "float32")
            block = keras.ops.minimum(size, float(self.block_size))
            result = result * size / (block * (size - block + 1))
        return result

    def kept(self, centres: Any) -> Any:
        """From `centres`, `(n, height, width)` of zeros and ones, what each pixel is multiplied by: 0 in a block, else a scale."""
        dropped = centres
        for axis in (1, 2):
            # Sums up to each place, whose differences count the centres in reach: so blocks and maps may have any size.
            size = keras.ops.shape(centres)[axis]
            block = keras.ops.minimum(size, self.block_size)
            sums = keras.ops.cumsum(keras.ops.cast(dropped, "int32"), axis)
            sums = backend.pad(sums, [(1, 0) if i == axis else (0, 0) for i in range(3)])
            place = keras.ops.arange(size)
            end = keras.ops.minimum(place + block // 2 + 1, size)
            start = keras.ops.maximum(place - (block - 1) // 2, 0)
            dropped = keras.ops.take(sums, end, axis) > keras.ops.take(sums, start, axis)
        keep = 1.0 - keras.ops.cast(dropped, "float32")
        return keep / (keras.ops.mean(keep) + 1e-12)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> keras.KerasTensor:
        return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)

    def get_config(self) -> dict:
        names = ("rate", "block_size", "gamma_scale", "seed", "data_format")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
