"""The block of ResNet-50 and deeper, ResNeXt and wide ResNets."""

from typing import Any

import keras

from keras_resnet.layers.configured import check_choice, check_count
from keras_resnet.layers.residual import Residual


@keras.saving.register_keras_serializable("keras_resnet")
class Bottleneck(Residual):
    """A 3x3 convolution between two 1x1 ones that narrow the channels and widen them again.

    ```
    x -- conv 1x1, w -- norm -- relu -- conv 3x3, w, /s -- norm -- relu -- conv 1x1, 4f -- norm -- + -- relu
     \\------------------------------- [conv 1x1, 4f, /s -- norm] --------------------------------/
    ```

    Args:
        filters: the block's width f; it puts out 4f channels.
        strides: 1, or the step by which the block makes the image smaller.
        groups: of the 3x3 convolution, the cardinality of ResNeXt.
        first_width: channels behind the first 1x1 convolution, `None` for w.
        width: channels w between the 1x1 convolutions, `None` for f; a multiple of `groups`.
        strides_in: the convolution that strides: `"3x3"` (torchvision, timm; "v1.5") or the first `"1x1"` (the paper,
            keras.applications).
        **kwargs: the rest of `Residual`.

    Input shape: `(n, height, width, channels)`, or channels first. Output shape: `4 * filters` channels, `ceil(size / strides)` pixels.

    Source: He et al. 2015, arXiv:1512.03385, figure 5 right; groups Xie et al. 2016, arXiv:1611.05431; width Zagoruyko and Komodakis
    2016, arXiv:1605.07146.
    """

    expansion = 4

    def __init__(
        self,
        filters: int,
        strides: int = 1,
        groups: int = 1,
        width: int | None = None,
        first_width: int | None = None,
        strides_in: str = "3x3",
        **kwargs: Any,
    ):
        super().__init__(filters, strides, **kwargs)
        check_choice("strides_in", strides_in, ("3x3", "1x1"))
        check_count("groups", groups)
        inner = filters if width is None else width
        check_count("width", inner)
        first = inner if first_width is None else first_width
        check_count("first_width", first)
        if inner % groups or first % groups:
            raise ValueError(
                f"`groups` must divide the inner width. Received: groups={groups}, width={inner}"
                + (f", first_width={first}." if first != inner else ".")
            )
        self.keep(locals())

    def branch(self) -> list[dict]:
        inner = self.width or self.filters
        first = self.first_width or inner
        # The 3x3 convolution stands behind a strided 1x1 one, so where dilation replaces the stride it looks as widely as those after it.
        early = self.strides_in == "1x1"
        striding: dict = dict(strides=self.strides)
        rate = self.dilation_rate if early else self.dilations[0]
        return [
            dict(filters=first, kernel_size=1, **(striding if early else {})),
            dict(filters=inner, kernel_size=3, dilation_rate=rate, groups=self.groups, **({} if early else striding)),
            dict(filters=self.filters * self.expansion, kernel_size=1),
        ]
