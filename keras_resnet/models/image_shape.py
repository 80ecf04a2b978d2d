"""The shape of what a network takes: the one check of it."""

from collections.abc import Sequence
from typing import Any

from keras_resnet.layers.configured import is_count


def standardize_shape(input_shape: Any, default: Sequence, data_format: str, volumes: bool = False) -> tuple:
    """The shape of an image, or also of a volume, without the batch; `None` for `default`, which has its channels last.

    Raises:
        ValueError: where it has another rank, its channels are open, or a size is no integer of at least 1 and not `None`.
    """
    first = data_format == "channels_first"
    if input_shape is None:
        input_shape = (default[-1], *default[:-1]) if first else default
    shape = tuple(input_shape) if isinstance(input_shape, (tuple, list)) else (input_shape,)
    channels = shape[0 if first else -1] if shape else None
    if len(shape) not in ((3, 4) if volumes else (3,)) or channels is None or not all(size is None or is_count(size) for size in shape):
        what, sizes = ("an image or a volume", "[depth,] height, width") if volumes else ("an image", "height, width")
        order = f"(channels, {sizes})" if first else f"({sizes}, channels)"
        raise ValueError(
            f"The shape of {what}, without the batch, is {order}: integers of at least 1, or None but for the channels. "
            f"Received: input_shape={input_shape!r}."
        )
    return tuple(None if size is None else int(size) for size in shape)
