"""What the classic U-Nets share: the padding of an image or a volume of any size, and the cut at the end."""

from collections.abc import Callable
from typing import Any

import keras

from keras_resnet.backend import geometry
from keras_resnet.layers import CropTo, Enlarge, HeNormal, PadToMultiple
from keras_resnet.layers.configured import check_flag, is_count
from keras_resnet.models.network import check_dtype
from keras_resnet.models.pixel_head import Resize, check_head, pixel_head

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
        input_shape: as `image_shape.standardize_shape` gives it.
        deep_supervision, out: as in `pixel_head`.
    """
    check_flag("deep_supervision", deep_supervision)
    check_dtype(dtype)
    check_head(classes, classifier_activation)
    form: dict = dict(data_format=data_format, dtype=dtype)
    image = keras.Input(input_shape, name="input")
    maps = body(image if multiple is None else PadToMultiple(multiple, name="pad", **form)(image))

    def to_image(step: Any) -> Resize:
        def resize(logits: Any, label: str, form: dict) -> Any:
            if (max(step) if isinstance(step, (tuple, list)) else step) > 1:
                logits = Enlarge(method="bilinear", strides=step, name=f"{label}_enlarge", **form)(logits)
            return logits if multiple is None else CropTo(name=f"{label}_cut", **form)([logits, image])

        return resize

    return pixel_head(
        image,
        [(x, to_image(step)) for x, step in maps],
        classes=classes,
        classifier_activation=classifier_activation,
        kernel_size=1,
        kernel_initializer=HeNormal(1.0, mode="fan_in"),
        deep_supervision=deep_supervision,
        out=out,
        name=name,
        **form,
    )


def standardize_format(data_format: str | None) -> str:
    """The data format; `None` for Keras's setting."""
    return geometry.standardize_data_format(data_format, keras.config.image_data_format())


def check_widths(widths: Any, least: int = 2) -> tuple[int, ...]:
    """The widths as a tuple. Raises unless there are at least `least` integers, one a level."""
    if not isinstance(widths, (tuple, list)) or len(widths) < least or not all(map(is_count, widths)):
        raise ValueError(f"`widths` must hold at least {least} integers of at least 1, one a level. Received: widths={widths!r}.")
    return tuple(int(width) for width in widths)
