"""Arithmetic of windows that all backends share: how far a convolution or a pooling pads, and how large its output is."""

import operator

Pair = tuple[int, int]
Padding = str | Pair


def pair(value: object, name: str, least: int) -> Pair:
    """`value` as two integers of at least `least`: `3` and `(3, 3)` both give `(3, 3)`."""
    try:
        items = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
        first, second = (operator.index(item) for item in items)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        first = second = least - 1
    if min(first, second) < least or any(isinstance(item, bool) for item in items):
        raise ValueError(f"`{name}` must be an integer of at least {least}, or two of them. Received: {name}={value!r}.")
    return first, second


def standardize_padding(padding: object) -> Padding:
    """`"valid"`, `"same"`, or symmetric padding by whole pixels, as two integers."""
    if isinstance(padding, str):
        if padding.lower() in ("valid", "same"):
            return padding.lower()
        raise ValueError(f'`padding` must be "valid", "same", an integer, or two integers (height, width). Received: {padding!r}.')
    return pair(padding, "padding", least=0)


def window_padding(size: int | None, window: int, stride: int, padding: str | int) -> Pair:
    """Pixels before and after along one axis; `window` is the dilated window. `"same"` needs a known `size`."""
    if padding == "valid":
        return 0, 0
    if padding == "same":
        if stride == 1:
            total = window - 1
        elif size is None:
            raise ValueError('padding="same" with strides above 1 needs a known image size; pass an integer padding.')
        else:
            total = max((-(-size // stride) - 1) * stride + window - size, 0)
        return total // 2, total - total // 2
    return int(padding), int(padding)


def paddings(sizes: tuple, windows: Pair, strides: Pair, padding: Padding) -> tuple[Pair, Pair]:
    """`window_padding` for height and width."""
    each: tuple = (padding, padding) if isinstance(padding, str) else padding
    height, width = (window_padding(*axis) for axis in zip(sizes, windows, strides, each, strict=True))
    return height, width


def output_size(size: int | None, window: int, stride: int, padding: str | int) -> int | None:
    """Length of the output along one axis, or `None` where the input's is unknown."""
    if size is None:
        return None
    if padding == "same":
        return -(-size // stride)
    before, after = window_padding(size, window, stride, padding)
    return (size + before + after - window) // stride + 1


def window_output_shape(shape: tuple, channels: int | None, windows: Pair, strides: Pair, padding: Padding, data_format: str) -> tuple:
    """Shape of a 4-D input after a window has passed over it; raises where nothing would be left."""
    first = data_format == "channels_first"
    sizes = tuple(shape[2:4]) if first else tuple(shape[1:3])
    each: tuple = (padding, padding) if isinstance(padding, str) else padding
    out = tuple(output_size(*axis) for axis in zip(sizes, windows, strides, each, strict=True))
    if any(size is not None and size < 1 for size in out):
        raise ValueError(
            f"An image of {sizes[0]}x{sizes[1]} is smaller than the window {windows[0]}x{windows[1]} with padding={padding!r}: "
            "nothing is left. Pass a larger image or more padding."
        )
    count = channels if channels is not None else shape[1 if first else -1]
    return (shape[0], count, *out) if first else (shape[0], *out, count)


def standardize_data_format(data_format: str | None, default: str) -> str:
    """`"channels_last"` or `"channels_first"`; `None` means `default`, Keras's setting."""
    if data_format not in ("channels_last", "channels_first", None):
        raise ValueError(
            f'`data_format` must be "channels_last", "channels_first", or None for Keras\'s setting. Received: {data_format!r}.'
        )
    return data_format or default
