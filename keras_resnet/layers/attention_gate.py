"""Attention gates: where on a skip connection to look, from what lies deeper."""

from typing import Any

import keras

from keras_resnet.layers.configured import ConfiguredLayer, check_count
from keras_resnet.layers.conv_norm import conv_norm, create_conv_norm
from keras_resnet.layers.normalization import check_norm


@keras.saving.register_keras_serializable("keras_resnet")
class AttentionGate(ConfiguredLayer):
    """`AttentionGate(f)([skip, gating])` is the skip, weighed at each pixel by a number between 0 and 1.

    ```
    skip ---- conv 1x1, f -- norm -- + -- relu -- conv 1x1, 1 -- norm -- sigmoid -- * skip
    gating -- conv 1x1, f -- norm --/
    ```

    Args:
        filters: f; the original has half of the skip's channels.
        norm: `"batch"`, `"group"`, `"instance"`, `"layer"` or `None`.
        norm_momentum, norm_epsilon: of the norm.
        activation: any Keras activation, by name or function.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: two maps of one size, `(n, height, width, channels)` or `(n, depth, height, width, channels)`, or channels first.
    Output shape: that of the first.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Oktay et al. 2018, arXiv:1804.03999; in the form that most two-dimensional networks have it: the gating signal is enlarged
    first, and each convolution has a bias and a norm. The authors' own is `GridAttentionGate`.
    """

    takes_volumes = True

    def __init__(
        self,
        filters: int,
        norm: str | None = "batch",
        norm_momentum: float = 0.9,
        norm_epsilon: float = 1e-5,
        activation: Any = "relu",
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_count("filters", filters)
        check_norm(norm, norm_momentum, norm_epsilon)
        self.keep(locals())

    def build(self, input_shape: Any) -> None:
        skip, gating = (self.expect(shape) for shape in input_shape)
        self.input_spec = None
        self._of_skip = create_conv_norm(self, "_skip", skip, self.filters, 1, use_bias=True)
        self._of_gating = create_conv_norm(self, "_gating", gating, self.filters, 1, use_bias=True)
        self._weight = create_conv_norm(self, "_weight", self.filters, 1, 1, use_bias=True)
        self.finish_build()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        skip, gating = (self.enter(one) for one in inputs)
        (conv1, norm1), (conv2, norm2), (conv3, norm3) = self._of_gating, self._of_skip, self._weight
        y = conv_norm(gating, conv1, norm1, training)
        y = conv_norm(skip, conv2, norm2, training, self.activation, y)
        return self.leave(skip * keras.ops.sigmoid(conv_norm(y, conv3, norm3, training)))

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return tuple(input_shape[0])

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> keras.KerasTensor:
        return keras.KerasTensor(tuple(inputs[0].shape), dtype=self.compute_dtype)
