"""The ImageNet ResNets with pre-activation: timm's, Big Transfer's, and keras.applications' own V2."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet.backend import geometry
from keras_resnet.layers import MaxPooling2D, NormActivation, PreActBasicBlock, PreActBottleneck
from keras_resnet.layers.configured import check_choice
from keras_resnet.models import network
from keras_resnet.models.row import Row

BLOCKS = {"basic": PreActBasicBlock, "bottleneck": PreActBottleneck}


def resnetv2(
    depths: Sequence[int] = (3, 4, 6, 3),
    widths: Sequence[int] = (64, 128, 256, 512),
    block: str = "bottleneck",
    groups: int = 1,
    group_width: int = 64,
    strides_in: str = "3x3",
    strides_at: str = "first",
    stem: str = "7x7",
    stem_width: int = 64,
    stem_pool: str = "max",
    shortcut: str | None = "projection",
    norm: str | None = "batch",
    norm_momentum: float = 0.9,
    norm_epsilon: float = 1e-5,
    activation: Any = "relu",
    conv: str = "plain",
    use_bias: bool | str | None = None,
    attention: str | None = None,
    attention_ratio: float = 1 / 16,
    zero_init_residual: bool = False,
    residual_scale: float | str = 1.0,
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
    name: str = "resnetv2",
) -> keras.Model:
    """Builds a pre-activation network of any depth and width; the defaults are timm's ResNetV2-50.

    ```
    image -- stem: conv 7x7, 64, /2 -- max 3x3, /2 -- stage1 (/4) -- ... -- stage4 (/32) -- norm -- relu -- mean -- dense
    ```

    Args:
        depths: blocks in each stage.
        widths: width of each stage's blocks; a bottleneck puts out four times as many channels. Big Transfer multiplies the defaults and
            `stem_width` by 1 to 4.
        block: `"basic"` (two 3x3) or `"bottleneck"` (1x1, 3x3, 1x1).
        groups, group_width, strides_in: as in `resnet`.
        strides_at: the block of a stage that strides: the `"first"`, or the `"last"` with a subsampled shortcut (keras.applications,
            whose last stage does not stride).
        stem: `"7x7"`, or three 3x3 convolutions: `"deep"` (half of `stem_width` twice, then all of it) or `"tiered"` (3/8, half, all).
        stem_width: channels of the stem.
        stem_pool: what lies beyond the border for the pool behind the stem: nothing (`"max"`), or zeros (`"zero_max"`: Big Transfer,
            keras.applications), which before an activation can be the largest.
        shortcut, norm, norm_momentum, norm_epsilon, activation, conv, use_bias, attention, attention_ratio, zero_init_residual,
            residual_scale, dropout, remat: as in `layers.Residual`.
        stochastic_depth, output_stride, data_format, dtype: as in `resnet`.
        include_top, input_tensor, input_shape, pooling, classes, classifier_activation, name: as in `resnet`.

    Returns:
        A `keras.Model` from `(n, height, width, channels)` to `(n, classes)`.

    Raises:
        ValueError: at an argument outside what is listed; nothing is built then.

    Source: He et al. 2016, arXiv:1603.05027; standardized weights and group normalization Kolesnikov et al. 2019 (Big Transfer),
    arXiv:1912.11370.
    """
    output_stride = network.check_stages(depths, widths, output_stride, 4)
    check_choice("strides_at", strides_at, ("first", "last"))
    check_choice("stem_pool", stem_pool, ("max", "zero_max"))
    data_format = geometry.standardize_data_format(data_format, keras.config.image_data_format())
    common = dict(
        norm=norm,
        norm_momentum=norm_momentum,
        norm_epsilon=norm_epsilon,
        activation=activation,
        conv=conv,
        use_bias=use_bias,
        data_format=data_format,
        dtype=dtype,
    )
    strides = network.stage_strides(depths)
    last = strides_at == "last"
    own = network.block_settings(block, groups, group_width, strides_in=strides_in)

    def settings(stage: int, place: int, width: int) -> dict:
        subsamples = last and 1 < place == depths[stage - 1]
        return {**own(stage, place, width), "shortcut": "identity" if subsamples and shortcut is not None else shortcut}

    def body(x: Any) -> Any:
        pool = dict(data_format=data_format, dtype=dtype)
        x = network.stem(stem, stem_width, preactivation=True, **common)(x)
        if stem_pool == "zero_max":
            x = keras.layers.ZeroPadding2D(1, name="stem_pad", **pool)(x)
        x = MaxPooling2D(3, 2, padding=1 if stem_pool == "max" else 0, name="stem_pool", **pool)(x)
        x = network.stages(
            x,
            BLOCKS[block],
            depths,
            widths,
            strides=strides[::-1] if last else strides,
            output_stride=output_stride,
            stride_so_far=4,
            block_settings=settings,
            strides_last=last,
            attention=attention,
            attention_ratio=attention_ratio,
            zero_init_residual=zero_init_residual,
            residual_scale=residual_scale,
            dropout=dropout,
            stochastic_depth=stochastic_depth,
            remat=remat,
            **common,
        )
        outer = {key: value for key, value in common.items() if key not in ("conv", "use_bias")}
        return NormActivation(name="post_norm", **outer)(x)

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


HE, TRANSFER = "1603.05027", "1912.11370"
D: dict[str, Any] = dict(stem="deep", shortcut="avg_pool")
T: dict[str, Any] = dict(stem="tiered", shortcut="avg_pool")
KERAS: dict[str, Any] = dict(strides_at="last", stem_pool="zero_max", use_bias="unnormalized", norm_epsilon=1.001e-5, norm_momentum=0.99)


def _big(factor: int) -> dict[str, Any]:
    widths = tuple(factor * width for width in (64, 128, 256, 512))
    return dict(widths=widths, stem_width=64 * factor, stem_pool="zero_max", conv="standardized", norm="group")


PRERESNETS = {
    #                      what differs from resnetv2()'s defaults                             trainable parameters, paper
    "resnetv2_18":         Row(dict(depths=(2, 2, 2, 2), block="basic"),                         11_687_720, resnetv2, HE),
    "resnetv2_18d":        Row(dict(depths=(2, 2, 2, 2), block="basic", **D),                    11_706_952, resnetv2, HE),
    "resnetv2_34":         Row(dict(depths=(3, 4, 6, 3), block="basic"),                         21_795_880, resnetv2, HE),
    "resnetv2_34d":        Row(dict(depths=(3, 4, 6, 3), block="basic", **D),                    21_815_112, resnetv2, HE),
    "resnetv2_50":         Row(dict(depths=(3, 4, 6, 3)),                                        25_549_352, resnetv2, HE),
    "resnetv2_50d":        Row(dict(depths=(3, 4, 6, 3), **D),                                   25_568_584, resnetv2, HE),
    "resnetv2_50t":        Row(dict(depths=(3, 4, 6, 3), **T),                                   25_566_048, resnetv2, HE),
    "resnetv2_101":        Row(dict(depths=(3, 4, 23, 3)),                                       44_541_480, resnetv2, HE),
    "resnetv2_101d":       Row(dict(depths=(3, 4, 23, 3), **D),                                  44_560_712, resnetv2, HE),
    "resnetv2_152":        Row(dict(depths=(3, 8, 36, 3)),                                       60_185_128, resnetv2, HE),
    "resnetv2_152d":       Row(dict(depths=(3, 8, 36, 3), **D),                                  60_204_360, resnetv2, HE),
    "resnetv2_50d_gn":     Row(dict(depths=(3, 4, 6, 3), **D, norm="group"),                     25_568_584, resnetv2, HE),
    "resnetv2_50x1_bit":   Row(dict(depths=(3, 4, 6, 3), **_big(1)),                             25_549_352, resnetv2, TRANSFER),
    "resnetv2_50x3_bit":   Row(dict(depths=(3, 4, 6, 3), **_big(3)),                            217_319_080, resnetv2, TRANSFER),
    "resnetv2_101x1_bit":  Row(dict(depths=(3, 4, 23, 3), **_big(1)),                            44_541_480, resnetv2, TRANSFER),
    "resnetv2_101x3_bit":  Row(dict(depths=(3, 4, 23, 3), **_big(3)),                           387_934_888, resnetv2, TRANSFER),
    "resnetv2_152x2_bit":  Row(dict(depths=(3, 8, 36, 3), **_big(2)),                           236_335_208, resnetv2, TRANSFER),
    "resnetv2_152x4_bit":  Row(dict(depths=(3, 8, 36, 3), **_big(4)),                           936_533_224, resnetv2, TRANSFER),
    "resnet50v2":          Row(dict(depths=(3, 4, 6, 3), **KERAS),                               25_568_360, resnetv2, HE),
    "resnet101v2":         Row(dict(depths=(3, 4, 23, 3), **KERAS),                              44_577_896, resnetv2, HE),
    "resnet152v2":         Row(dict(depths=(3, 8, 36, 3), **KERAS),                              60_236_904, resnetv2, HE),
}  # fmt: skip
