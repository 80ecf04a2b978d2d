"""Masks and what a network says of them, brought into one form: which classes, which pixels count, and what is wrong with a mask."""

from typing import Any, NamedTuple

import keras
import numpy as np

TOLERANCE = 1e-3  # by which the shares of a pixel's classes may miss 1: half precision rounds them


class Pixels(NamedTuple):
    """Masks and scores of a batch, channels last whatever came in.

    targets: `(n, *sizes, channels)`, the share of each class in each pixel: ones and zeros from integers; zeros where not valid.
    scores: `(n, *sizes, channels)`, the network's numbers.
    valid: `(n, *sizes, 1)`, ones where the pixel counts.
    wrong: `(n,)`, whether a mask holds anything that is no label.
    weights: `(n, *sizes, 1)`, how much each pixel counts in sums over pixels, or `None` for 1.
    """

    targets: Any
    scores: Any
    valid: Any
    wrong: Any
    weights: Any = None


def label_count(channels: int) -> int:
    """How many labels a mask may hold: a single channel tells two classes apart."""
    return max(channels, 2)


def check_shapes(true_shape: tuple, pred_shape: tuple, sparse: bool, data_format: str) -> None:
    """Raises unless a mask and a network's output belong together, as far as their shapes are known."""
    order = "(n, channels, *sizes)" if data_format == "channels_first" else "(n, *sizes, channels)"
    axis = 1 if data_format == "channels_first" else -1
    if len(pred_shape) < 3 or pred_shape[axis] is None:
        raise ValueError(f"`y_pred` must have the shape {order}, of which the channels must be known. Received: {tuple(pred_shape)}.")
    channels, sizes = pred_shape[axis], tuple(pred_shape[2:] if axis == 1 else pred_shape[1:-1])
    if not sparse:
        if not _alike(true_shape, pred_shape):
            raise ValueError(
                f"With sparse=False, `y_true` must have `y_pred`'s shape, one channel a class. Received: y_true of {tuple(true_shape)}, "
                f"y_pred of {tuple(pred_shape)}. Masks of integers need sparse=True."
            )
        return
    plain = (pred_shape[0], *sizes)
    with_channel = (pred_shape[0], 1, *sizes) if axis == 1 else (*plain, 1)
    if _alike(true_shape, plain) or _alike(true_shape, with_channel):
        return
    if channels > 1 and _alike(true_shape, pred_shape):
        raise ValueError(
            f"`y_true` of {tuple(true_shape)} has a channel a class, but sparse=True takes integers, {plain} or {with_channel}. "
            "Pass sparse=False, or keras.ops.argmax(y_true) over the channels."
        )
    raise ValueError(
        f"`y_true` must have the shape {plain} or {with_channel}, as y_pred of {tuple(pred_shape)} ({data_format}) has. "
        f"Received: y_true of {tuple(true_shape)}. Bring masks to the network's output size with nearest-neighbour interpolation."
    )


def check_weights(weights: Any, pred_shape: tuple, data_format: str) -> bool:
    """Whether these are weights of pixels, not of samples. Raises where they are neither."""
    shape, first = tuple(weights.shape), data_format == "channels_first"
    samples, sizes = pred_shape[0], tuple(pred_shape[2:] if first else pred_shape[1:-1])
    pixels = ((samples, *sizes), (samples, 1, *sizes) if first else (samples, *sizes, 1))
    values = values_of(weights)
    if values is not None and values.size and not (values >= 0).all():
        raise ValueError(f"`sample_weight` must be 0 or more. Received: a least weight of {values.min()}.")
    if any(_alike(shape, one) for one in pixels):
        return True
    if len(shape) == 0 or any(_alike(shape, one) for one in ((samples,), (samples, 1))):
        return False
    raise ValueError(
        f"`sample_weight` must have a number a sample, {(samples,)}, or a number a pixel, {pixels[0]}, for y_pred of {pred_shape}. "
        f"Received: {shape}."
    )


def values_of(masks: Any) -> np.ndarray | None:
    """What may be looked at without waiting for a device: NumPy arrays, and what is none yet; `None` of tensors."""
    return None if hasattr(masks, "shape") and not isinstance(masks, np.ndarray) else np.asarray(masks)


def check_values(masks: np.ndarray, channels: int, sparse: bool, ignore_index: int | None, data_format: str) -> None:
    """Raises where masks for a network of so many channels hold what is no label, or no share."""
    if sparse:
        check_masks(masks, label_count(channels), ignore_index)
    else:
        check_shares(masks, data_format, ignore_index is not None and channels > 1)


def check_masks(masks: Any, classes: int, ignore_index: int | None = None) -> None:
    """Raises where integer masks hold what is no label; for a look at a data set before training on it.

    Args:
        masks: a NumPy array, or what becomes one.
        classes: labels are 0 to `classes - 1`.
        ignore_index: a label that is allowed besides.

    Raises:
        ValueError: with the values found and how many pixels have them.
    """
    masks = np.asarray(masks)
    if masks.dtype.kind not in "biuf":
        raise ValueError(f"Masks must be integers. Received: an array of {masks.dtype}.")
    bad = ~((masks >= 0) & (masks < classes) & (masks == np.floor(masks)))
    if ignore_index is not None:
        bad &= masks != ignore_index
    if bad.any():
        found, counts = np.unique(masks[bad].astype("float64"), return_counts=True)
        listed = ", ".join(f"{value:g} ({count} pixels)" for value, count in zip(found[:5], counts[:5]))
        more = f" and {len(found) - 5} other values" if len(found) > 5 else ""
        advice = "Label numbers are whole" if (found != np.floor(found)).any() else "Pass `ignore_index` for pixels without a label"
        allowed = "" if ignore_index is None else f" and ignore_index={ignore_index}"
        raise ValueError(
            f"Masks of {classes} classes must hold 0 to {classes - 1}{allowed}. Received: {listed}{more}. "
            f"{advice}, or give the network more classes."
        )


def check_shares(masks: Any, data_format: str, unlabelled: bool) -> None:
    """Raises where masks with a channel a class are no shares: 0 to 1, and 1 together (or 0, where `unlabelled` pixels may be)."""
    masks = np.asarray(masks, "float64")
    axis = 1 if data_format == "channels_first" else -1
    total = masks.sum(axis)
    fits = np.abs(total - 1) <= TOLERANCE if masks.shape[axis] > 1 else np.ones(total.shape, bool)
    if unlabelled:
        fits |= total == 0
    within = ((masks >= 0) & (masks <= 1)).all(axis)
    if not (fits & within).all():
        raise ValueError(
            "With sparse=False, the channels of a pixel in `y_true` must be 0 to 1 and sum to 1"
            f"{'' if unlabelled else ' (0 with an `ignore_index`)'}. "
            f"Received: {(~(fits & within)).sum()} pixels that do not, the first with the sum {total[~(fits & within)][0]:g}."
        )


def read_pixels(y_true: Any, y_pred: Any, sparse: bool, ignore_index: int | None, data_format: str) -> Pixels:
    """One form for all masks. What is no label becomes a pixel that does not count, and its sample is `wrong`."""
    dtype = keras.backend.standardize_dtype(y_pred.dtype)
    axis = 1 if data_format == "channels_first" else -1
    scores = keras.ops.moveaxis(y_pred, 1, -1) if axis == 1 else y_pred
    channels = scores.shape[-1]
    if sparse:
        if len(y_true.shape) == len(y_pred.shape):
            y_true = keras.ops.squeeze(y_true, axis)
        labels = keras.ops.expand_dims(y_true, -1)
        whole = keras.ops.equal(labels, keras.ops.floor(labels)) if "float" in str(labels.dtype) else True
        known = (labels >= 0) & (labels < label_count(channels)) & whole
        ignored = keras.ops.zeros_like(known) if ignore_index is None else keras.ops.equal(labels, ignore_index)
        keep = known & ~ignored
        labels = keras.ops.cast(keras.ops.where(keep, labels, 0), "int32")
        # Compared, not one_hot: zeros where nothing counts, and no index that a backend would have to check.
        classes = keras.ops.arange(channels, dtype="int32") if channels > 1 else keras.ops.ones((1,), "int32")
        targets = keras.ops.cast(keras.ops.equal(labels, classes) & keep, dtype)
    else:
        targets = keras.ops.cast(keras.ops.moveaxis(y_true, 1, -1) if axis == 1 else y_true, dtype)
        known = keras.ops.all((targets >= 0) & (targets <= 1), axis=-1, keepdims=True)
        total = keras.ops.sum(targets, axis=-1, keepdims=True)
        if channels > 1:
            known = known & (keras.ops.abs(total - 1) <= TOLERANCE)
        ignored = keras.ops.zeros_like(known)
        if ignore_index is not None:
            if channels > 1:
                ignored = keras.ops.equal(total, 0)
            if 0 <= ignore_index < channels:
                ignored = ignored | (targets[..., ignore_index : ignore_index + 1] > 0.5)
        keep = known & ~ignored
        targets = keras.ops.where(keep, targets, 0)
    inner = tuple(range(1, len(scores.shape)))
    wrong = keras.ops.any(~known & ~ignored, axis=inner)
    return Pixels(targets, scores, keras.ops.cast(keep, dtype), wrong)


def _alike(shape: tuple, other: tuple) -> bool:
    return len(shape) == len(other) and all(a == b for a, b in zip(shape, other) if isinstance(a, int) and isinstance(b, int))
