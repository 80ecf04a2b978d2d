"""What the classic U-Nets share: an image or a volume of any size as input, its padding, and the heads that put out classes."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_resnet.backend import geometry
from keras_resnet.layers import Conv2D, Conv3D, CropTo, Enlarge, HeNormal, PadToMultiple
from keras_resnet.layers.configured import check_flag, is_count
from keras_resnet.models.functional import Network
from keras_resnet.models.network import check_dtype
from keras_resnet.models.pixel_head import check_head, scores

Body = Callable[[Any], list]


def padded_segmenter(
    body: Body,
    multiple: Any,
    *,
    input_shape: tuple,
    classes: int,
    classifier_activation: Any,
    data_format: str,
    dtype: Any,
    name: str,
    deep_supervision: bool = False,
    out: str = "first",
) -> keras.Model:
    """The model image -> padding -> `body` -> a 1x1 convolution to the classes -> cut to the image's size.

    Args:
        body: from the padded image to a list of maps with their steps in pixels, `[(map, 1), (map, 2), ...]`; the first is the largest.
        multiple: of which each side is made one, an integer or one an axis; `None` for no padding, and so no cut.
        input_shape: as `standardize_shape` gives it.
        deep_supervision: whether the output is `{"out": ..., "aux1": ..., ...}`: a head on each map but the first, enlarged to the image's
            size; with another `out` than `"first"` on the first, too.
        out: what is put out: `"first"`, the head of the first map; `"mean"`, of all heads; `"conv"`, a 1x1 convolution of all heads.
    """
    check_flag("deep_supervision", deep_supervision)
    check_dtype(dtype)
    activation = check_head(classes, classifier_activation)
    axis = 1 if data_format == "channels_first" else -1
    # In float32 also under a mixed policy: it is little of the arithmetic, and probabilities need the bits.
    form: dict = dict(data_format=data_format, dtype=keras.dtype_policies.get(dtype).variable_dtype)
    image = keras.Input(input_shape, name="input")
    maps = body(image if multiple is None else PadToMultiple(multiple, data_format, dtype=dtype, name="pad")(image))

    def convolve(x: Any, label: str) -> Any:
        conv = Conv2D if len(x.shape) == 4 else Conv3D
        return conv(classes, 1, kernel_initializer=HeNormal(1.0, mode="fan_in"), name=label, **form)(x)

    def finish(x: Any, label: str) -> Any:
        x = scores(x, activation, data_format, f"{label}_activation")
        return x if multiple is None else CropTo(name=f"{label}_cut", **form)([x, image])

    def head(x: Any, step: Any, label: str) -> Any:
        x = convolve(x, label)
        once = max(step) == 1 if isinstance(step, (tuple, list)) else step == 1
        return x if once else Enlarge(method="bilinear", strides=step, name=f"{label}_enlarge", **form)(x)

    start = 0 if out == "first" else 1
    used = maps if deep_supervision or out != "first" else maps[:1]
    labels = [f"aux{place}" if place else "head" for place in range(start, start + len(used))]
    logits = {label: head(x, step, label) for label, (x, step) in zip(labels, used, strict=True)}
    finished = {label: finish(x, label) for label, x in logits.items()} if deep_supervision or out != "conv" else {}
    if out == "first":
        main = finished.pop("head")
    elif out == "mean":
        main = keras.layers.Average(dtype=form["dtype"], name="head")(list(finished.values()))
    else:
        joined = keras.layers.Concatenate(axis, dtype=form["dtype"], name="head_join")(list(logits.values()))
        main = finish(convolve(joined, "head"), "head")
    return Network(image, {"out": main, **finished} if deep_supervision else main, name=name)


def standardize_format(data_format: str | None) -> str:
    """The data format; `None` for Keras's setting."""
    return geometry.standardize_data_format(data_format, keras.config.image_data_format())


def standardize_shape(input_shape: Any, default: Sequence, data_format: str) -> tuple:
    """The shape of an image or a volume without the batch; `None` for `default`, which has its channels last."""
    first = data_format == "channels_first"
    if input_shape is None:
        input_shape = (default[-1], *default[:-1]) if first else default
    shape = tuple(input_shape) if isinstance(input_shape, (tuple, list)) else (input_shape,)
    channels = shape[0 if first else -1] if shape else None
    if len(shape) not in (3, 4) or channels is None or not all(size is None or is_count(size) for size in shape):
        order = "([depth,] height, width, channels)" if not first else "(channels, [depth,] height, width)"
        raise ValueError(
            f"The shape of an image or a volume, without the batch, is {order}: integers of at least 1, or None but for the channels. "
            f"Received: input_shape={input_shape!r}."
        )
    return tuple(None if size is None else int(size) for size in shape)


def check_widths(widths: Any, least: int = 2) -> tuple[int, ...]:
    """The widths as a tuple. Raises unless there are at least `least` integers, one a level."""
    if not isinstance(widths, (tuple, list)) or len(widths) < least or not all(map(is_count, widths)):
        raise ValueError(f"`widths` must hold at least {least} integers of at least 1, one a level. Received: widths={widths!r}.")
    return tuple(int(width) for width in widths)
