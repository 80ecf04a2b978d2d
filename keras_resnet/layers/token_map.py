"""From tokens back to a map."""

from typing import Any

import keras

from keras_resnet.layers.configured import ConfiguredLayer


@keras.saving.register_keras_serializable("keras_resnet")
class TokenMap(ConfiguredLayer):
    """The tokens of a map at their places again, without the class token: `TokenMap()([tokens, image_map])`.

    Args:
        data_format: of both maps: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: tokens `(n, 1 + height * width, dim)`, and the map that `Tokens` made them of, of which only the size matters.
    Output shape: `(n, height, width, dim)`, or channels first.
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.keep(locals())

    def call(self, inputs: Any) -> Any:
        tokens, image_map = inputs
        shape = keras.ops.shape(image_map)
        size = shape[2:4] if self.data_format == "channels_first" else shape[1:3]
        y = keras.ops.reshape(tokens[:, 1:], (-1, *size, tokens.shape[2]))
        return keras.ops.transpose(y, (0, 3, 1, 2)) if self.data_format == "channels_first" else y

    def compute_output_shape(self, input_shape: Any) -> tuple:
        (count, _, dim), (_, *size) = input_shape
        del size[0 if self.data_format == "channels_first" else -1]
        return (count, dim, *size) if self.data_format == "channels_first" else (count, *size, dim)
