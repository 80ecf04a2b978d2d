"""The residual networks for 32x32 pictures, and the plain ones they were compared with: a 3x3 stem and three stages.

Pre-activation, wide and grouped ones too; the dense ones are in `densenet.py`.
"""

from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet.backend import geometry
from keras_resnet.layers import BasicBlock, Bottleneck, NormActivation, PreActBasicBlock, PreActBottleneck, Stem
from keras_resnet.layers.configured import check_count, check_flag
from keras_resnet.models import network
from keras_resnet.models.row import Row

BLOCKS = {
    ("basic", False): BasicBlock,
    ("bottleneck", False): Bottleneck,
    ("basic", True): PreActBasicBlock,
    ("bottleneck", True): PreActBottleneck,
}


def cifar_resnet(
    depths: Sequence[int] = (3, 3, 3),
    widths: Sequence[int] = (16, 32, 64),
    block: str = "basic",
    preactivation: bool = False,
    groups: int = 1,
    group_width: int = 64,
    strides_in: str = "3x3",
    stem_width: int | None = None,
    shortcut: str | None = "identity",
    zero_padding: str = "end",
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
    classes: int = 10,
    classifier_activation: Any = "softmax",
    name: str = "cifar_resnet",
) -> keras.Model:
    """Builds a residual network for small pictures of any depth 6n + 2 and width; the defaults are ResNet-20.

    ```
    image -- stem: conv 3x3, 16 -- stage1 (/1) -- stage2 (/2) -- stage3 (/4) -- mean -- dense
    ```

    Args:
        depths: blocks in each stage.
        widths: width of each stage's blocks; a bottleneck puts out four times as many channels.
        block: `"basic"` (two 3x3) or `"bottleneck"` (1x1, 3x3, 1x1).
        preactivation: whether norm and activation stand before each convolution, and once more behind the last block.
        groups, group_width: cardinality of the 3x3 convolution, and channels of a group at width 64. Bottlenecks only.
        strides_in: `"3x3"` or `"1x1"`. Bottlenecks only.
        stem_width: channels of the stem; `None` for the first of `widths`.
        shortcut: as in `layers.Residual`; `"identity"` is the paper's option A, `None` its plain networks.
        zero_padding: where option A puts new channels, `"end"` or `"both"` sides.
        norm, norm_momentum, norm_epsilon, activation, conv, use_bias, attention, attention_ratio, zero_init_residual, residual_scale,
            dropout, remat: as in `layers.Residual`.
        stochastic_depth: share of the last block's samples that skip its branch in training; that of block l of L is l / L of it.
        output_stride: how many pixels of the image the last map's step covers: 1, 2 or 4; dilation takes the place of the
            strides beyond it. `None` for all strides.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.
        dtype: dtype policy, such as `"mixed_bfloat16"`; `None` for Keras's setting. The head stays in the variables' type.
        include_top: whether to end in global mean and classifier.
        input_tensor: a KerasTensor to build on.
        input_shape: without the batch; any number of channels, 4 pixels or more or `None`. Default (32, 32, 3), without top
            (None, None, 3).
        pooling: without top: `None` (the map), `"avg"` or `"max"`.
        classes: number of outputs.
        classifier_activation: `"softmax"`, or `None` for logits.
        name: of the model.

    Returns:
        A `keras.Model` from `(n, height, width, channels)` to `(n, classes)`.

    Raises:
        ValueError: at an argument outside what is listed; nothing is built then.

    Source: He et al. 2015, arXiv:1512.03385, section 4.2 and table 6; pre-activation He et al. 2016, arXiv:1603.05027; wide Zagoruyko
    and Komodakis 2016, arXiv:1605.07146; groups Xie et al. 2016, arXiv:1611.05431; stochastic depth Huang et al. 2016, arXiv:1603.09382.
    """
    output_stride = network.check_stages(depths, widths, output_stride, 1)
    check_flag("preactivation", preactivation)
    if stem_width is not None:
        check_count("stem_width", stem_width)
    data_format = geometry.standardize_data_format(data_format, keras.config.image_data_format())
    outer = dict(
        norm=norm, norm_momentum=norm_momentum, norm_epsilon=norm_epsilon, activation=activation, data_format=data_format, dtype=dtype
    )
    common = dict(**outer, conv=conv, use_bias=use_bias)
    settings = network.block_settings(block, groups, group_width, strides_in=strides_in)

    def body(x: Any) -> Any:
        x = Stem(stem_width or widths[0], 3, 1, preactivation=preactivation, minimum_size=4, name="stem", **common)(x)
        x = network.stages(
            x,
            BLOCKS[block, preactivation],
            depths,
            widths,
            strides=network.stage_strides(depths),
            output_stride=output_stride,
            stride_so_far=1,
            block_settings=settings,
            shortcut=shortcut,
            zero_padding=zero_padding,
            attention=attention,
            attention_ratio=attention_ratio,
            zero_init_residual=zero_init_residual,
            residual_scale=residual_scale,
            dropout=dropout,
            stochastic_depth=stochastic_depth,
            drops_from_first=True,
            remat=remat,
            **common,
        )
        return NormActivation(name="post_norm", **outer)(x) if preactivation else x

    return network.classifier(
        body,
        size=32,
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


HE, PRE, WIDE, NEXT, DROP = "1512.03385", "1603.05027", "1605.07146", "1611.05431", "1603.09382"
# The stride is where the authors' own code has it.
BOTTLENECK: dict[str, Any] = dict(preactivation=True, block="bottleneck", strides_in="1x1", shortcut="projection")
NEXT29: dict[str, Any] = dict(depths=(3, 3, 3), widths=(64, 128, 256), block="bottleneck", shortcut="projection")


def _wide(factor: int) -> dict[str, Any]:
    """Zagoruyko and Komodakis's networks, with the dropout of their runs on CIFAR."""
    widths = tuple(factor * width for width in (16, 32, 64))
    return dict(widths=widths, stem_width=16, preactivation=True, shortcut="projection", dropout=0.3)


CIFAR_RESNETS = {
    #                   what differs from cifar_resnet()'s defaults         trainable parameters, paper
    "resnet20":         Row(dict(depths=(3, 3, 3)),                            269_722, cifar_resnet, HE),
    "resnet32":         Row(dict(depths=(5, 5, 5)),                            464_154, cifar_resnet, HE),
    "resnet44":         Row(dict(depths=(7, 7, 7)),                            658_586, cifar_resnet, HE),
    "resnet56":         Row(dict(depths=(9, 9, 9)),                            853_018, cifar_resnet, HE),
    "resnet110":        Row(dict(depths=(18, 18, 18)),                       1_727_962, cifar_resnet, HE),
    "resnet1202":       Row(dict(depths=(200, 200, 200)),                   19_421_274, cifar_resnet, HE),
    "plain20":          Row(dict(depths=(3, 3, 3), shortcut=None),             269_722, cifar_resnet, HE),
    "plain32":          Row(dict(depths=(5, 5, 5), shortcut=None),             464_154, cifar_resnet, HE),
    "plain44":          Row(dict(depths=(7, 7, 7), shortcut=None),             658_586, cifar_resnet, HE),
    "plain56":          Row(dict(depths=(9, 9, 9), shortcut=None),             853_018, cifar_resnet, HE),
    "resnet110_sd":     Row(dict(depths=(18, 18, 18), stochastic_depth=0.5),  1_727_962, cifar_resnet, DROP),
    "preresnet20":      Row(dict(depths=(3, 3, 3), preactivation=True),        269_722, cifar_resnet, PRE),
    "preresnet56":      Row(dict(depths=(9, 9, 9), preactivation=True),        853_018, cifar_resnet, PRE),
    "preresnet110":     Row(dict(depths=(18, 18, 18), preactivation=True),   1_727_962, cifar_resnet, PRE),
    "preresnet164":     Row(dict(depths=(18, 18, 18), **BOTTLENECK),         1_703_258, cifar_resnet, PRE),
    "preresnet1001":    Row(dict(depths=(111, 111, 111), **BOTTLENECK),     10_327_706, cifar_resnet, PRE),
    "wrn16_4":          Row(dict(depths=(2, 2, 2), **_wide(4)),                 2_748_890, cifar_resnet, WIDE),
    "wrn16_8":          Row(dict(depths=(2, 2, 2), **_wide(8)),                10_961_370, cifar_resnet, WIDE),
    "wrn16_10":         Row(dict(depths=(2, 2, 2), **_wide(10)),               17_116_634, cifar_resnet, WIDE),
    "wrn22_8":          Row(dict(depths=(3, 3, 3), **_wide(8)),                17_158_106, cifar_resnet, WIDE),
    "wrn22_10":         Row(dict(depths=(3, 3, 3), **_wide(10)),               26_797_914, cifar_resnet, WIDE),
    "wrn28_10":         Row(dict(depths=(4, 4, 4), **_wide(10)),               36_479_194, cifar_resnet, WIDE),
    "wrn28_12":         Row(dict(depths=(4, 4, 4), **_wide(12)),               52_517_850, cifar_resnet, WIDE),
    "wrn40_1":          Row(dict(depths=(6, 6, 6), **_wide(1)),                   563_930, cifar_resnet, WIDE),
    "wrn40_2":          Row(dict(depths=(6, 6, 6), **_wide(2)),                 2_243_546, cifar_resnet, WIDE),
    "wrn40_4":          Row(dict(depths=(6, 6, 6), **_wide(4)),                 8_949_210, cifar_resnet, WIDE),
    "wrn40_8":          Row(dict(depths=(6, 6, 6), **_wide(8)),                35_748_314, cifar_resnet, WIDE),
    "resnext29_8x64d":  Row(dict(**NEXT29, groups=8),                       34_426_698, cifar_resnet, NEXT),
    "resnext29_16x64d": Row(dict(**NEXT29, groups=16),                      68_155_210, cifar_resnet, NEXT),
}  # fmt: skip
