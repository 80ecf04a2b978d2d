"""The residual networks for 32x32 pictures, and the plain ones they were compared with: a 3x3 stem and three stages."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet.backend import geometry
from keras_resnet.layers import BasicBlock, Stem
from keras_resnet.models import network
from keras_resnet.models.row import Row


def cifar_resnet(
    depths: Sequence[int] = (3, 3, 3),
    widths: Sequence[int] = (16, 32, 64),
    shortcut: str | None = "identity",
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
    classes: int = 10,
    classifier_activation: Any = "softmax",
    name: str = "cifar_resnet",
) -> keras.Model:
    """Builds a residual network for small pictures of any depth 6n + 2 and width; the defaults are ResNet-20.

    ```
    image -- stem: conv 3x3, 16 -- stage1 (/1) -- stage2 (/2) -- stage3 (/4) -- mean -- dense
    ```

    Args:
        depths: basic blocks in each stage.
        widths: channels of each stage; the stem has those of the first.
        shortcut: as in `layers.Residual`; `"identity"` is the paper's option A, `None` its plain networks.
        zero_padding: where option A puts new channels, `"end"` or `"both"` sides.
        norm, norm_momentum, norm_epsilon, activation, zero_init_residual, residual_scale, remat: as in `layers.Residual`.
        stochastic_depth: share of the last block's samples that skip its branch in training; earlier blocks' shares grow to it from 0.
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

    Source: He et al. 2015, arXiv:1512.03385, section 4.2 and table 6.
    """
    output_stride = network.check_stages(depths, widths, output_stride, 1)
    data_format = geometry.standardize_data_format(data_format, keras.config.image_data_format())
    common = dict(
        norm=norm, norm_momentum=norm_momentum, norm_epsilon=norm_epsilon, activation=activation, data_format=data_format, dtype=dtype
    )

    def body(x: Any) -> Any:
        x = Stem(widths[0], 3, 1, minimum_size=4, name="stem", **common)(x)
        return network.stages(
            x,
            BasicBlock,
            depths,
            widths,
            strides=network.stage_strides(depths),
            output_stride=output_stride,
            stride_so_far=1,
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


CIFAR_RESNETS = {
    #                  what differs from cifar_resnet()'s defaults            trainable parameters
    "resnet20":   Row(dict(depths=(3, 3, 3)),                                 params=269_722, builder=cifar_resnet),
    "resnet32":   Row(dict(depths=(5, 5, 5)),                                 params=464_154, builder=cifar_resnet),
    "resnet44":   Row(dict(depths=(7, 7, 7)),                                 params=658_586, builder=cifar_resnet),
    "resnet56":   Row(dict(depths=(9, 9, 9)),                                 params=853_018, builder=cifar_resnet),
    "resnet110":  Row(dict(depths=(18, 18, 18)),                              params=1_727_962, builder=cifar_resnet),
    "resnet1202": Row(dict(depths=(200, 200, 200)),                           params=19_421_274, builder=cifar_resnet),
    "plain20":    Row(dict(depths=(3, 3, 3), shortcut=None),                  params=269_722, builder=cifar_resnet),
    "plain32":    Row(dict(depths=(5, 5, 5), shortcut=None),                  params=464_154, builder=cifar_resnet),
    "plain44":    Row(dict(depths=(7, 7, 7), shortcut=None),                  params=658_586, builder=cifar_resnet),
    "plain56":    Row(dict(depths=(9, 9, 9), shortcut=None),                  params=853_018, builder=cifar_resnet),
}  # fmt: skip
