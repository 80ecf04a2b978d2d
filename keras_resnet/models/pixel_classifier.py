"""What networks share that put out scores for each pixel of an image: their input, their head, and the checks of both."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_resnet.layers import Conv2D, HeNormal
from keras_resnet.layers.configured import check_count, get_activation
from keras_resnet.models.functional import Network
from keras_resnet.models.network import check_dtype, image_input


def pixel_classifier(
    body: Callable[[Any, Callable], Any],
    kernel_size: int,
    distribution: str,
    *,
    input_shape: Sequence | None,
    classes: int,
    classifier_activation: Any,
    data_format: str,
    dtype: Any,
    name: str,
) -> keras.Model:
    """The model image -> `body(image, head)`, a map or a dict of maps; `head(x, name)` makes of one the logits of each class.

    Args:
        kernel_size, distribution: of the heads' convolutions, and of the numbers that their kernels start from.
        input_shape: without the batch; `None` for three channels and any size.
    """
    check_dtype(dtype)
    check_count("classes", classes)
    get_activation("classifier_activation", classifier_activation)
    image = image_input(None, input_shape, None, data_format)
    # In float32 also under a mixed policy, as all heads of the zoo.
    wide = keras.dtype_policies.get(dtype).variable_dtype

    def head(x: Any, name: str) -> Any:
        start = HeNormal(mode="fan_in", distribution=distribution)
        padding = kernel_size // 2
        return Conv2D(classes, kernel_size, padding=padding, kernel_initializer=start, data_format=data_format, dtype=wide, name=name)(x)

    return Network(image, body(image, head), name=name)


def scores(logits: Any, activation: Any, data_format: str, name: str) -> Any:
    """The logits of each class with an activation over them, or as they are."""
    if activation is None:
        return logits
    function = get_activation("classifier_activation", activation)
    if function is keras.activations.softmax:  # Keras's activation is over the last axis, whichever has the classes
        return keras.layers.Softmax(1 if data_format == "channels_first" else -1, dtype=logits.dtype, name=name)(logits)
    return keras.layers.Activation(function, dtype=logits.dtype, name=name)(logits)
