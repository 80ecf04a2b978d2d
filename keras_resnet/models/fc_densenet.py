"""Fully convolutional DenseNets, "the hundred layers tiramisu": dense blocks on the way down and on the way up."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet.backend import geometry
from keras_resnet.layers import Conv2D, ConvTranspose, CropTo, DenseBlock, HeNormal, Transition
from keras_resnet.layers.configured import check_count, check_flag, is_count
from keras_resnet.layers.dense_layer import check_dense
from keras_resnet.models.network import check_dtype, image_input
from keras_resnet.models.pixel_head import pixel_head, to_size_of
from keras_resnet.models.row import Row


def fc_densenet(
    depths: Sequence[int] = (5,) * 11,
    growth_rate: int = 16,
    stem_width: int = 48,
    dropout: float = 0.2,
    norm: str | None = "batch",
    norm_momentum: float = 0.9,
    norm_epsilon: float = 1e-5,
    activation: Any = "relu",
    use_bias: bool | None = True,
    remat: bool = False,
    deep_supervision: bool = False,
    data_format: str | None = None,
    dtype: Any = None,
    input_shape: Sequence | None = None,
    classes: int = 11,
    classifier_activation: Any = None,
    name: str = "fc_densenet",
) -> keras.Model:
    """A U-Net of dense blocks, for images of any size: the output has the image's height and width. The defaults are FC-DenseNet-67.

    ```
    image -- stem -- down1 (/1) -- down2 (/2) -- ... -- down5 (/16)
                       |             |                    |       \\
            head ---- up1 --------- up2 ------- ... ---- up5 -- middle (/32)
    ```

    Between blocks on the way down: norm, relu, conv 1x1, dropout, max 2x2. On the way up a transposed convolution 3x3, /2, enlarges the new
    features of the block before, and only those; the next block joins them with the map of the way down.

    Args:
        depths: dense layers in each block: those of the way down, the middle one, and those of the way up, from the deepest.
        growth_rate: k, how many features each dense layer adds.
        stem_width: channels of the first convolution, 3x3.
        dropout: share of the numbers behind each convolution but the first and the last that training sets to zero, from 0 to below 1.
        norm, norm_momentum, norm_epsilon, activation: as in `layers.DenseLayer`.
        use_bias: whether the convolutions have a bias, which the authors' have; `None` where there is no norm.
        remat: whether training recomputes each dense layer and transition in the backward pass, as in `layers.DenseBlock`: memory for time.
        deep_supervision: whether the new features of each block on the way up have a head, too: the output is then `{"out": ...,
            "aux1": ..., ...}`, from the largest map but one, each enlarged to the image's size.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.
        dtype: dtype policy, such as `"mixed_bfloat16"`; `None` for Keras's setting. The head stays in the variables' type.
        input_shape: of the images without the batch; any number of channels; height and width may be `None`. Default (None, None, 3).
        classes: number of outputs for each pixel; 11 in CamVid.
        classifier_activation: `None` for logits, `"softmax"`, or `"sigmoid"`.
        name: of the model.

    Returns:
        A `keras.Model` from `(n, height, width, channels)` to `(n, height, width, classes)`, or channels first; with `deep_supervision`
        to a dictionary of those.

    Raises:
        ValueError: at an argument outside what is listed; nothing is built then.

    Source: Jegou et al. 2017, arXiv:1611.09326, tables 1 and 2, whose counts of parameters hold the statistics, too. Where a side is odd,
    the authors' pool drops the last row, and their transposed convolution makes it up; here the row is kept.
    """
    if not isinstance(depths, (tuple, list)) or len(depths) < 3 or len(depths) % 2 == 0 or not all(map(is_count, depths)):
        raise ValueError(
            f"`depths` must hold an odd number of integers of at least 1, three or more: the way down, the middle, the way up. "
            f"Received: depths={depths!r}."
        )
    check_count("stem_width", stem_width)
    check_flag("deep_supervision", deep_supervision)
    check_dense(growth_rate, None, 1, dropout, norm, norm_momentum, norm_epsilon, remat)
    data_format = geometry.standardize_data_format(data_format, keras.config.image_data_format())
    formats: dict[str, Any] = dict(data_format=data_format, dtype=dtype)
    shared = dict(
        norm=norm,
        norm_momentum=norm_momentum,
        norm_epsilon=norm_epsilon,
        activation=activation,
        dropout=dropout,
        remat=remat,
        use_bias=use_bias,
        distribution="uniform",
        **formats,
    )
    scales = len(depths) // 2

    def block(depth: int, name: str, keeps_input: bool = True) -> DenseBlock:
        return DenseBlock(depth, growth_rate, bottleneck=None, keeps_input=keeps_input, name=name, **shared)

    check_dtype(dtype)

    image = image_input(None, input_shape, None, data_format)
    x = Conv2D(stem_width, 3, padding=1, kernel_initializer=_start(), name="stem", **formats)(image)
    maps = []
    for scale, depth in enumerate(depths[:scales], start=1):
        maps.append(block(depth, f"down{scale}")(x))
        x = Transition(1.0, pool="max", name=f"down{scale}_transition", **shared)(maps[-1])
    x = block(depths[scales], "middle", keeps_input=False)(x)
    ups: list = []
    for scale, depth, made in zip(range(scales, 0, -1), depths[scales + 1 :], depths[scales:], strict=False):
        x = ConvTranspose(made * growth_rate, 3, kernel_initializer=_start(), name=f"up{scale}_enlarge", **formats)(x)
        x = CropTo(name=f"up{scale}_crop", **formats)([x, maps[scale - 1]])
        x = block(depth, f"up{scale}", keeps_input=scale == 1)([x, maps[scale - 1]])
        ups.append(x)
    return pixel_head(
        image,
        [(x, None), *((one, to_size_of(image)) for one in ups[-2::-1])],
        deep_supervision=deep_supervision,
        classes=classes,
        classifier_activation=classifier_activation,
        kernel_size=1,
        kernel_initializer=_start(),
        name=name,
        **formats,
    )


def _start() -> HeNormal:
    return HeNormal(mode="fan_in", distribution="uniform")


TIRAMISU = "1611.09326"
DEPTHS_103 = (4, 5, 7, 10, 12, 15, 12, 10, 7, 5, 4)

FC_DENSENETS = {
    #                   what differs from fc_densenet()'s defaults            trainable parameters
    "fc_densenet56":   Row(dict(depths=(4,) * 11, growth_rate=12),            1_376_795, fc_densenet, TIRAMISU),
    "fc_densenet67":   Row({},                                                3_463_243, fc_densenet, TIRAMISU),
    "fc_densenet103":  Row(dict(depths=DEPTHS_103),                           9_322_091, fc_densenet, TIRAMISU),
}  # fmt: skip
