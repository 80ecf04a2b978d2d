"""The densely connected networks, for ImageNet and for 32x32 pictures: a stem, dense blocks with transitions between, norm, mean, dense."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet.backend import geometry
from keras_resnet.layers import BlurPooling2D, DenseBlock, MaxPooling2D, NormActivation, Stem, Transition
from keras_resnet.layers.configured import check_choice, check_count, check_flag
from keras_resnet.layers.dense_layer import check_dense
from keras_resnet.layers.transition import check_compression
from keras_resnet.models import network
from keras_resnet.models.row import Row


def densenet(
    depths: Sequence[int] = (6, 12, 24, 16),
    growth_rate: int = 32,
    bottleneck: int | None = 4,
    compression: float = 0.5,
    stem: str = "7x7",
    stem_width: int | None = None,
    anti_alias: str | None = None,
    norm: str | None = "batch",
    norm_momentum: float = 0.9,
    norm_epsilon: float = 1e-5,
    activation: Any = "relu",
    dropout: float = 0.0,
    remat: bool = False,
    output_stride: int | None = None,
    as_encoder: bool = False,
    data_format: str | None = None,
    dtype: Any = None,
    include_top: bool = True,
    input_tensor: Any = None,
    input_shape: Sequence | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "densenet",
) -> keras.Model:
    """Builds a densely connected network of any depth and growth rate; the defaults are DenseNet-121.

    ```
    image -- stem: conv 7x7, 2k, /2 -- max 3x3, /2 -- stage1 (/4) -- transition1, /2 -- stage2 (/8) -- transition2, /2 -- stage3 (/16)
        -- transition3, /2 -- stage4 (/32) -- norm -- relu -- mean -- dense
    ```

    Args:
        depths: dense layers in each block.
        growth_rate: k, how many features each dense layer adds.
        bottleneck: width of the dense layers' 1x1 convolution in units of k, or `None` for none.
        compression: share of the channels that pass a transition, above 0 and up to 1.
        stem: `"7x7"`, or `"deep"`: three 3x3 convolutions (half of `stem_width` twice, then all of it).
        stem_width: channels of the stem, `None` for 2k.
        anti_alias: `"blur"` strides in the stem's pool behind the maximum, by a 3x3 binomial filter; `None` in the maximum.
        norm, norm_momentum, norm_epsilon, activation: as in `layers.DenseLayer`.
        dropout: share of the numbers behind each convolution but the stem's that training sets to zero, from 0 to below 1.
        remat: as in `layers.DenseBlock`: memory for time.
        output_stride: how many pixels of the image the last map's step covers: 8, 16 or 32; dilation takes the place of the
            strides beyond it. `None` for all strides.
        as_encoder: whether norm, convolution and mean of each transition are layers of their own, and the closing norm is without its
            activation: `features` then gives the maps that a U-Net's decoder reads, as in segmentation_models.pytorch.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.
        dtype: dtype policy, such as `"mixed_bfloat16"`; `None` for Keras's setting. The head stays in the variables' type.
        include_top: whether to end in global mean and classifier.
        input_tensor: a KerasTensor to build on.
        input_shape: without the batch; any number of channels, 29 pixels or more (for other depths or output strides, what leaves the
            last block a pixel) or `None`. Default (224, 224, 3), without top (None, None, 3).
        pooling: without top: `None` (the map), `"avg"` or `"max"`.
        classes: number of outputs.
        classifier_activation: `"softmax"`, or `None` for logits.
        name: of the model.

    Returns:
        A `keras.Model` from `(n, height, width, channels)` to `(n, classes)`.

    Raises:
        ValueError: at an argument outside what is listed; nothing is built then.

    Source: Huang et al. 2016, arXiv:1608.06993, table 1; deep stem He et al. 2018, arXiv:1812.01187; blur Zhang 2019, arXiv:1904.11486.
    """
    check_choice("stem", stem, ("7x7", "deep"))
    check_choice("anti_alias", anti_alias, ("blur", None))
    check_dense(growth_rate, bottleneck, 1, dropout, norm, norm_momentum, norm_epsilon, remat)
    width = 2 * growth_rate if stem_width is None else stem_width
    check_count("stem_width", width)
    if stem == "deep" and width % 2:
        raise ValueError(f"`stem_width` must be even for stem='deep'. Received: stem_width={width!r}.")

    def enter(x: Any, minimum_size: int, shared: dict, pool: dict) -> Any:
        x = network.stem(stem, width, minimum_size, **shared)(x)
        x = MaxPooling2D(3, 2 if anti_alias is None else 1, padding=1, name="stem_pool", **pool)(x)
        return x if anti_alias is None else BlurPooling2D(strides=2, name="stem_blur", **pool)(x)

    return _build(
        enter,
        4,
        depths,
        dict(growth_rate=growth_rate, bottleneck=bottleneck, remat=remat),
        compression,
        dict(norm=norm, norm_momentum=norm_momentum, norm_epsilon=norm_epsilon, activation=activation),
        dropout,
        output_stride,
        as_encoder,
        dict(data_format=data_format, dtype=dtype),
        size=224,
        include_top=include_top,
        input_tensor=input_tensor,
        input_shape=input_shape,
        pooling=pooling,
        classes=classes,
        classifier_activation=classifier_activation,
        name=name,
    )


def cifar_densenet(
    depths: Sequence[int] = (16, 16, 16),
    growth_rate: int = 12,
    bottleneck: int | None = 4,
    compression: float = 0.5,
    stem_width: int | None = None,
    norm: str | None = "batch",
    norm_momentum: float = 0.9,
    norm_epsilon: float = 1e-5,
    activation: Any = "relu",
    dropout: float = 0.0,
    remat: bool = False,
    output_stride: int | None = None,
    as_encoder: bool = False,
    data_format: str | None = None,
    dtype: Any = None,
    include_top: bool = True,
    input_tensor: Any = None,
    input_shape: Sequence | None = None,
    pooling: str | None = None,
    classes: int = 10,
    classifier_activation: Any = "softmax",
    name: str = "cifar_densenet",
) -> keras.Model:
    """Builds a densely connected network for small pictures of any depth and growth rate; the defaults are DenseNet-BC-100, k = 12.

    ```
    image -- stem: conv 3x3, 2k -- stage1 (/1) -- transition1, /2 -- stage2 (/2) -- transition2, /2 -- stage3 (/4)
        -- norm -- relu -- mean -- dense
    ```

    Args:
        depths: dense layers in each block.
        growth_rate: k, how many features each dense layer adds.
        bottleneck: width of the dense layers' 1x1 convolution in units of k, or `None` for none (DenseNets without B in their name).
        compression: share of the channels that pass a transition, above 0 and up to 1 (1: without C in their name).
        stem_width: channels of the stem, `None` for 2k; it has neither norm nor activation, which the first dense layer brings.
        norm, norm_momentum, norm_epsilon, activation: as in `layers.DenseLayer`.
        dropout: share of the numbers behind each convolution but the stem's that training sets to zero, from 0 to below 1 (the paper
            has 0.2 where the pictures are not augmented).
        remat: as in `layers.DenseBlock`: memory for time.
        output_stride: how many pixels of the image the last map's step covers: 1, 2 or 4; dilation takes the place of the
            strides beyond it. `None` for all strides.
        as_encoder: whether norm, convolution and mean of each transition are layers of their own, and the closing norm is without its
            activation: `features` then gives the maps that a U-Net's decoder reads, as in segmentation_models.pytorch.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.
        dtype: dtype policy, such as `"mixed_bfloat16"`; `None` for Keras's setting. The head stays in the variables' type.
        include_top: whether to end in global mean and classifier.
        input_tensor: a KerasTensor to build on.
        input_shape: without the batch; any number of channels, 4 pixels or more (for other depths or output strides, what leaves the
            last block a pixel) or `None`. Default (32, 32, 3), without top (None, None, 3).
        pooling: without top: `None` (the map), `"avg"` or `"max"`.
        classes: number of outputs.
        classifier_activation: `"softmax"`, or `None` for logits.
        name: of the model.

    Returns:
        A `keras.Model` from `(n, height, width, channels)` to `(n, classes)`.

    Raises:
        ValueError: at an argument outside what is listed; nothing is built then.

    Source: Huang et al. 2016, arXiv:1608.06993, sections 3 and 4.2, table 2.
    """
    check_dense(growth_rate, bottleneck, 1, dropout, norm, norm_momentum, norm_epsilon, remat)
    width = 2 * growth_rate if stem_width is None else stem_width
    check_count("stem_width", width)

    def enter(x: Any, minimum_size: int, shared: dict, pool: dict) -> Any:
        return Stem(width, 3, 1, preactivation=True, minimum_size=minimum_size, name="stem", **shared)(x)

    return _build(
        enter,
        1,
        depths,
        dict(growth_rate=growth_rate, bottleneck=bottleneck, remat=remat),
        compression,
        dict(norm=norm, norm_momentum=norm_momentum, norm_epsilon=norm_epsilon, activation=activation),
        dropout,
        output_stride,
        as_encoder,
        dict(data_format=data_format, dtype=dtype),
        size=32,
        include_top=include_top,
        input_tensor=input_tensor,
        input_shape=input_shape,
        pooling=pooling,
        classes=classes,
        classifier_activation=classifier_activation,
        name=name,
    )


def _build(
    stem: Any,
    stem_stride: int,
    depths: Sequence[int],
    growth: dict,
    compression: float,
    norms: dict,
    dropout: float,
    output_stride: int | None,
    as_encoder: bool,
    formats: dict,
    **head: Any,
) -> keras.Model:
    """What both families share: everything behind the stem."""
    check_flag("as_encoder", as_encoder)
    if as_encoder and head["include_top"]:
        raise ValueError("`as_encoder` is for networks without top: pass include_top=False. Received: as_encoder=True.")
    output_stride = network.check_stages(depths, depths, output_stride, stem_stride)
    check_compression(compression)
    data_format = geometry.standardize_data_format(formats["data_format"], keras.config.image_data_format())
    formats = dict(formats, data_format=data_format)
    shared = {**norms, **formats}
    # A transition drops an odd map's last row and column: halving n times leaves a pixel of 2**n or more.
    minimum_size = output_stride - stem_stride + 1

    def body(x: Any) -> Any:
        x = stem(x, minimum_size, shared, formats)
        dilation, stride = 1, stem_stride
        for number, depth in enumerate(depths, start=1):
            x = DenseBlock(depth, dilation_rate=dilation, dropout=dropout, name=f"stage{number}", **growth, **shared)(x)
            if number < len(depths):
                halves = 2 * stride <= output_stride
                if as_encoder:
                    x = NormActivation(name=f"transition{number}_norm", **shared)(x)
                x = Transition(
                    compression,
                    strides=2 if halves else 1,
                    dilation_rate=1 if halves else dilation,
                    dropout=dropout,
                    normalizes=not as_encoder,
                    name=f"transition{number}",
                    **shared,
                )(x)
                stride, dilation = (2 * stride, dilation) if halves else (stride, 2 * dilation)
        return NormActivation(name="post_norm", **{**shared, **({"activation": None} if as_encoder else {})})(x)

    return network.classifier(body, **head, **formats)


DENSE, BAG, BLUR = "1608.06993", "1812.01187", "1904.11486"
PLAIN: dict[str, Any] = dict(bottleneck=None, compression=1.0, stem_width=16)

DENSENETS = {
    #                         what differs from densenet()'s defaults                                trainable parameters, paper
    "densenet121":       Row(dict(depths=(6, 12, 24, 16)),                                           7_978_856, densenet, DENSE),
    "densenet161":       Row(dict(depths=(6, 12, 36, 24), growth_rate=48),                           28_681_000, densenet, DENSE),
    "densenet169":       Row(dict(depths=(6, 12, 32, 32)),                                           14_149_480, densenet, DENSE),
    "densenet201":       Row(dict(depths=(6, 12, 48, 32)),                                           20_013_928, densenet, DENSE),
    "densenet264":       Row(dict(depths=(6, 12, 64, 48)),                                           33_337_704, densenet, DENSE),
    "densenet264d":      Row(dict(depths=(6, 12, 64, 48), growth_rate=48, stem="deep"),              72_736_216, densenet, BAG),
    "densenetblur121d":  Row(dict(depths=(6, 12, 24, 16), stem="deep", anti_alias="blur"),           7_998_088, densenet, BLUR),
    #                         what differs from cifar_densenet()'s
    "densenet40_k12":    Row(dict(depths=(12, 12, 12), **PLAIN),                                     1_019_722, cifar_densenet, DENSE),
    "densenet100_k12":   Row(dict(depths=(32, 32, 32), **PLAIN),                                     6_979_642, cifar_densenet, DENSE),
    "densenet100_k24":   Row(dict(depths=(32, 32, 32), growth_rate=24, **PLAIN),                    27_249_082, cifar_densenet, DENSE),
    "densenetbc100_k12": Row(dict(depths=(16, 16, 16)),                                              769_162, cifar_densenet, DENSE),
    "densenetbc190_k40": Row(dict(depths=(31, 31, 31), growth_rate=40),                              25_624_430, cifar_densenet, DENSE),
    "densenetbc250_k24": Row(dict(depths=(41, 41, 41), growth_rate=24),                              15_324_406, cifar_densenet, DENSE),
}  # fmt: skip
