"""From a map to what transformers work on: its vectors in a row, a class token in front, and where each of them was."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.backend import geometry
from keras_resnet.layers.configured import ConfiguredLayer, check_number
from keras_resnet.layers.initializer import HeNormal
from keras_resnet.layers.projection import DEVIATION
from keras_resnet.layers.resized_grid import resized_grid


@keras.saving.register_keras_serializable("keras_resnet")
class Tokens(ConfiguredLayer):
    """The vectors of a map row by row, behind a learned class token; a learned embedding of its position is added to each.

    ```
    class token, x[0, 0], x[0, 1], ... + positions
    ```

    Args:
        grid: height and width of the map whose positions are learned; for a map of another size they are resized, bicubically and
            smoothed where they shrink.
        dropout: share of the numbers that training sets to zero, from 0 to below 1.
        data_format: of the map: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: `(n, height, width, dim)`, or channels first. Output shape: `(n, 1 + height * width, dim)`.

    Raises:
        ValueError: at a grid that is not two integers of at least 1.

    Source: Dosovitskiy et al. 2020, arXiv:2010.11929, equation 1 and section 3.2.
    """

    def __init__(self, grid: tuple[int, int] = (14, 14), dropout: float = 0.0, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        check_number("dropout", dropout, 0, 1)
        self.keep({**locals(), "grid": geometry.pair(grid, "grid", least=1)})
        self.drop = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="drop") if dropout else None

    def build(self, input_shape: tuple) -> None:
        dim = self.expect(input_shape)
        count = 1 + self.grid[0] * self.grid[1]
        # Not cast by Keras: positions are resized in their own type. Both in the shapes that timm's files have.
        start = HeNormal(scale=1e-12 * dim, distribution="untruncated_normal")
        self.class_token = self.add_weight(name="class_token", shape=(1, 1, dim), initializer=start, autocast=False)
        start = HeNormal(scale=DEVIATION**2 * dim, distribution="untruncated_normal")
        self.position = self.add_weight(name="position", shape=(1, count, dim), initializer=start, autocast=False)
        self.finish_build()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        ops = keras.ops
        backend.record("positions")  # sums, which count as nothing; else `profile` would call this layer unknown
        x = ops.cast(inputs, self.compute_dtype)
        x = ops.transpose(x, (0, 2, 3, 1)) if self.data_format == "channels_first" else x
        count, *size, dim = ops.shape(x)
        position = self.position.value[0]
        first = ops.cast(self.class_token.value + position[:1], x.dtype)
        position = resized_grid(ops.reshape(position[1:], (*self.grid, dim)), tuple(size))
        x = ops.reshape(x + ops.cast(position, x.dtype), (-1, size[0] * size[1], dim))
        x = ops.concatenate([ops.broadcast_to(first, (count, 1, dim)), x], 1)
        return x if self.drop is None else self.drop.call(x, training=training)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        count, *size = input_shape
        dim = size.pop(0 if self.data_format == "channels_first" else -1)
        return (count, None if None in size else 1 + size[0] * size[1], dim)
