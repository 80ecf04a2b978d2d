"""UNet++ of its paper: U-Nets of every depth nested in one another, without a pretrained encoder."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet.layers import ConvStack, Enlarge
from keras_resnet.layers.configured import check_choice, check_count, check_flag, check_number
from keras_resnet.layers.enlarge import METHODS
from keras_resnet.layers.normalization import check_norm
from keras_resnet.models.functional import Network
from keras_resnet.models.image_shape import standardize_shape
from keras_resnet.models.padded_segmenter import check_widths, padded_segmenter, standardize_format
from keras_resnet.models.row import Row


def nested_unet(
    widths: Sequence[int] = (32, 64, 128, 256, 512),
    upsampling: str = "transpose",
    norm: str | None = None,
    norm_momentum: float = 0.9,
    norm_epsilon: float = 1e-5,
    use_bias: bool | None = None,
    activation: Any = "relu",
    dropout: float = 0.0,
    deep_supervision: bool = False,
    classes: int = 1,
    classifier_activation: Any = None,
    input_shape: Sequence | None = None,
    data_format: str | None = None,
    dtype: Any = None,
    name: str = "nested_unet",
) -> keras.Model:
    """UNet++: every map is made of all others of its size before it, and of the enlarged one below; for images or volumes of any size.

    ```
    image -- x_0_0 -- x_0_1 -- x_0_2 -- x_0_3 -- x_0_4 -- head        each x: conv 3x3 -- norm -- relu, twice;
              |     /       /        /        /                       along a row each is joined with all before it
             x_1_0 -- x_1_1 -- x_1_2 -- x_1_3
              |     /       /        /
             x_2_0 -- x_2_1 -- x_2_2
              |     /       /
             x_3_0 -- x_3_1
              |     /
             x_4_0
    ```

    Args:
        widths: channels of each row, from the image's size; their number, 2 or more, is the depth.
        upsampling: `"transpose"`, `"pixel_shuffle"`, or `"nearest"`, `"bilinear"`, which have no weights.
        norm, norm_momentum, norm_epsilon, use_bias, activation: as in `layers.ConvStack`.
        dropout: share of the numbers behind the two deepest maps of the first column that training sets to zero, from 0 to below 1.
        deep_supervision: whether the output is a dictionary: `"aux1"` is the head of x_0_4, `"aux2"` of x_0_3 and so on, and `"out"` their
            mean: the paper's "accurate" mode. `fast_nested_unet` gives its "fast" mode.
        classes, classifier_activation, input_shape, data_format, dtype, name: as in `plain_unet`.

    Returns:
        A `keras.Model` from `(n, height, width, channels)` to `(n, height, width, classes)`, and the like.

    Raises:
        ValueError: at an argument outside what is listed; nothing is built then.

    Source: Zhou et al. 2018, arXiv:1807.10165.
    """
    widths = check_widths(widths)
    check_choice("upsampling", upsampling, METHODS)
    check_norm(norm, norm_momentum, norm_epsilon)
    check_number("dropout", dropout, 0, 1)
    check_flag("deep_supervision", deep_supervision)
    data_format = standardize_format(data_format)
    input_shape = standardize_shape(input_shape, (None, None, 1), data_format, volumes=True)
    form = dict(data_format=data_format, dtype=dtype)
    shared: dict = dict(norm=norm, norm_momentum=norm_momentum, norm_epsilon=norm_epsilon, use_bias=use_bias, activation=activation, **form)
    interpolates = upsampling in ("nearest", "bilinear")

    def body(x: Any) -> list:
        rows: list[list] = []
        for row, width in enumerate(widths):
            drops = dropout if row >= len(widths) - 2 else 0.0
            x = ConvStack((width,) * 2, pool=2 if row else 1, dropout=drops, name=f"x_{row}_0", **shared)(x)
            rows.append([x])
        for column in range(1, len(widths)):
            for row in range(len(widths) - column):
                label, width = f"x_{row}_{column}", widths[row]
                below = rows[row + 1][column - 1]
                up = Enlarge(None if interpolates else width, upsampling, name=f"{label}_enlarge", **form)(below)
                rows[row].append(ConvStack((width,) * 2, name=label, **shared)([*rows[row], up]))
        return [(x, 1) for x in reversed(rows[0][1:])]

    return padded_segmenter(
        body,
        2 ** (len(widths) - 1),
        input_shape=input_shape,
        classes=classes,
        classifier_activation=classifier_activation,
        deep_supervision=deep_supervision,
        out="mean" if deep_supervision else "first",
        name=name,
        **form,
    )


def fast_nested_unet(model: keras.Model, level: int) -> keras.Model:
    """UNet++'s "fast" mode: of a network with deep supervision, what the head of x_0_level needs, with the same layers and variables.

    ```python
    fast = keras_resnet.models.fast_nested_unet(model, level=2)  # a U-Net of depth 2 inside a trained one of depth 4
    ```

    Args:
        model: built by `nested_unet(deep_supervision=True)`.
        level: from 1 to the depth of the network, which cuts nothing.

    Raises:
        ValueError: for another model or level.

    Source: Zhou et al. 2018, arXiv:1807.10165, section 3.3.
    """
    outputs = getattr(model, "output", None)
    heads = [key for key in outputs if key.startswith("aux")] if isinstance(outputs, dict) else []
    if not isinstance(outputs, dict) or not heads or "x_0_1" not in [layer.name for layer in model.layers]:
        raise ValueError(f"`model` must be a nested_unet with deep_supervision=True. Received: {getattr(model, 'name', model)!r}.")
    check_count("level", level)
    if level > len(heads):
        raise ValueError(f"`level` must be from 1 to {len(heads)}. Received: level={level!r}.")
    return Network(model.input, outputs[f"aux{len(heads) + 1 - level}"], name=model.name)


PAPER = "1807.10165"
BILINEAR: dict[str, Any] = dict(norm="batch", use_bias=True, upsampling="bilinear", input_shape=(None, None, 3))

NESTED_UNETS = {
    #                             what differs from nested_unet()'s defaults         parameters, paper
    "nested_unet":            Row(dict(),                                            9_041_601, nested_unet, PAPER),
    "nested_unet_ds":         Row(dict(deep_supervision=True),                       9_041_700, nested_unet, PAPER),
    "nested_unet_bilinear":   Row(BILINEAR,                                          9_163_329, nested_unet, PAPER),
    "nested_unet_bilinear_ds": Row(dict(deep_supervision=True, **BILINEAR),          9_163_428, nested_unet, PAPER),
}  # fmt: skip
