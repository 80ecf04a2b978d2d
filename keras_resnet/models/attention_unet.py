"""Attention U-Net as its authors published it, for organs in volumes: gates on the grid of the level below, heads of all levels joined."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet.layers import ConvStack, Enlarge, GridAttentionGate
from keras_resnet.layers.configured import check_choice, check_flag, check_number
from keras_resnet.layers.normalization import check_norm
from keras_resnet.models.image_shape import standardize_shape
from keras_resnet.models.padded_segmenter import check_widths, padded_segmenter, standardize_format
from keras_resnet.models.row import Row


def attention_unet(
    widths: Sequence[int] = (16, 32, 64, 128, 256),
    gates: int = 1,
    upsampling: str = "bilinear",
    norm: str | None = "batch",
    norm_momentum: float = 0.9,
    norm_epsilon: float = 1e-5,
    use_bias: bool = True,
    activation: Any = "relu",
    dropout: float = 0.0,
    deep_supervision: bool = False,
    classes: int = 2,
    classifier_activation: Any = None,
    input_shape: Sequence | None = None,
    data_format: str | None = None,
    dtype: Any = None,
    name: str = "attention_unet",
) -> keras.Model:
    """A U-Net whose skips are weighed by what lies deeper, for volumes or images of any size.

    ```
    volume -- down1 ----------------------------------- up1 -- conv 1x1 --+- concat -- head: conv 1x1, classes
               | max 2                                   | enlarge        |
              down2 ---- gate (by up3) ------------ up2 -/ -- conv 1x1, *2 +
               |                                     |                    |
              ...                                   ...                  ...
              down5 -- conv 1x1: the first gating signal
    ```

    Args:
        widths: channels of each level, from the image's size; their number, 3 or more, is the depth.
        gates: how many gates weigh each skip but the first, side by side; 0 for none: the paper's baseline.
        upsampling: `"bilinear"` or `"nearest"`, both without weights.
        norm, norm_momentum, norm_epsilon, use_bias, activation: as in `layers.ConvStack`.
        dropout: share of the numbers behind the two deepest levels that training sets to zero, from 0 to below 1.
        deep_supervision: whether the heads of all levels, from `"aux1"`, that of the largest, are outputs beside `"out"`.
        classes, classifier_activation, data_format, dtype, name: as in `plain_unet`.
        input_shape: without the batch: `(depth, height, width, channels)` or `(height, width, channels)`, or channels first; sizes may be
            `None`. Default `(None, None, None, 1)`.

    Returns:
        A `keras.Model` from `(n, depth, height, width, channels)` to `(n, depth, height, width, classes)`, and the like.

    Raises:
        ValueError: at an argument outside what is listed; nothing is built then.

    Source: Oktay et al. 2018, arXiv:1804.03999, and the authors' networks for CT.
    """
    widths = check_widths(widths, 3)
    check_choice("gates", gates, (0, 1, 2, 3, 4))
    check_choice("upsampling", upsampling, ("bilinear", "nearest"))
    check_norm(norm, norm_momentum, norm_epsilon)
    check_flag("use_bias", use_bias)
    check_number("dropout", dropout, 0, 1)
    data_format = standardize_format(data_format)
    input_shape = standardize_shape(input_shape, (None, None, None, 1), data_format, volumes=True)
    form: dict = dict(data_format=data_format, dtype=dtype)
    norms: dict = dict(norm=norm, norm_momentum=norm_momentum, norm_epsilon=norm_epsilon, activation=activation)
    shared: dict = dict(use_bias=use_bias, **norms, **form)

    def body(x: Any) -> list:
        skips = []
        for level, width in enumerate(widths):
            drops = dropout if level >= len(widths) - 2 else 0.0
            x = ConvStack((width,) * 2, pool=2 if level else 1, dropout=drops, name=f"down{level + 1}", **shared)(x)
            skips.append(x)
        gating = ConvStack((widths[-1],), 1, name="gating", **shared)(x) if gates else x
        maps = []
        for level in reversed(range(len(widths) - 1)):
            skip, width = skips[level], widths[level]
            if gates and level:
                skip = GridAttentionGate(width, gates, name=f"up{level + 1}_gate", **norms, **form)([skip, gating])
            x = Enlarge(method=upsampling, name=f"up{level + 1}_enlarge", **form)(x)
            x = gating = ConvStack((width,) * 2, name=f"up{level + 1}", **shared)([skip, x])
            maps.append((x, 2**level))
        return maps[::-1]

    return padded_segmenter(
        body,
        2 ** (len(widths) - 1),
        input_shape=input_shape,
        classes=classes,
        classifier_activation=classifier_activation,
        deep_supervision=deep_supervision,
        out="conv",
        name=name,
        **form,
    )


PAPER = "1804.03999"

ATTENTION_UNETS = {
    #                               what differs from attention_unet()'s defaults    parameters, paper
    "attention_unet3d":         Row(dict(),                                          6_213_613, attention_unet, PAPER),
    "attention_unet3d_multi":   Row(dict(gates=2),                                   6_472_784, attention_unet, PAPER),
    "attention_unet3d_ungated": Row(dict(gates=0),                                   5_887_466, attention_unet, PAPER),
}  # fmt: skip
