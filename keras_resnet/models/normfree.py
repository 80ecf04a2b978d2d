"""The ResNets without normalization: scaled residuals, scaled and standardized weights."""

import math
from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet.backend import geometry
from keras_resnet.layers import MaxPooling2D, NormActivation, NormFreeBottleneck
from keras_resnet.layers.configured import check_number
from keras_resnet.models import network
from keras_resnet.models.row import Row


def nf_resnet(
    depths: Sequence[int] = (3, 4, 6, 3),
    widths: Sequence[int] = (64, 128, 256, 512),
    groups: int = 1,
    group_width: int = 64,
    stem: str = "7x7",
    stem_width: int = 64,
    shortcut: str | None = "avg_pool",
    activation: Any = "relu",
    attention: str | None = None,
    attention_ratio: float = 1 / 16,
    zero_init_residual: bool = True,
    residual_scale: float = 0.2,
    skip_init: bool = False,
    dropout: float = 0.0,
    stochastic_depth: float = 0.0,
    output_stride: int | None = None,
    remat: bool = False,
    data_format: str | None = None,
    dtype: Any = None,
    include_top: bool = True,
    input_tensor: Any = None,
    input_shape: Sequence | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "nf_resnet",
) -> keras.Model:
    """Builds a norm-free residual network of any depth and width; the defaults are NF-ResNet-50.

    ```
    image -- stem: conv 7x7, 64, /2 -- max 3x3, /2 -- stage1 (/4) -- ... -- stage4 (/32) -- relu -- mean -- dense
    ```

    Each block adds `residual_scale ** 2` to the variance, and the next one divides by its root; the first block of a stage, whose shortcut
    sees the divided input, starts again at 1.

    Args:
        depths: bottlenecks in each stage.
        widths: width of each stage's blocks; they put out four times as many channels.
        groups, group_width: as in `resnet`.
        stem: `"7x7"`, or three 3x3 convolutions: `"deep"` or `"tiered"`.
        stem_width: channels of the stem.
        zero_init_residual: whether every branch starts at zero, by its last gain.
        residual_scale: factor of the branch, from 0.
        skip_init: whether a learned scalar that starts at 0 multiplies each branch; then leave `zero_init_residual` out.
        shortcut, attention, attention_ratio, dropout, remat: as in `layers.Residual`.
        activation: one whose variance is known: `layers.ScaledStandardizedConv2D` lists them.
        stochastic_depth, output_stride, data_format, dtype: as in `resnet`.
        include_top, input_tensor, input_shape, pooling, classes, classifier_activation, name: as in `resnet`.

    Returns:
        A `keras.Model` from `(n, height, width, channels)` to `(n, classes)`.

    Raises:
        ValueError: at an argument outside what is listed; nothing is built then.

    Source: Brock et al. 2021, arXiv:2101.08692; the activation's gain stands in the weights, as in timm.
    """
    output_stride = network.check_stages(depths, widths, output_stride, 4)
    check_number("residual_scale", residual_scale, 0)
    data_format = geometry.standardize_data_format(data_format, keras.config.image_data_format())
    common = dict(activation=activation, data_format=data_format, dtype=dtype)
    own = network.block_settings("bottleneck", groups, group_width)

    def settings(stage: int, place: int, width: int) -> dict:
        before = depths[stage - 2] if stage > 1 and place == 1 else place - 1
        return {**own(stage, place, width), "input_scale": 1 / math.sqrt(1 + before * residual_scale**2)}

    def body(x: Any) -> Any:
        x = network.stem(stem, stem_width, preactivation=True, norm=None, conv="scaled", **common)(x)
        x = MaxPooling2D(3, 2, padding=1, data_format=data_format, dtype=dtype, name="stem_pool")(x)
        x = network.stages(
            x,
            NormFreeBottleneck,
            depths,
            widths,
            strides=network.stage_strides(depths),
            output_stride=output_stride,
            stride_so_far=4,
            block_settings=settings,
            shortcut=shortcut,
            attention=attention,
            attention_ratio=attention_ratio,
            zero_init_residual=zero_init_residual,
            residual_scale=residual_scale,
            skip_init=skip_init,
            dropout=dropout,
            stochastic_depth=stochastic_depth,
            remat=remat,
            **common,
        )
        return NormActivation(norm=None, name="post_norm", **common)(x)

    return network.classifier(
        body,
        size=224,
        include_top=include_top,
        input_tensor=input_tensor,
        input_shape=input_shape,
        pooling=pooling,
        classes=classes,
        classifier_activation=classifier_activation,
        data_format=data_format,
        dtype=dtype,
        name=name,
    )


FREE = "2101.08692"

NORM_FREE = {
    #                  what differs from nf_resnet()'s defaults        trainable parameters, paper
    "nf_resnet26":     Row(dict(depths=(2, 2, 2, 2)),                     15_995_176, nf_resnet, FREE),
    "nf_resnet50":     Row(dict(depths=(3, 4, 6, 3)),                     25_557_032, nf_resnet, FREE),
    "nf_resnet101":    Row(dict(depths=(3, 4, 23, 3)),                    44_549_160, nf_resnet, FREE),
    "nf_seresnet26":   Row(dict(depths=(2, 2, 2, 2), attention="se"),     17_395_976, nf_resnet, FREE),
    "nf_seresnet50":   Row(dict(depths=(3, 4, 6, 3), attention="se"),     28_088_024, nf_resnet, FREE),
    "nf_seresnet101":  Row(dict(depths=(3, 4, 23, 3), attention="se"),    49_326_872, nf_resnet, FREE),
    "nf_ecaresnet26":  Row(dict(depths=(2, 2, 2, 2), attention="eca"),    15_995_220, nf_resnet, FREE),
    "nf_ecaresnet50":  Row(dict(depths=(3, 4, 6, 3), attention="eca"),    25_557_118, nf_resnet, FREE),
    "nf_ecaresnet101": Row(dict(depths=(3, 4, 23, 3), attention="eca"),   44_549_331, nf_resnet, FREE),
}  # fmt: skip
