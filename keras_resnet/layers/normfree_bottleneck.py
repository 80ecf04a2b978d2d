"""The bottleneck without any norm, whose scale is kept by its weights and by constants."""

from typing import Any

import keras

from keras_resnet.layers.configured import check_flag, check_number
from keras_resnet.layers.preact_bottleneck import PreActBottleneck


@keras.saving.register_keras_serializable("keras_resnet")
class NormFreeBottleneck(PreActBottleneck):
    """`PreActBottleneck` that divides by the deviation it expects of its input, where others measure one.

    ```
    x -- relu -- * input_scale -+- conv 1x1 -- relu -- conv 3x3, /s -- relu -- conv 1x1 -- * residual_scale -- +
     \\                          \\------------- [mean 2x2, /s -- conv 1x1, 4f] ------------------------------/
      \\------------------------------------ or as it is ------------------------------------------------------/
    ```

    The convolutions are scaled and standardized, and have a bias. What attention puts out counts twice, since its gate is 1/2 on average.
    With `zero_init_residual` the branch starts at zero by its last gain.

    Args:
        filters: the block's width f; it puts out 4f channels.
        strides: 1, or the step by which the block makes the image smaller.
        input_scale: one over the standard deviation that the input is expected to have.
        residual_scale: factor of the branch, 0.2 in the paper.
        skip_init: whether a learned scalar that starts at 0 multiplies the branch, too.
        **kwargs: the rest of `Bottleneck`.

    Input shape: `(n, height, width, channels)`, or channels first. Output shape: `4 * filters` channels, `ceil(size / strides)` pixels.

    Source: Brock et al. 2021, arXiv:2101.08692; SkipInit De and Smith 2020, arXiv:2002.10444.
    """

    _zeroed = "gain_initializer"

    def __init__(
        self,
        filters: int,
        strides: int = 1,
        input_scale: float = 1.0,
        residual_scale: float = 0.2,
        skip_init: bool = False,
        shortcut: str | None = "avg_pool",
        norm: None = None,
        conv: str = "scaled",
        **kwargs: Any,
    ):
        super().__init__(filters, strides, shortcut=shortcut, norm=norm, conv=conv, residual_scale=residual_scale, **kwargs)
        check_number("input_scale", input_scale, 0)
        check_number("residual_scale", residual_scale)
        check_flag("skip_init", skip_init)
        if norm is not None:
            raise ValueError(f"`norm` must be None: this block has none. Received: norm={norm!r}.")
        self.keep(locals())

    def build(self, input_shape: tuple) -> None:
        super().build(input_shape)
        if self.skip_init:
            self.residual_gain = self.add_weight(name="residual_gain", shape=(), initializer="zeros")

    def _attend(self, y: Any) -> Any:
        return 2.0 * super()._attend(y)

    def _preactivate(self, x: Any, training: bool | None) -> Any:
        y = super()._preactivate(x, training)
        return y if self.input_scale == 1 else y * self.input_scale

    def _rescale(self, y: Any, training: bool | None) -> Any:
        y = super()._rescale(y, training)
        return y if self.residual_gain is None else y * keras.ops.cast(self.residual_gain.value, y.dtype)

    def _rescales(self, training: bool | None) -> bool:
        return self.skip_init or super()._rescales(training)
