"""The attention gates of Attention U-Net's authors, who weigh a skip on the coarser grid of what lies deeper."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.backend import reference
from keras_resnet.layers.attention_gate import AttentionGate
from keras_resnet.layers.configured import ConfiguredLayer, check_count
from keras_resnet.layers.conv_norm import conv_norm, create_conv_norm
from keras_resnet.layers.normalization import check_norm


@keras.saving.register_keras_serializable("keras_resnet")
class GridAttentionGate(ConfiguredLayer):
    """`GridAttentionGate(f)([skip, gating])` is the skip, weighed on the grid of the gating signal, which is half its size.

    ```
    skip ---- conv 2x2, f, /2 -------- + -- relu -- conv 1x1, 1 -- sigmoid -- enlarge (bilinear), *2 -- * skip -- conv 1x1 -- norm --
    gating -- conv 1x1, f (bias) -----/
                                                                               of all gates: concat -- conv 1x1 -- norm -- relu
    ```

    Args:
        filters: f; the authors have the skip's channels.
        gates: how many such gates stand side by side, in the paper 1 or 2.
        norm: `"batch"`, `"group"`, `"instance"`, `"layer"` or `None`.
        norm_momentum, norm_epsilon: of the norm.
        activation: any Keras activation, by name or function.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.

    Input shape: two maps, `(n, height, width, channels)` or `(n, depth, height, width, channels)`, or channels first; the first has even
    sides, twice those of the second. Output shape: that of the first.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Oktay et al. 2018, arXiv:1804.03999, figure 2, and the authors' published networks.
    """

    takes_volumes = True

    def __init__(
        self,
        filters: int,
        gates: int = 1,
        norm: str | None = "batch",
        norm_momentum: float = 0.9,
        norm_epsilon: float = 1e-5,
        activation: Any = "relu",
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_count("filters", filters)
        check_count("gates", gates)
        check_norm(norm, norm_momentum, norm_epsilon)
        self.keep(locals())

    def build(self, input_shape: Any) -> None:
        gating, skip = (self.expect(shape) for shape in reversed(input_shape))
        self.input_spec = None
        self._gates: list = []
        for place in range(1, self.gates + 1):
            strided: dict = dict(strides=2, padding="valid", use_bias=False)
            of_skip, _ = create_conv_norm(self, f"{place}_skip", skip, self.filters, 2, normalized=False, **strided)
            of_gating, _ = create_conv_norm(self, f"{place}_gating", gating, self.filters, 1, normalized=False)
            weight, _ = create_conv_norm(self, f"{place}_weight", self.filters, 1, 1, normalized=False)
            self._gates.append((of_skip, of_gating, weight, *create_conv_norm(self, f"{place}_out", skip, skip, 1, use_bias=True)))
        self._joined = create_conv_norm(self, "_joined", self.gates * skip, skip, 1, use_bias=True)
        self.finish_build()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        skip, gating = (self.enter(one) for one in inputs)
        shape = keras.ops.shape(skip)
        sizes = tuple(shape[axis] for axis in reference.spatial_axes(self.inner_format, len(shape)))
        found = []
        for of_skip, of_gating, weight, conv, norm in self._gates:
            y = conv_norm(gating, of_gating, None, training)
            y = conv_norm(skip, of_skip, None, training, self.activation, y)
            y = keras.ops.sigmoid(conv_norm(y, weight, None, training))
            found.append(conv_norm(skip * backend.upsample(y, sizes, "bilinear", self.inner_format), conv, norm, training))
        y = found[0] if len(found) == 1 else keras.ops.concatenate(found, self.inner_channel_axis)
        conv, norm = self._joined
        return self.leave(conv_norm(y, conv, norm, training, self.activation))

    compute_output_shape = AttentionGate.compute_output_shape
    compute_output_spec = AttentionGate.compute_output_spec
