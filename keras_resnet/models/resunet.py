"""ResUNet: a U-Net of pre-activated residual units, made for roads in aerial images."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet.layers import Conv2D, Enlarge, HeNormal, NormActivation, PreActBasicBlock
from keras_resnet.layers.configured import check_choice, check_flag, check_number
from keras_resnet.layers.normalization import check_norm
from keras_resnet.models.image_shape import standardize_shape
from keras_resnet.models.padded_segmenter import check_widths, padded_segmenter, standardize_format
from keras_resnet.models.row import Row


def resunet(
    widths: Sequence[int] = (64, 128, 256, 512),
    upsampling: str = "nearest",
    norm: str | None = "batch",
    norm_momentum: float = 0.9,
    norm_epsilon: float = 1e-5,
    use_bias: bool = True,
    activation: Any = "relu",
    dropout: float = 0.0,
    deep_supervision: bool = False,
    classes: int = 1,
    classifier_activation: Any = None,
    input_shape: Sequence | None = None,
    data_format: str | None = None,
    dtype: Any = None,
    name: str = "resunet",
) -> keras.Model:
    """A U-Net of residual units for images of any size, which strides in convolutions and enlarges without weights.

    ```
    image -- conv 3x3 -- norm -- relu -- conv 3x3 -- + -- down1 ------------- up1 -- head: conv 1x1, classes
         \\---------------- conv 1x1 ----------------/      | unit, /2         | enlarge, concat, unit
                                                         down2 ----------- up2
                                                           | unit, /2       |
                                                         down3 ----- up3 --/
                                                           | unit, /2 |
                                                         bridge -----/

    unit:  x -- norm -- relu -- conv 3x3, f, /s -- norm -- relu -- conv 3x3, f -- +
           \\---------------------------- conv 1x1, f, /s -----------------------/
    ```

    Args:
        widths: channels of each level, from the image's size; the last is the bridge's.
        upsampling: `"nearest"` or `"bilinear"`.
        norm, norm_momentum, norm_epsilon, activation, dropout: as in `layers.PreActBasicBlock`.
        use_bias: whether convolutions have a bias; the paper's count has them.
        deep_supervision: whether the output is `{"out": ..., "aux1": ..., ...}`, with a head on each level of the way up.
        classes, classifier_activation, data_format, dtype, name: as in `plain_unet`.
        input_shape: of an image, without the batch; height and width may be `None`. Default `(None, None, 3)`.

    Returns:
        A `keras.Model` from `(n, height, width, channels)` to `(n, height, width, classes)`.

    Raises:
        ValueError: at an argument outside what is listed; nothing is built then.

    Source: Zhang et al. 2017, arXiv:1711.10684, figure 2 and table 1, whose 7.8 M parameters are those without the 1x1 projections
    (7,789,313). A projection takes the unit's input as it is: equation 1 adds h(x) to F(x), and figure 1 draws it around all of F.
    """
    widths = check_widths(widths)
    check_choice("upsampling", upsampling, ("nearest", "bilinear"))
    check_norm(norm, norm_momentum, norm_epsilon)
    check_flag("use_bias", use_bias)
    check_number("dropout", dropout, 0, 1)
    check_flag("deep_supervision", deep_supervision)
    data_format = standardize_format(data_format)
    input_shape = standardize_shape(input_shape, (None, None, 3), data_format)
    form: dict = dict(data_format=data_format, dtype=dtype)
    norms = dict(norm=norm, norm_momentum=norm_momentum, norm_epsilon=norm_epsilon, activation=activation)
    shared: dict = dict(use_bias=use_bias, dropout=dropout, **norms, **form)
    conv: dict = dict(kernel_initializer=HeNormal(mode="fan_in"), **form)
    axis = 1 if data_format == "channels_first" else -1

    def body(image: Any) -> list:
        def unit(x: Any, width: int, strides: int, label: str) -> Any:
            # Not the block's own projection, which takes the pre-activated input.
            y = PreActBasicBlock(width, strides, shortcut=None, name=f"{label}_unit", **shared)(x)
            around = Conv2D(width, 1, strides, use_bias=use_bias, name=f"{label}_shortcut", **conv)(x)
            return keras.layers.Add(dtype=dtype, name=label)([y, around])

        x = Conv2D(widths[0], 3, padding=1, use_bias=use_bias, name="stem_conv1", **conv)(image)
        x = NormActivation(name="stem_norm", **norms, **form)(x)
        x = Conv2D(widths[0], 3, padding=1, use_bias=use_bias, name="stem_conv2", **conv)(x)
        around = Conv2D(widths[0], 1, use_bias=use_bias, name="stem_shortcut", **conv)(image)
        x = keras.layers.Add(dtype=dtype, name="down1")([x, around])
        skips = [x]
        for level, width in enumerate(widths[1:], start=2):
            label = "bridge" if level == len(widths) else f"down{level}"
            x = unit(x, width, 2, label)
            skips.append(x)
        maps = []
        for level in reversed(range(len(widths) - 1)):
            x = Enlarge(method=upsampling, name=f"up{level + 1}_enlarge", **form)(x)
            x = keras.layers.Concatenate(axis, dtype=dtype, name=f"up{level + 1}_join")([x, skips[level]])
            x = unit(x, widths[level], 1, f"up{level + 1}")
            maps.append((x, 2**level))
        return maps[::-1]

    return padded_segmenter(
        body,
        2 ** (len(widths) - 1),
        input_shape=input_shape,
        classes=classes,
        classifier_activation=classifier_activation,
        deep_supervision=deep_supervision,
        name=name,
        **form,
    )


RESUNETS = {
    #                    what differs from resunet()'s defaults    parameters, paper
    "resunet":       Row(dict(),                                   8_220_993, resunet, "1711.10684"),
}  # fmt: skip
