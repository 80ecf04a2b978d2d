"""The ImageNet ResNets: a stem, four stages of residual blocks, global mean, dense head; and all that was made of them since.

Pre-activation is in `preresnet.py`, CIFAR's networks in `cifar.py`, those without norm in `normfree.py`.
"""

from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet.backend import geometry
from keras_resnet.layers import AveragePooling2D, BasicBlock, BlurPooling2D, Bottleneck, MaxPooling2D, Stem
from keras_resnet.layers.configured import check_choice, check_flag
from keras_resnet.models import network
from keras_resnet.models.row import Row

BLOCKS = {"basic": BasicBlock, "bottleneck": Bottleneck}
# Square size and factor of DropBlock in the last two stages, as timm has them.
DROP_BLOCKS = {-2: (5, 0.25), -1: (3, 1.0)}


def resnet(
    depths: Sequence[int] = (3, 4, 6, 3),
    widths: Sequence[int] = (64, 128, 256, 512),
    block: str = "bottleneck",
    groups: int = 1,
    group_width: int = 64,
    reduce_first: int = 1,
    strides_in: str = "3x3",
    stem: str = "7x7",
    stem_width: int = 64,
    stem_pool: str = "max",
    shortcut: str | None = "projection",
    zero_padding: str = "end",
    norm: str | None = "batch",
    norm_momentum: float = 0.9,
    norm_epsilon: float = 1e-5,
    activation: Any = "relu",
    conv: str = "plain",
    use_bias: bool | str | None = None,
    attention: str | None = None,
    attention_ratio: float = 1 / 16,
    anti_alias: str | None = None,
    zero_init_residual: bool = False,
    residual_scale: float | str = 1.0,
    dropout: float = 0.0,
    drop_block: float = 0.0,
    stochastic_depth: float = 0.0,
    output_stride: int | None = None,
    dilates_first: bool = False,
    remat: bool = False,
    data_format: str | None = None,
    dtype: Any = None,
    include_top: bool = True,
    input_tensor: Any = None,
    input_shape: Sequence | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet",
) -> keras.Model:
    """Builds a residual network of any depth and width; the defaults are ResNet-50.

    ```
    image -- stem: conv 7x7, 64, /2 -- max 3x3, /2 -- stage1 (/4) -- stage2 (/8) -- stage3 (/16) -- stage4 (/32) -- mean -- dense
    ```

    Args:
        depths: blocks in each stage.
        widths: width of each stage's blocks; a bottleneck puts out four times as many channels.
        block: `"basic"` (two 3x3) or `"bottleneck"` (1x1, 3x3, 1x1).
        groups, group_width: cardinality of the 3x3 convolution, and channels of a group at width 64 (ResNeXt-50 32x4d: 32 and 4; wide
            ResNet-50-2: 1 and 128). Bottlenecks only.
        reduce_first: by how much a bottleneck's first convolution is narrower than its second (SENet-154: 2).
        strides_in: `"3x3"` (torchvision, timm) or `"1x1"` (the paper, keras.applications). Bottlenecks only.
        stem: `"7x7"`, or three 3x3 convolutions: `"deep"` (half of `stem_width` twice, then all of it) or `"tiered"` (3/8, half, all).
        stem_width: channels of the stem.
        stem_pool: what makes the map smaller behind the stem: `"max"`, or `"conv"` (3x3 with norm and activation, ResNet-RS).
        anti_alias: as in `layers.Residual`, and in the stem's pool: `"average"` takes its place, `"blur"` strides behind it.
        shortcut, zero_padding, norm, norm_momentum, norm_epsilon, activation, conv, use_bias, attention, attention_ratio,
            zero_init_residual, residual_scale, dropout, remat: as in `layers.Residual`.
        drop_block: DropBlock's share in the last two stages.
        stochastic_depth: share of the last block's samples that skip its branch in training; earlier blocks' shares grow to it from 0.
        output_stride: how many pixels of the image the last map's step covers: 8, 16 or 32; dilation takes the place of the
            strides beyond it. `None` for all strides.
        dilates_first: whether in a stage whose stride became dilation the first block is dilated as those behind it, as in
            segmentation_models.pytorch; else as the stage before, which keeps what its weights see: torchvision, timm.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.
        dtype: dtype policy, such as `"mixed_bfloat16"`; `None` for Keras's setting. The head stays in the variables' type.
        include_top: whether to end in global mean and classifier.
        input_tensor: a KerasTensor to build on.
        input_shape: without the batch; any number of channels, 32 pixels or more or `None`. Default (224, 224, 3), without top
            (None, None, 3).
        pooling: without top: `None` (the map), `"avg"` or `"max"`.
        classes: number of outputs.
        classifier_activation: `"softmax"`, or `None` for logits.
        name: of the model.

    Returns:
        A `keras.Model` from `(n, height, width, channels)` to `(n, classes)`.

    Raises:
        ValueError: at an argument outside what is listed; nothing is built then.

    Source: He et al. 2015, arXiv:1512.03385, with the stride on the 3x3 convolution as torchvision and timm have it; deep stem and average
    shortcut He et al. 2018, arXiv:1812.01187; convolution in place of the pool Bello et al. 2021, arXiv:2103.07579. The average of timm's
    `resnetaa` leaves out an odd map's last row and column in the branch; here it is over what there is, so that any size works.
    """
    output_stride = network.check_stages(depths, widths, output_stride, 4)
    check_flag("dilates_first", dilates_first)
    check_choice("stem_pool", stem_pool, ("max", "conv"))
    if anti_alias is not None and stem_pool == "conv":
        raise ValueError(f"`stem_pool` must be 'max' where there is `anti_alias`. Received: stem_pool='conv', {anti_alias=}.")
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

    own = network.block_settings(block, groups, group_width, reduce_first, strides_in)

    def settings(stage: int, place: int, width: int) -> dict:
        size, scale = DROP_BLOCKS.get(stage - 1 - len(depths), (1, 0.0))
        drops = dict(drop_block=drop_block, drop_block_size=size, drop_block_scale=scale) if scale else {}
        return {**own(stage, place, width), **drops}

    def body(x: Any) -> Any:
        x = network.stem(stem, stem_width, **common)(x)
        pool = dict(data_format=data_format, dtype=dtype)
        if stem_pool == "conv":
            x = Stem(stem_width, 3, 2, name="stem_pool", **common)(x)
        elif anti_alias == "average":
            x = AveragePooling2D(2, 2, "same", name="stem_pool", **pool)(x)
        else:
            x = MaxPooling2D(3, 2 if anti_alias is None else 1, padding=1, name="stem_pool", **pool)(x)
        if anti_alias == "blur":
            x = BlurPooling2D(strides=2, name="stem_blur", **pool)(x)
        return network.stages(
            x,
            BLOCKS[block],
            depths,
            widths,
            strides=network.stage_strides(depths),
            output_stride=output_stride,
            dilates_first=dilates_first,
            stride_so_far=4,
            block_settings=settings,
            shortcut=shortcut,
            zero_padding=zero_padding,
            attention=attention,
            attention_ratio=attention_ratio,
            anti_alias=anti_alias,
            zero_init_residual=zero_init_residual,
            residual_scale=residual_scale,
            dropout=dropout,
            stochastic_depth=stochastic_depth,
            remat=remat,
            **common,
        )

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


HE, BAG, WIDE, NEXT = "1512.03385", "1812.01187", "1605.07146", "1611.05431"
SENET, ECA, RESNET_RS, BLUR, GROUP = "1709.01507", "1910.03151", "2103.07579", "1904.11486", "1803.08494"
C: dict[str, Any] = dict(stem="deep")
S: dict[str, Any] = dict(stem="deep", stem_width=128)
D: dict[str, Any] = dict(stem="deep", shortcut="avg_pool")
T: dict[str, Any] = dict(stem="tiered", shortcut="avg_pool")
SE: dict[str, Any] = dict(attention="se")
AA: dict[str, Any] = dict(anti_alias="average")
RS: dict[str, Any] = dict(**D, stem_pool="conv", attention="se", attention_ratio=0.25)
SENET154: dict[str, Any] = dict(**S, **SE, shortcut="projection_3x3", groups=64, group_width=4, reduce_first=2)
KERAS: dict[str, Any] = dict(strides_in="1x1", use_bias=True, norm_epsilon=1.001e-5, norm_momentum=0.99)

RESNETS = {
    #                              what differs from resnet()'s defaults                              trainable parameters, paper
    # He et al. 2015; 26 is timm's
    "resnet18":              Row(dict(depths=(2, 2, 2, 2), block="basic"),                                 11_689_512, resnet, HE),
    "resnet26":              Row(dict(depths=(2, 2, 2, 2)),                                                15_995_176, resnet, HE),
    "resnet34":              Row(dict(depths=(3, 4, 6, 3), block="basic"),                                 21_797_672, resnet, HE),
    "resnet50":              Row(dict(depths=(3, 4, 6, 3)),                                                25_557_032, resnet, HE),
    "resnet101":             Row(dict(depths=(3, 4, 23, 3)),                                               44_549_160, resnet, HE),
    "resnet152":             Row(dict(depths=(3, 8, 36, 3)),                                               60_192_808, resnet, HE),
    "resnet200":             Row(dict(depths=(3, 24, 36, 3)),                                              64_673_832, resnet, HE),
    # the same without shortcuts
    "plain18":               Row(dict(depths=(2, 2, 2, 2), block="basic", shortcut=None),                  11_515_688, resnet, HE),
    "plain34":               Row(dict(depths=(3, 4, 6, 3), block="basic", shortcut=None),                  21_623_848, resnet, HE),
    # deep stems (C: 64 channels, S: 128), and with an average in the shortcut (D; T: with a tiered stem)
    "resnet10t":             Row(dict(depths=(1, 1, 1, 1), block="basic", **T),                             5_435_488, resnet, BAG),
    "resnet14t":             Row(dict(depths=(1, 1, 1, 1), **T),                                           10_081_632, resnet, BAG),
    "resnet18d":             Row(dict(depths=(2, 2, 2, 2), block="basic", **D),                            11_708_744, resnet, BAG),
    "resnet26d":             Row(dict(depths=(2, 2, 2, 2), **D),                                           16_014_408, resnet, BAG),
    "resnet26t":             Row(dict(depths=(2, 2, 2, 2), **T),                                           16_011_872, resnet, BAG),
    "resnet34d":             Row(dict(depths=(3, 4, 6, 3), block="basic", **D),                            21_816_904, resnet, BAG),
    "resnet50c":             Row(dict(depths=(3, 4, 6, 3), **C),                                           25_576_264, resnet, BAG),
    "resnet50d":             Row(dict(depths=(3, 4, 6, 3), **D),                                           25_576_264, resnet, BAG),
    "resnet50s":             Row(dict(depths=(3, 4, 6, 3), **S),                                           25_680_808, resnet, BAG),
    "resnet50t":             Row(dict(depths=(3, 4, 6, 3), **T),                                           25_573_728, resnet, BAG),
    "resnet101c":            Row(dict(depths=(3, 4, 23, 3), **C),                                          44_568_392, resnet, BAG),
    "resnet101d":            Row(dict(depths=(3, 4, 23, 3), **D),                                          44_568_392, resnet, BAG),
    "resnet101s":            Row(dict(depths=(3, 4, 23, 3), **S),                                          44_672_936, resnet, BAG),
    "resnet152c":            Row(dict(depths=(3, 8, 36, 3), **C),                                          60_212_040, resnet, BAG),
    "resnet152d":            Row(dict(depths=(3, 8, 36, 3), **D),                                          60_212_040, resnet, BAG),
    "resnet152s":            Row(dict(depths=(3, 8, 36, 3), **S),                                          60_316_584, resnet, BAG),
    "resnet200d":            Row(dict(depths=(3, 24, 36, 3), **D),                                         64_693_064, resnet, BAG),
    # wide bottlenecks
    "wide_resnet50_2":       Row(dict(depths=(3, 4, 6, 3), group_width=128),                               68_883_240, resnet, WIDE),
    "wide_resnet101_2":      Row(dict(depths=(3, 4, 23, 3), group_width=128),                             126_886_696, resnet, WIDE),
    # cardinality
    "resnext50_32x4d":       Row(dict(depths=(3, 4, 6, 3), groups=32, group_width=4),                      25_028_904, resnet, NEXT),
    "resnext50d_32x4d":      Row(dict(depths=(3, 4, 6, 3), groups=32, group_width=4, **D),                 25_048_136, resnet, NEXT),
    "resnext101_32x4d":      Row(dict(depths=(3, 4, 23, 3), groups=32, group_width=4),                     44_177_704, resnet, NEXT),
    "resnext101_32x8d":      Row(dict(depths=(3, 4, 23, 3), groups=32, group_width=8),                     88_791_336, resnet, NEXT),
    "resnext101_32x16d":     Row(dict(depths=(3, 4, 23, 3), groups=32, group_width=16),                   194_026_792, resnet, NEXT),
    "resnext101_32x32d":     Row(dict(depths=(3, 4, 23, 3), groups=32, group_width=32),                   468_530_472, resnet, NEXT),
    "resnext101_64x4d":      Row(dict(depths=(3, 4, 23, 3), groups=64, group_width=4),                     83_455_272, resnet, NEXT),
    # squeeze and excitation
    "seresnet18":            Row(dict(depths=(2, 2, 2, 2), block="basic", **SE),                           11_779_624, resnet, SENET),
    "seresnet34":            Row(dict(depths=(3, 4, 6, 3), block="basic", **SE),                           21_960_416, resnet, SENET),
    "seresnet50":            Row(dict(depths=(3, 4, 6, 3), **SE),                                          28_088_024, resnet, SENET),
    "seresnet50t":           Row(dict(depths=(3, 4, 6, 3), **T, **SE),                                     28_104_720, resnet, SENET),
    "seresnet101":           Row(dict(depths=(3, 4, 23, 3), **SE),                                         49_326_872, resnet, SENET),
    "seresnet152":           Row(dict(depths=(3, 8, 36, 3), **SE),                                         66_821_848, resnet, SENET),
    "seresnet152d":          Row(dict(depths=(3, 8, 36, 3), **D, **SE),                                    66_841_080, resnet, SENET),
    "seresnet200d":          Row(dict(depths=(3, 24, 36, 3), **D, **SE),                                   71_855_096, resnet, SENET),
    "seresnet269d":          Row(dict(depths=(3, 30, 48, 8), **D, **SE),                                  113_672_760, resnet, SENET),
    "seresnext26d_32x4d":    Row(dict(depths=(2, 2, 2, 2), groups=32, group_width=4, **D, **SE),           16_809_512, resnet, SENET),
    "seresnext26t_32x4d":    Row(dict(depths=(2, 2, 2, 2), groups=32, group_width=4, **T, **SE),           16_806_976, resnet, SENET),
    "seresnext50_32x4d":     Row(dict(depths=(3, 4, 6, 3), groups=32, group_width=4, **SE),                27_559_896, resnet, SENET),
    "seresnext101_32x4d":    Row(dict(depths=(3, 4, 23, 3), groups=32, group_width=4, **SE),               48_955_416, resnet, SENET),
    "seresnext101_32x8d":    Row(dict(depths=(3, 4, 23, 3), groups=32, group_width=8, **SE),               93_569_048, resnet, SENET),
    "seresnext101_64x4d":    Row(dict(depths=(3, 4, 23, 3), groups=64, group_width=4, **SE),               88_232_984, resnet, SENET),
    "seresnext101d_32x8d":   Row(dict(depths=(3, 4, 23, 3), groups=32, group_width=8, **D, **SE),          93_588_280, resnet, SENET),
    "senet154":              Row(dict(depths=(3, 8, 36, 3), **SENET154),                                  115_088_984, resnet, SENET),
    # efficient channel attention
    "ecaresnet26t":          Row(dict(depths=(2, 2, 2, 2), **T, attention="eca"),                          16_011_916, resnet, ECA),
    "ecaresnet50d":          Row(dict(depths=(3, 4, 6, 3), **D, attention="eca"),                          25_576_350, resnet, ECA),
    "ecaresnet50t":          Row(dict(depths=(3, 4, 6, 3), **T, attention="eca"),                          25_573_814, resnet, ECA),
    "ecaresnet101d":         Row(dict(depths=(3, 4, 23, 3), **D, attention="eca"),                         44_568_563, resnet, ECA),
    "ecaresnet200d":         Row(dict(depths=(3, 24, 36, 3), **D, attention="eca"),                        64_693_400, resnet, ECA),
    "ecaresnet269d":         Row(dict(depths=(3, 30, 48, 8), **D, attention="eca"),                       102_093_077, resnet, ECA),
    # ResNet-RS
    "resnetrs50":            Row(dict(depths=(3, 4, 6, 3), **RS),                                          35_691_912, resnet, RESNET_RS),
    "resnetrs101":           Row(dict(depths=(3, 4, 23, 3), **RS),                                         63_618_696, resnet, RESNET_RS),
    "resnetrs152":           Row(dict(depths=(3, 8, 36, 3), **RS),                                         86_621_576, resnet, RESNET_RS),
    "resnetrs200":           Row(dict(depths=(3, 24, 36, 3), **RS),                                        93_209_992, resnet, RESNET_RS),
    "resnetrs270":           Row(dict(depths=(4, 29, 53, 4), **RS),                                       129_861_448, resnet, RESNET_RS),
    "resnetrs350":           Row(dict(depths=(4, 36, 72, 4), **RS),                                       163_956_168, resnet, RESNET_RS),
    "resnetrs420":           Row(dict(depths=(4, 44, 87, 4), **RS),                                       191_891_656, resnet, RESNET_RS),
    # anti-aliased, by an average or a blur
    "resnetaa34d":           Row(dict(depths=(3, 4, 6, 3), block="basic", **D, **AA),                      21_816_904, resnet, BLUR),
    "resnetaa50":            Row(dict(depths=(3, 4, 6, 3), **AA),                                          25_557_032, resnet, BLUR),
    "resnetaa50d":           Row(dict(depths=(3, 4, 6, 3), **D, **AA),                                     25_576_264, resnet, BLUR),
    "resnetaa101d":          Row(dict(depths=(3, 4, 23, 3), **D, **AA),                                    44_568_392, resnet, BLUR),
    "resnetblur18":          Row(dict(depths=(2, 2, 2, 2), block="basic", anti_alias="blur"),              11_689_512, resnet, BLUR),
    "resnetblur50":          Row(dict(depths=(3, 4, 6, 3), anti_alias="blur"),                             25_557_032, resnet, BLUR),
    "resnetblur50d":         Row(dict(depths=(3, 4, 6, 3), **D, anti_alias="blur"),                        25_576_264, resnet, BLUR),
    "resnetblur101d":        Row(dict(depths=(3, 4, 23, 3), **D, anti_alias="blur"),                       44_568_392, resnet, BLUR),
    "seresnetaa50d":         Row(dict(depths=(3, 4, 6, 3), **D, **SE, **AA),                               28_107_256, resnet, BLUR),
    "seresnextaa101d_32x8d": Row(dict(depths=(3, 4, 23, 3), groups=32, group_width=8, **D, **SE, **AA),    93_588_280, resnet, BLUR),
    # group normalization
    "resnet50_gn":           Row(dict(depths=(3, 4, 6, 3), norm="group"),                                  25_557_032, resnet, GROUP),
    # as keras.applications has them: the paper's stride on the first 1x1, and a bias in front of every norm
    "resnet50v1":            Row(dict(depths=(3, 4, 6, 3), **KERAS),                                       25_583_592, resnet, HE),
    "resnet101v1":           Row(dict(depths=(3, 4, 23, 3), **KERAS),                                      44_601_832, resnet, HE),
    "resnet152v1":           Row(dict(depths=(3, 8, 36, 3), **KERAS),                                      60_268_520, resnet, HE),
}  # fmt: skip
