"""The original U-Net and what differs from it by a choice: norms, ways up, attention gates, a dimension more."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet.layers import AttentionGate, ConvStack, Enlarge, ScSE
from keras_resnet.layers.configured import check_choice, check_count, check_flag, check_number, check_odd
from keras_resnet.layers.enlarge import METHODS
from keras_resnet.layers.normalization import check_norm
from keras_resnet.models.image_shape import standardize_shape
from keras_resnet.models.padded_segmenter import check_widths, padded_segmenter, standardize_format
from keras_resnet.models.row import Row


def plain_unet(
    widths: Sequence[int] = (64, 128, 256, 512, 1024),
    convs: int = 2,
    growth: str = "early",
    padding: str = "same",
    upsampling: str = "transpose",
    up_kernel: int | None = None,
    merge: str = "concat",
    attention: str | None = None,
    norm: str | None = None,
    norm_momentum: float = 0.9,
    norm_epsilon: float = 1e-5,
    use_bias: bool | None = None,
    activation: Any = "relu",
    dropout: float = 0.0,
    deep_supervision: bool = False,
    classes: int = 2,
    classifier_activation: Any = None,
    input_shape: Sequence | None = None,
    data_format: str | None = None,
    dtype: Any = None,
    name: str = "plain_unet",
) -> keras.Model:
    """A U-Net without a pretrained encoder, for images or volumes of any size; the defaults are the original's.

    ```
    image -- down1 ---------------------------------- up1 -- head: conv 1x1, classes
              | max 2x2                                | enlarge
             down2 -------------------------- up2 ----/
              | max 2x2                        |
             ...                              ...
             down5 --------------------------/            each: conv 3x3 -- norm -- relu, twice
    ```

    Args:
        widths: channels of each level, from the image's size; their number, 2 or more, is the depth.
        convs: convolutions at each level on either way.
        growth: `"early"`: the first convolution of a level has its width, and each enlargement halves the channels; `"late"`, the 3-D
            U-Net's: on the way down only the last has it, those before have half, and enlargements keep the channels, without a bias.
        padding: `"same"`: any image is padded to what the depth divides, and the output cut back to its size; `"valid"`: nothing is
            padded, each convolution takes two pixels off, skips are cut at their middle, and the output is smaller than the image: 388
            pixels of 572.
        upsampling: `"transpose"`, `"nearest"`, `"bilinear"` or `"pixel_shuffle"`, as in `layers.Enlarge`.
        up_kernel: window of the convolution, with norm and activation, behind an interpolation, and of pixel shuffle's (`None`: 3).
            With `None` an interpolation has none, and the last convolution of the level below narrows the map in its place.
        merge: how skip and enlarged map are joined, `"concat"` or `"add"`.
        attention: `"gate"` weighs each skip by a `layers.AttentionGate` of half its channels; `"scse"`, for images alone, each map of the
            way up by a `layers.ScSE`; or `None`.
        norm: `"batch"`, `"group"`, `"instance"`, `"layer"` or `None`.
        norm_momentum, norm_epsilon: of the norm.
        use_bias: of the convolutions with a norm behind them, `None` for those without.
        activation: any Keras activation, by name or function.
        dropout: share of the numbers behind the two deepest levels that training sets to zero, from 0 to below 1; the authors have 0.5.
        deep_supervision: whether the output is `{"out": ..., "aux1": ..., ...}`, with a head on each level of the way up, at the image's
            size; see `keras_resnet.learning.deep_supervision`.
        classes: number of outputs for each pixel.
        classifier_activation: `None` for logits, `"softmax"`, or `"sigmoid"`.
        input_shape: without the batch: `(height, width, channels)`, for volumes `(depth, height, width, channels)`, or channels first;
            sizes may be `None`. Default `(None, None, 1)`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.
        dtype: dtype policy, such as `"mixed_bfloat16"`; `None` for Keras's setting. The head stays in the variables' type.
        name: of the model.

    Returns:
        A `keras.Model` from `(n, height, width, channels)` to `(n, height, width, classes)`, and the like.

    Raises:
        ValueError: at an argument outside what is listed; nothing is built then.

    Source: Ronneberger et al. 2015, arXiv:1505.04597; volumes Cicek et al. 2016, arXiv:1606.06650; gates Oktay et al. 2018,
    arXiv:1804.03999; scSE Roy et al. 2018, arXiv:1803.02579. The authors pad a tile by mirroring the picture; with `padding="same"` here
    the convolutions pad with zeros.
    """
    widths = check_widths(widths)
    check_count("convs", convs)
    check_choice("growth", growth, ("early", "late"))
    check_choice("padding", padding, ("same", "valid"))
    check_choice("upsampling", upsampling, METHODS)
    if up_kernel is not None:
        check_odd("up_kernel", up_kernel)
    check_choice("merge", merge, ("concat", "add"))
    check_choice("attention", attention, ("gate", "scse", None))
    check_number("dropout", dropout, 0, 1)
    check_flag("deep_supervision", deep_supervision)
    check_norm(norm, norm_momentum, norm_epsilon)
    late, narrows = growth == "late", upsampling in ("nearest", "bilinear") and up_kernel is None
    if padding == "valid" and (attention == "gate" or deep_supervision):
        raise ValueError("padding='valid' makes maps of sizes that gates and side outputs do not fit: it takes neither of them.")
    if late and (narrows or merge == "add"):
        raise ValueError("growth='late' keeps the channels of what is enlarged: it takes merge='concat', and a convolution behind it.")
    data_format = standardize_format(data_format)
    input_shape = standardize_shape(input_shape, (None, None, 1), data_format, volumes=True)
    if attention == "scse" and len(input_shape) != 3:
        raise ValueError(f"attention='scse' is for images; volumes have attention='gate'. Received: input_shape={input_shape!r}.")
    norms: dict = dict(norm=norm, norm_momentum=norm_momentum, norm_epsilon=norm_epsilon)
    form = dict(data_format=data_format, dtype=dtype)
    shared: dict = dict(padding=padding, activation=activation, use_bias=use_bias, **norms, **form)

    def body(x: Any) -> list:
        skips = []
        for level, width in enumerate(widths):
            deepest = level == len(widths) - 1
            width = widths[level - 1] if narrows and deepest else width
            filters = (*((max(width // 2, 1) if late else width,) * (convs - 1)), width)
            sized: dict = dict(minimum_size=_least_side(len(widths), convs)) if padding == "valid" and not level else {}
            drops = dropout if level >= len(widths) - 2 else 0.0
            x = ConvStack(filters, pool=2 if level else 1, dropout=drops, name=f"down{level + 1}", **sized, **shared)(x)
            skips.append(x)
        maps = []
        for level in reversed(range(len(widths) - 1)):
            place, width = level + 1, widths[level]
            x = Enlarge(
                None if narrows else widths[level + 1] if late else width,
                upsampling,
                2,
                up_kernel or 3,
                use_bias=False if late else use_bias,
                activation=activation,
                name=f"up{place}_enlarge",
                **norms,
                **form,
            )(x)
            skip = skips[level]
            if attention == "gate":
                skip = AttentionGate(max(width // 2, 1), activation=activation, name=f"up{place}_gate", **norms, **form)([skip, x])
            last = widths[max(level - 1, 0)] if narrows else width
            x = ConvStack((width,) * (convs - 1) + (last,), merge=merge, name=f"up{place}", **shared)([skip, x])
            if attention == "scse":
                x = ScSE(name=f"up{place}_scse", **form)(x)
            maps.append((x, 2**level))
        return maps[::-1]

    return padded_segmenter(
        body,
        None if padding == "valid" else 2 ** (len(widths) - 1),
        input_shape=input_shape,
        classes=classes,
        classifier_activation=classifier_activation,
        deep_supervision=deep_supervision,
        name=name,
        **form,
    )


def _least_side(levels: int, convs: int) -> int:
    """The smallest image of which a U-Net without padding leaves anything: 188 pixels a side for the original, which leave 4."""
    lost = 2 * convs  # of a side, at each level on either way
    side = 1
    for _ in range(levels - 1):  # up from below: at least so many pixels, enlarged twice
        side = -(-(side + lost) // 2)
    side += lost
    for _ in range(levels - 1):
        side = 2 * side + lost
    return side


ORIGINAL, VOLUMES, GATES = "1505.04597", "1606.06650", "1804.03999"
IMAGE: dict[str, Any] = dict(input_shape=(None, None, 3))
VOLUME: dict[str, Any] = dict(input_shape=(None, None, None, 3))
COMMUNITY: dict[str, Any] = dict(norm="batch", use_bias=True, upsampling="nearest", up_kernel=3, classes=1, **IMAGE)
LATE: dict[str, Any] = dict(widths=(64, 128, 256, 512), growth="late", norm="batch", use_bias=True, classes=3, **VOLUME)

# The 3-D U-Net's paper has 19,069,955: the count without gammas and betas.
PLAIN_UNETS = {
    #                       what differs from plain_unet()'s defaults                parameters, paper
    "unet":             Row(dict(),                                                  31_030_658, plain_unet, ORIGINAL),
    "unet_valid":       Row(dict(padding="valid", dropout=0.5),                      31_030_658, plain_unet, ORIGINAL),
    "unet_bn":          Row(dict(norm="batch", **IMAGE),                             31_037_698, plain_unet, ORIGINAL),
    "unet_bn_bilinear": Row(dict(norm="batch", upsampling="bilinear", **IMAGE),      17_263_042, plain_unet, ORIGINAL),
    "unet_bn_nearest":  Row(COMMUNITY,                                               34_527_041, plain_unet, ORIGINAL),
    "attention_unet":   Row(dict(attention="gate", **COMMUNITY),                     34_878_573, plain_unet, GATES),
    "unet3d":           Row(LATE,                                                    19_074_627, plain_unet, VOLUMES),
}  # fmt: skip
