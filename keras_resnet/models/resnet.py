"""The ImageNet ResNets: a 7x7 stem, four stages of residual blocks, global mean, dense head. CIFAR's are in `cifar.py`."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet.backend import geometry
from keras_resnet.layers import BasicBlock, Bottleneck, MaxPooling2D, Stem
from keras_resnet.layers.configured import check_count
from keras_resnet.models import network
from keras_resnet.models.row import Row

BLOCKS = {"basic": BasicBlock, "bottleneck": Bottleneck}


def resnet(
    depths: Sequence[int] = (3, 4, 6, 3),
    widths: Sequence[int] = (64, 128, 256, 512),
    block: str = "bottleneck",
    groups: int = 1,
    group_width: int = 64,
    strides_in: str = "3x3",
    stem_width: int = 64,
    shortcut: str | None = "projection",
    zero_padding: str = "end",
    norm: str | None = "batch",
    norm_momentum: float = 0.9,
    norm_epsilon: float = 1e-5,
    activation: Any = "relu",
    zero_init_residual: bool = False,
    residual_scale: float | str = 1.0,
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
        strides_in: `"3x3"` (torchvision, timm) or `"1x1"` (the paper, keras.applications). Bottlenecks only.
        stem_width: channels of the stem.
        shortcut, zero_padding, norm, norm_momentum, norm_epsilon, activation, zero_init_residual, residual_scale, remat: as in
            `layers.Residual`.
        stochastic_depth: share of the last block's samples that skip its branch in training; earlier blocks' shares grow to it from 0.
        output_stride: how many pixels of the image the last map's step covers: 8, 16 or 32; dilation takes the place of the
            strides beyond it. `None` for all strides.
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

    Source: He et al. 2015, arXiv:1512.03385, with the stride on the 3x3 convolution as torchvision and timm have it.
    """
    output_stride = network.check_stages(depths, widths, output_stride, 4)
    for count, value in (("stem_width", stem_width), ("groups", groups), ("group_width", group_width)):
        check_count(count, value)
    if block not in BLOCKS:
        raise ValueError(f"`block` must be 'basic' or 'bottleneck'. Received: block={block!r}.")
    if block == "basic" and (groups, group_width, strides_in) != (1, 64, "3x3"):
        raise ValueError("`groups`, `group_width` and `strides_in` are settings of the bottleneck; block='basic' has none of them.")
    data_format = geometry.standardize_data_format(data_format, keras.config.image_data_format())
    common = dict(
        norm=norm, norm_momentum=norm_momentum, norm_epsilon=norm_epsilon, activation=activation, data_format=data_format, dtype=dtype
    )

    def settings(width: int) -> dict:
        if block == "basic":
            return {}
        return dict(groups=groups, width=width * group_width // 64 * groups, strides_in=strides_in)

    def body(x: Any) -> Any:
        x = Stem(stem_width, 7, 2, minimum_size=32, name="stem", **common)(x)
        x = MaxPooling2D(3, 2, padding=1, data_format=data_format, dtype=dtype, name="stem_pool")(x)
        return network.stages(
            x,
            BLOCKS[block],
            depths,
            widths,
            strides=network.stage_strides(depths),
            output_stride=output_stride,
            stride_so_far=4,
            block_settings=settings,
            shortcut=shortcut,
            zero_padding=zero_padding,
            zero_init_residual=zero_init_residual,
            residual_scale=residual_scale,
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


RESNETS = {
    #                 what differs from resnet()'s defaults                  trainable parameters
    "resnet18":  Row(dict(depths=(2, 2, 2, 2), block="basic"),               params=11_689_512, builder=resnet),
    "resnet26":  Row(dict(depths=(2, 2, 2, 2)),                              params=15_995_176, builder=resnet),
    "resnet34":  Row(dict(depths=(3, 4, 6, 3), block="basic"),               params=21_797_672, builder=resnet),
    "resnet50":  Row(dict(depths=(3, 4, 6, 3)),                              params=25_557_032, builder=resnet),
    "resnet101": Row(dict(depths=(3, 4, 23, 3)),                             params=44_549_160, builder=resnet),
    "resnet152": Row(dict(depths=(3, 8, 36, 3)),                             params=60_192_808, builder=resnet),
    "resnet200": Row(dict(depths=(3, 24, 36, 3)),                            params=64_673_832, builder=resnet),
}  # fmt: skip
