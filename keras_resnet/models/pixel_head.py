"""The end of every network for dense prediction: classes for each pixel, and where it is asked for also for maps on the way."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_resnet.layers import Conv2D, Conv3D, UpsampleTo
from keras_resnet.layers.configured import check_count, get_activation
from keras_resnet.models.functional import Network

# From logits, the name of their head, and the format and type of its layers, to logits of the image's size.
Resize = Callable[[Any, str, dict], Any]


def pixel_head(
    image: Any,
    maps: Sequence[tuple[Any, Resize | None]],
    *,
    classes: int,
    classifier_activation: Any,
    data_format: str,
    dtype: Any,
    name: str,
    kernel_size: int = 3,
    kernel_initializer: Any = "glorot_uniform",
    deep_supervision: bool = False,
    out: str = "first",
) -> keras.Model:
    """The model from `image` to `maps`, with a convolution to `classes` channels behind each that is used.

    Args:
        maps: `[(map, resize), ...]`, from the largest; `resize` brings its logits to the image's size, `None` where they have it.
        kernel_size, kernel_initializer: of the heads.
        deep_supervision: whether the output is `{"out": ..., "aux1": ..., "aux2": ...}`, all of the image's size: a head on each map but
            the first; with another `out` than `"first"` on the first, too.
        out: what is put out: `"first"`, the head of the first map; `"mean"`, of all heads; `"conv"`, a 1x1 convolution of all heads.
    """
    activation = check_head(classes, classifier_activation)
    # In float32 also under a mixed policy: it is little of the arithmetic, and probabilities need the bits.
    form: dict = dict(data_format=data_format, dtype=keras.dtype_policies.get(dtype).variable_dtype)

    def convolve(x: Any, label: str) -> Any:
        conv = Conv2D if len(x.shape) == 4 else Conv3D
        return conv(classes, kernel_size, padding=kernel_size // 2, kernel_initializer=kernel_initializer, name=label, **form)(x)

    def finish(logits: Any, label: str) -> Any:
        return scores(logits, activation, data_format, f"{label}_activation")

    start = 0 if out == "first" else 1
    used = maps if deep_supervision or out != "first" else maps[:1]
    logits = {}
    for place, (x, resize) in enumerate(used, start=start):
        label = f"aux{place}" if place else "head"
        x = convolve(x, label)
        logits[label] = x if resize is None else resize(x, label, form)
    finished = {label: finish(x, label) for label, x in logits.items()} if deep_supervision or out != "conv" else {}
    if out == "first":
        main = finished.pop("head")
    elif out == "mean":
        main = keras.layers.Average(dtype=form["dtype"], name="head")(list(finished.values()))
    else:
        axis = 1 if data_format == "channels_first" else -1
        joined = keras.layers.Concatenate(axis, dtype=form["dtype"], name="head_join")(list(logits.values()))
        main = finish(convolve(joined, "head"), "head")
    return Network(image, {"out": main, **finished} if deep_supervision else main, name=name)


def to_size_of(image: Any, method: str = "bilinear") -> Resize:
    """Enlarges logits to the image's size, whatever that is, by a method of `layers.UpsampleTo`."""
    return lambda logits, label, form: UpsampleTo(method, name=f"{label}_enlarged", **form)([logits, image])


def check_head(classes: Any, classifier_activation: Any) -> Any:
    """The activation function of a head. Raises where its arguments are wrong: builders ask before they build on somebody's encoder."""
    check_count("classes", classes)
    return None if classifier_activation is None else get_activation("classifier_activation", classifier_activation)


def scores(logits: Any, activation: Any, data_format: str, name: str) -> Any:
    """An activation function over the logits of each pixel's classes; `None` leaves them as they are."""
    if activation is None:
        return logits
    if activation is keras.activations.softmax:  # Keras's function is over the last axis, whichever has the classes
        return keras.layers.Softmax(1 if data_format == "channels_first" else -1, dtype=logits.dtype, name=name)(logits)
    if data_format == "channels_last":
        return keras.layers.Activation(activation, dtype=logits.dtype, name=name)(logits)
    axes = len(logits.shape)  # behind the batch, from 1: other functions may be over the last axis, too
    x = keras.layers.Permute((*range(2, axes), 1), dtype=logits.dtype, name=f"{name}_turned")(logits)
    x = keras.layers.Activation(activation, dtype=logits.dtype, name=name)(x)
    return keras.layers.Permute((axes - 1, *range(1, axes - 1)), dtype=logits.dtype, name=f"{name}_turned_back")(x)
