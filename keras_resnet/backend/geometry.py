"""Arithmetic of windows that all backends share: how far a convolution or a pooling pads, and how large its output is."""

import operator

Pair = tuple[int, int]
Numbers = tuple[int, ...]  # one an axis: two of an image, three of a volume
Padding = str | Numbers


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


def numbers(value: object, name: str, count: int, least: int) -> Numbers:
    """`value` as `count` integers of at least `least`: one is repeated."""
    items = tuple(value) if isinstance(value, (tuple, list)) else (value,) * count
    if len(items) == 2 == count:
        return pair(items, name, least)
    try:
        found = tuple(operator.index(item) for item in items)  # type: ignore[arg-type]
    except TypeError:
        found = ()
    if len(found) != count or min(found) < least or any(isinstance(item, bool) for item in items):
        raise ValueError(f"`{name}` must be an integer of at least {least}, or {count} of them. Received: {name}={value!r}.")
    return found


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


def paddings(sizes: tuple, windows: Numbers, strides: Numbers, padding: Padding) -> tuple[Pair, ...]:
    """`window_padding` for each axis."""
    each: tuple = (padding,) * len(sizes) if isinstance(padding, str) else padding
    return tuple(window_padding(*axis) for axis in zip(sizes, windows, strides, each, strict=True))


def output_size(size: int | None, window: int, stride: int, padding: str | int) -> int | None:
    """Length of the output along one axis, or `None` where the input's is unknown."""
    if size is None:
        return None
    if padding == "same":
        return -(-size // stride)
    before, after = window_padding(size, window, stride, padding)
    return (size + before + after - window) // stride + 1


def window_output_shape(
    shape: tuple, channels: int | None, windows: Numbers, strides: Numbers, padding: Padding, data_format: str
) -> tuple:
    """Shape of images or volumes after a window has passed over them; raises where nothing would be left."""
    first = data_format == "channels_first"
    sizes = tuple(shape[2:]) if first else tuple(shape[1:-1])
    each: tuple = (padding,) * len(sizes) if isinstance(padding, str) else padding
    out = tuple(output_size(*axis) for axis in zip(sizes, windows, strides, each, strict=True))
    if any(size is not None and size < 1 for size in out):
        raise ValueError(
            f"An image of {by(sizes)} is smaller than the window {by(windows)} with padding={padding!r}: "
            "nothing is left. Pass a larger image or more padding."
        )
    count = channels if channels is not None else shape[1 if first else -1]
    return (shape[0], count, *out) if first else (shape[0], *out, count)


def by(sizes: tuple) -> str:
    """`(3, 4)` as "3x4"."""
    return "x".join(map(str, sizes))


def standardize_data_format(data_format: str | None, default: str) -> str:
    """`"channels_last"` or `"channels_first"`; `None` means `default`, Keras's setting."""
    if data_format not in ("channels_last", "channels_first", None):
        raise ValueError(
            f'`data_format` must be "channels_last", "channels_first", or None for Keras\'s setting. Received: {data_format!r}.'
        )
    return data_format or default
