"""Pictures with their masks laid over them, in colours that colour-blind people tell apart."""

import colorsys
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_resnet.layers.configured import check_flag, check_number
from keras_resnet.vision.host_arrays import as_host_array

# Okabe and Ito's, without black, and with yellow last, which is hard to see on white.
PALETTE = ("#e69f00", "#56b4e9", "#009e73", "#0072b2", "#d55e00", "#cc79a7", "#f0e442")
GREY = (0.55, 0.55, 0.55)


def plot_segmentation(
    image: Any,
    mask: Any,
    names: Sequence[str] | Mapping[int, str] | None = None,
    truth: Any = None,
    path: str | os.PathLike | None = None,
    *,
    ignore_label: int | None = 255,
    background: int | None = 0,
    opacity: float = 0.4,
    contours: bool = True,
    title: str | None = None,
) -> Any:
    """A figure of a picture beside its mask, with the classes' outlines and names: `plot_segmentation(image, mask, path="mask.png")`.

    From the left: the picture, with `truth` the mask that it should have, and the mask. Above the latter is the part of the pixels that
    agree, of those that count.

    Args:
        image: `(height, width, 1 or 3)` or `(height, width)`; uint8, floats from 0 to 1, or any others, which are stretched.
        mask: whole labels, `(height, width)` or `(height, width, 1)`; of scores pass `scores.argmax(axis=-1)`.
        names: of the labels, by their number; `None` for the numbers.
        truth: a mask to compare with, or `None`.
        path: file to write, its kind by its ending, or `None`.
        ignore_label: label that is grey and does not count, or `None`.
        background: label that is not coloured, or `None`.
        opacity: of the colours over the picture, from 0 to 1; outlines are opaque.
        contours: whether to draw the outlines.
        title: above the figure.

    Returns:
        A `matplotlib.figure.Figure`, made without pyplot: no window opens and nothing has to be closed.

    Raises:
        ValueError: at arrays of other shapes and types, and at an argument outside what is listed.
        ImportError: without matplotlib.

    Source: Okabe and Ito 2008, Color Universal Design, for the colours; labels beyond the seventh have them darker, then lighter.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.patches import Patch
    except ImportError as error:
        raise ImportError("plot_segmentation draws with matplotlib, which is not installed: pip install matplotlib") from error
    picture = _picture(as_host_array(image))
    masks = {"mask": _mask("mask", mask, picture)}
    if truth is not None:
        masks = {"truth": _mask("truth", truth, picture), **masks}
    check_number("opacity", opacity, 0, most=1)
    check_flag("contours", contours)
    labels = sorted(set().union(*(np.unique(one).tolist() for one in masks.values())))
    colours = {label: GREY if label == ignore_label else colour(label) for label in labels if label != background}
    # A label's name and colour do not depend on what else is in the mask.
    texts = {label: "ignored" if label == ignore_label else _name(names, label) for label in labels}
    height, width = picture.shape[:2]
    side = 4.0
    figure = Figure(figsize=(side * (1 + len(masks)) * min(2.0, max(0.7, width / height)), side + 0.9), layout="constrained")
    axes = figure.subplots(1, 1 + len(masks))
    axes[0].imshow(picture)
    axes[0].set_title("picture")
    for one, (name, labelled) in zip(axes[1:], masks.items(), strict=True):
        one.imshow(overlaid(picture, labelled, colours, opacity, contours))
        one.set_title(name)
    if truth is not None:
        counts = masks["truth"] != ignore_label
        if counts.any():
            axes[-1].set_title(f"mask\n{100 * np.mean((masks['mask'] == masks['truth'])[counts]):.1f} % of the pixels agree")
    for one in axes:
        one.set_axis_off()
    if colours:
        handles = [Patch(facecolor=colours[label], label=texts[label]) for label in colours]
        legend = figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 8), frameon=False)
        for text in legend.get_texts():
            text.set_parse_math(False)
    if title is not None:
        figure.suptitle(title, parse_math=False)
    if path is not None:
        figure.savefig(path, dpi=120)
    return figure


def colour(label: int) -> tuple[float, float, float]:
    """Red, green and blue of a label, 0 to 1: seven colours, then the same darker, then lighter, then again."""
    place = (label - 1) % (3 * len(PALETTE))
    code = PALETTE[place % len(PALETTE)]
    red, green, blue = (int(code[i : i + 2], 16) / 255 for i in (1, 3, 5))
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    shade = place // len(PALETTE)
    lightness = (lightness, 0.55 * lightness, 0.5 + 0.5 * lightness)[shade]
    return colorsys.hls_to_rgb(hue, lightness, saturation) if shade else (red, green, blue)


def overlaid(
    picture: np.ndarray, mask: np.ndarray, colours: Mapping[int, tuple[float, float, float]], opacity: float, contours: bool
) -> np.ndarray:
    """A picture of floats from 0 to 1 under the colours of its labels, whose outermost pixels are opaque."""
    result = picture.copy()
    edge = outlines(mask) if contours else np.zeros(mask.shape, bool)
    for label, rgb in colours.items():
        here = mask == label
        result[here] += (np.asarray(rgb, "float32") - result[here]) * np.float32(opacity)
        result[here & edge] = rgb
    return result


def outlines(mask: np.ndarray) -> np.ndarray:
    """The pixels beside, above or below which there is another label."""
    edge = np.zeros(mask.shape, bool)
    rows, columns = mask[1:] != mask[:-1], mask[:, 1:] != mask[:, :-1]
    edge[1:] |= rows
    edge[:-1] |= rows
    edge[:, 1:] |= columns
    edge[:, :-1] |= columns
    return edge


def _picture(image: np.ndarray) -> np.ndarray:
    """Red, green and blue, float32 from 0 to 1."""
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[-1] not in (1, 3) or 0 in image.shape or image.dtype.kind not in "uifb":
        hint = {4: " Of a batch pass image[0], of a volume a slice.", 3: " Of more channels pass three, image[..., :3]."}
        raise ValueError(
            "`image` must hold numbers in the shape (height, width), (height, width, 1) or (height, width, 3). "
            f"Received: {image.shape} {image.dtype}.{hint.get(image.ndim, '')}"
        )
    values = np.nan_to_num(image.astype("float32"), posinf=0, neginf=0)
    if image.dtype == np.uint8:
        values /= 255
    elif values.min() < 0 or values.max() > 1:
        values = (values - values.min()) / max(float(values.max() - values.min()), 1e-12)
    return np.repeat(values, 3, axis=-1) if values.shape[-1] == 1 else values


def _mask(name: str, mask: Any, picture: np.ndarray) -> np.ndarray:
    mask = as_host_array(mask)
    squeezed = mask[..., 0] if mask.ndim == 3 and mask.shape[-1] == 1 else mask
    if squeezed.shape != picture.shape[:2] or mask.dtype.kind not in "uib":
        hint = f" Of scores pass {name}.argmax(axis=-1)." if mask.dtype.kind == "f" or mask.ndim > 2 else ""
        raise ValueError(
            f"`{name}` must hold whole labels in the image's size {picture.shape[:2]}. Received: {mask.shape} {mask.dtype}.{hint}"
        )
    return squeezed.astype("int64")


def _name(names: Any, label: int) -> str:
    if isinstance(names, Mapping):
        return str(names.get(label, label))
    if names is not None and (isinstance(names, str) or not isinstance(names, Sequence)):
        raise ValueError(f"`names` must be a list of names, names by label, or None. Received: names={names!r}.")
    return str(names[label]) if names is not None and 0 <= label < len(names) else str(label)
