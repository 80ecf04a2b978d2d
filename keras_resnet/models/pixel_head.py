"""The end of every network for dense prediction: classes for each pixel, and where it is asked for also for maps on the way."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet.layers import Conv2D, UpsampleTo
from keras_resnet.layers.configured import check_count, get_activation
from keras_resnet.models.functional import Network


def pixel_head(
    image: Any,
    x: Any,
    *,
    classes: int,
    classifier_activation: Any,
    data_format: str,
    dtype: Any,
    name: str,
    kernel_size: int = 3,
    enlarges: str | None = None,
    side_maps: Sequence = (),
    kernel_initializer: Any = "glorot_uniform",
) -> keras.Model:
    """The model from `image` to `x` with a convolution to `classes` channels behind it.

    Args:
        enlarges: where `x` is smaller than the image, how its logits are enlarged: a method of `layers.UpsampleTo`.
        side_maps: maps on the way, from the largest, for deep supervision: the model's output is then
            `{"out": ..., "aux1": ..., "aux2": ...}`, all of the image's size.
        kernel_initializer: of the heads.
    """
    activation = check_head(classes, classifier_activation)
    # In float32 also under a mixed policy: it is little of the arithmetic, and probabilities need the bits.
    form: dict = dict(data_format=data_format, dtype=keras.dtype_policies.get(dtype).variable_dtype)

    def head(x: Any, method: str | None, label: str) -> Any:
        x = Conv2D(classes, kernel_size, padding=kernel_size // 2, kernel_initializer=kernel_initializer, name=label, **form)(x)
        if method is not None:
            x = UpsampleTo(method, name=f"{label}_enlarged", **form)([x, image])
        return scores(x, activation, data_format, f"{label}_activation")

    out = head(x, enlarges, "head")
    if not side_maps:
        return Network(image, out, name=name)
    sides = {f"aux{place}": head(one, "bilinear", f"aux{place}") for place, one in enumerate(side_maps, start=1)}
    return Network(image, {"out": out, **sides}, name=name)


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
