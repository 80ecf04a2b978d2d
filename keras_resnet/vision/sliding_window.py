"""Segmentation of pictures and volumes of any size, window by window; the windows themselves are in `windows`."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from keras_resnet.backend import geometry
from keras_resnet.layers.configured import check_choice, check_count, check_flag, check_number, get_activation, is_count
from keras_resnet.models.walk import is_channels_first
from keras_resnet.vision.host_arrays import as_host_array
from keras_resnet.vision.windows import PADDINGS, Blend, cut, margin, starts

AXES = {2: ("height", "width"), 3: ("depth", "height", "width")}
OPEN = {2: 512, 3: 128}  # sides of the window where neither the caller nor the model says one
CHUNK = 1 << 24  # numbers looked at in one go


def sliding_window(
    model: Callable,
    image: Any,
    window: int | Sequence[int] | None = None,
    overlap: float | Sequence[float] = 0.5,
    *,
    flips: bool | Sequence[int] = False,
    batch_size: int = 4,
    blend: str = "gaussian",
    padding: str = "reflect",
    activation: Any = None,
    output: str | int | None = None,
    data_format: str | None = None,
    out: np.ndarray | None = None,
    verbose: bool = True,
) -> np.ndarray:
    """What a segmentation network says about a picture or a volume of any size, from windows that overlap.

    ```python
    scores = keras_resnet.sliding_window(model, image, window=512, overlap=0.5, flips=True)
    mask = scores.argmax(axis=-1)
    ```

    At each pixel the result is `sum_i(w_i y_i) / sum_i(w_i)` over the windows `i` above it. The model sees batches of one and the same
    shape; the picture stays in host memory, where the result is summed up in float32.

    Args:
        model: a Keras model, or a function from a batch of windows, a NumPy array, to its scores. Of stride 1: scores come in the
            height and width of the window.
        image: `(height, width, channels)`, `(depth, height, width, channels)`, or a batch of either, in the model's data format; an array
            (`np.memmap` too) or a tensor. A model's input, and with a function the length of `window`, tells batches from volumes.
        window: side of the windows in pixels, or one for each axis; `None` for the size the model is built for, or where that is open,
            512 in two dimensions and 128 in three. A picture that is smaller is padded to it, and the result cropped.
        overlap: part of a window that the next one covers, from 0 to below 1; one for all axes or one each. The first and the last
            window of an axis end with the picture.
        flips: whether to average over the flips of each window along every set of its axes, 4 in two dimensions and 8 in three; or
            those axes, of which 0 is the first of a picture.
        batch_size: windows to a call; flipped ones count.
        blend: `"gaussian"`, the middle of a window counts most (standard deviation 1/8 of its side), or `"mean"`, all of it alike.
        padding: `"reflect"`, `"edge"` or `"constant"` (zeros).
        activation: of the scores before they are averaged, such as `"softmax"` or `"sigmoid"` (on the last axis, the channels): so
            probabilities are averaged; `None` averages what the model gives.
        output: name or number of the output to take, of a model with several.
        data_format: of image and result, `"channels_last"`, `"channels_first"`, or `None` for the model's, with a function Keras's.
        out: float32 array of the result's shape to write into, such as `np.lib.format.open_memmap(path, "w+", "float32", shape)`.
        verbose: whether to show a progress bar.

    Returns:
        `(height, width, classes)` or as the image is, float32; `out` itself where it is given.

    Raises:
        ValueError: at an argument outside what is listed, an image that does not fit the model or is not finite, a model of several
            outputs without `output`, and one whose scores are not of the window's size.

    Source: Isensee et al. 2021, doi:10.1038/s41592-020-01008-z, for the blending and the flips; weights as in MONAI.
    """
    if not callable(model):
        raise ValueError(f"`model` must be a Keras model or a function of a batch of windows. Received: {type(model).__name__}.")
    check_count("batch_size", batch_size)
    check_choice("blend", blend, ("gaussian", "mean"))
    check_choice("padding", padding, PADDINGS)
    check_flag("verbose", verbose)
    activation = None if activation is None else get_activation("activation", activation)
    expected = _input_shape(model)
    dims = len(expected) - 2 if expected else 3 if isinstance(window, (tuple, list)) and len(window) == 3 else 2
    if data_format is None and isinstance(model, keras.Model):
        data_format = "channels_first" if is_channels_first(model) else "channels_last"
    first = geometry.standardize_data_format(data_format, keras.config.image_data_format()) == "channels_first"
    if expected and first:
        expected = (expected[0], *expected[2:], expected[1])
    pictures, single = _pictures(image, dims, expected, first)
    sides = _sides(window, dims, expected)
    grid = [starts(size, side, part) for size, side, part in zip(pictures.shape[1:], sides, _overlaps(overlap, dims), strict=False)]
    mirrored = _flips(flips, dims)
    _check_finite(pictures, single)
    run = _runner(model, sides, batch_size, output, activation, first)
    parts = Blend(grid, sides, blend)
    result = total = None
    jobs = list(itertools.product(range(len(pictures)), itertools.product(*grid), mirrored))
    with _bar(len(jobs), verbose) as bar:
        for chosen in _batches(jobs, batch_size):
            batch = [np.flip(cut(pictures[i], start, sides, padding), axes) for i, start, axes in chosen]
            scores = run(np.stack(batch))
            if result is None:
                result = _result(out, (*pictures.shape[:-1], scores.shape[-1]), single, first)
            for (i, start, axes), score in zip(chosen, scores, strict=True):
                unflipped = np.flip(score, axes)
                if len(mirrored) > 1:  # the flips of a window come one after the other: their mean first, in double precision
                    total = unflipped.astype("float64") if axes == mirrored[0] else total + unflipped
                    if axes != mirrored[-1]:
                        continue
                    unflipped = (total / len(mirrored)).astype("float32")
                _add(result[i], start, unflipped * parts(start)[..., None])
            bar.update(len(chosen))
    assert result is not None
    if out is not None:
        return out
    result = np.moveaxis(result, -1, 1) if first else result
    return result[0] if single else result


def _input_shape(model: Any) -> tuple | None:
    """The shape of a model's input with the batch, or `None` where it is a function or does not know."""
    if not isinstance(model, keras.Model):
        return None
    inputs = getattr(model, "inputs", None)
    if not inputs:
        return None
    if len(inputs) != 1 or len(inputs[0].shape) not in (4, 5):
        raise ValueError(
            "`model` must have one input, a batch of pictures or volumes. "
            f"Received: inputs of the shapes {', '.join(str(tuple(one.shape)) for one in inputs)}."
        )
    return tuple(inputs[0].shape)


def _pictures(image: Any, dims: int, expected: tuple | None, first: bool) -> tuple[np.ndarray, bool]:
    """The image as a batch with its channels last, a view where that is possible, and whether it was a single one."""
    layout = ", ".join(("channels", *AXES[dims]) if first else (*AXES[dims], "channels"))
    if not hasattr(image, "shape") or not hasattr(image, "dtype") or keras.utils.is_keras_tensor(image):
        raise ValueError(f"`image` must be an array or a tensor of the shape ({layout}). Received: {type(image).__name__}.")
    array = as_host_array(image)
    single = array.ndim == dims + 1
    if array.ndim not in (dims + 1, dims + 2) or 0 in array.shape:
        hint = " For a grey one pass image[..., None]." if array.ndim == dims and not first else ""
        hint += " A function takes volumes where `window` has three sides." if array.ndim == 5 and expected is None else ""
        raise ValueError(f"`image` must have the shape ({layout}), or (n, {layout}), none of them 0. Received: shape={array.shape}.{hint}")
    if array.dtype.kind not in "uifb":
        raise ValueError(f"`image` must hold numbers. Received: dtype={array.dtype}.")
    pictures = array[None] if single else array
    pictures = np.moveaxis(pictures, 1, -1) if first else pictures
    if expected and expected[-1] not in (None, pictures.shape[-1]):
        raise ValueError(
            f"The model takes {expected[-1]} channels, in the format ({layout}). Received: image of the shape {array.shape}, "
            f"{pictures.shape[-1]} channels."
        )
    return pictures, single


def _sides(window: Any, dims: int, expected: tuple | None) -> tuple[int, ...]:
    fixed = expected[1:-1] if expected else (None,) * dims
    if window is None:
        return tuple(size or OPEN[dims] for size in fixed)
    given = (window,) * dims if is_count(window) else window
    if not isinstance(given, (tuple, list)) or len(given) != dims or not all(is_count(side) for side in given):
        raise ValueError(f"`window` must be an integer of at least 1, or one for each of {AXES[dims]}. Received: window={window!r}.")
    if any(size not in (None, side) for size, side in zip(fixed, given, strict=True)):
        raise ValueError(f"The model takes windows of {fixed} only: pass that, or window=None. Received: window={window!r}.")
    return tuple(int(side) for side in given)


def _overlaps(overlap: Any, dims: int) -> tuple[float, ...]:
    given = tuple(overlap) if isinstance(overlap, (tuple, list)) else (overlap,) * dims
    if len(given) != dims:
        raise ValueError(f"`overlap` must be one number, or one for each of {AXES[dims]}. Received: overlap={overlap!r}.")
    for part in given:
        check_number("overlap", part, 0, 1)
    return given


def _flips(flips: Any, dims: int) -> list[tuple[int, ...]]:
    """The sets of axes to flip, beginning with none."""
    if isinstance(flips, (tuple, list)):
        axes = tuple(flips)
        if any(isinstance(axis, bool) or axis not in range(dims) for axis in axes) or len(set(axes)) < len(axes):
            raise ValueError(f"`flips` must be True, False, or different axes from 0 to {dims - 1}. Received: flips={flips!r}.")
    else:
        check_flag("flips", flips)
        axes = tuple(range(dims)) if flips else ()
    return [chosen for count in range(len(axes) + 1) for chosen in itertools.combinations(axes, count)]


def _check_finite(pictures: np.ndarray, single: bool) -> None:
    """Raises at the first number that is none, before the model has been called; a few rows at a time."""
    if pictures.dtype.kind != "f":
        return
    for i, picture in enumerate(pictures):
        rows = max(1, CHUNK * len(picture) // picture.size)
        for row in range(0, len(picture), rows):
            wrong = ~np.isfinite(picture[row : row + rows])
            if wrong.any():
                place = np.unravel_index(int(wrong.argmax()), wrong.shape)
                names = (*AXES[picture.ndim - 1], "channel")
                where = ", ".join(f"{name} {int(at) + (row if axis == 0 else 0)}" for axis, (name, at) in enumerate(zip(names, place)))
                raise ValueError(
                    f"`image` must be finite, since one NaN spoils a whole window. Received: {picture[row : row + rows][place]} at {where}"
                    + ("." if single else f" of picture {i}.")
                    + " np.nan_to_num(image) replaces such numbers."
                )


def _runner(
    model: Any, sides: tuple[int, ...], batch_size: int, output: Any, activation: Any, first: bool
) -> Callable[[np.ndarray], np.ndarray]:
    """A function from up to `batch_size` windows to their scores, both with their channels last, that always calls with `batch_size`."""
    predict = model.predict_on_batch if isinstance(model, keras.Model) else model
    narrow = {"float64": "float32", "int64": "int32", "uint64": "int32", "uint32": "int32", "uint16": "int32", "bool": "uint8"}

    def run(windows: np.ndarray) -> np.ndarray:
        batch = np.zeros((batch_size, *windows.shape[1:]), narrow.get(windows.dtype.name, windows.dtype))
        batch[: len(windows)] = windows
        scores = as_host_array(_chosen(model, predict(np.moveaxis(batch, -1, 1).copy() if first else batch), output))
        received = f"Received: scores of the shape {scores.shape} for windows of the shape {(batch_size, *windows.shape[1:])}"
        if scores.ndim != windows.ndim:
            raise ValueError(f"`model` must give scores with a batch, {len(sides)} sides and the classes. {received}.")
        scores = np.moveaxis(scores, 1, -1) if first else scores
        if scores.shape[:-1] != (batch_size, *sides):
            raise ValueError(
                "`model` must give a score for each pixel of the window, that is, have the stride 1 and keep borders. "
                f"{received}: resize its scores, or pad inside the model."
            )
        if activation is not None:
            scores = as_host_array(activation(keras.ops.convert_to_tensor(np.ascontiguousarray(scores))))
        return scores[: len(windows)].astype("float32", copy=False)

    return run


def _chosen(model: Any, scores: Any, output: Any) -> Any:
    """The one output that is asked for."""
    if not isinstance(scores, (dict, list, tuple)):
        if not hasattr(scores, "dtype"):
            raise ValueError(f"`model` must give an array or a tensor of scores. Received: {type(scores).__name__}.")
        if output is not None:
            raise ValueError(f"`output` is for models with several outputs, and this one has one. Received: output={output!r}.")
        return scores
    names = list(scores) if isinstance(scores, dict) else list(getattr(model, "output_names", range(len(scores))))
    if len(names) == 1 and output is None:
        output = names[0]
    if isinstance(output, str) and output in names:
        return scores[output] if isinstance(scores, dict) else scores[names.index(output)]
    if isinstance(output, int) and not isinstance(output, bool) and not isinstance(scores, dict) and output in range(len(scores)):
        return scores[output]
    raise ValueError(f"The model has several outputs: pass one by `output`, of {names}. Received: output={output!r}.")


def _result(out: Any, shape: tuple[int, ...], single: bool, first: bool) -> np.ndarray:
    """Zeros of `shape`, or `out` in that shape, set to zero."""
    if out is None:
        return np.zeros(shape, "float32")
    needed = (shape[0], shape[-1], *shape[1:-1]) if first else shape
    needed = needed[1:] if single else needed
    if not isinstance(out, np.ndarray) or out.dtype != np.float32 or out.shape != needed or not out.flags.writeable:
        what = f"shape={out.shape}, dtype={out.dtype}" if isinstance(out, np.ndarray) else type(out).__name__
        raise ValueError(f"`out` must be a float32 array of the shape {needed} that can be written. Received: {what}.")
    out[...] = 0
    result = out[None] if single else out
    return np.moveaxis(result, 1, -1) if first else result


def _add(result: np.ndarray, start: tuple[int, ...], score: np.ndarray) -> None:
    """Adds a window's part, without what lies in the padding, to a picture's result."""
    inside, place = [], []
    for size, first, side in zip(result.shape, start, score.shape, strict=False):
        before, _ = margin(size, side)
        inside.append(slice(before, before + min(size, side)))
        place.append(slice(first, first + min(size, side)))
    result[tuple(place)] += score[tuple(inside)]


def _batches(jobs: list, size: int) -> Iterator[list]:
    for start in range(0, len(jobs), size):
        yield jobs[start : start + size]


def _bar(total: int, shown: bool) -> Any:
    from tqdm.std import tqdm  # costs a tenth of a second that importing the library need not

    return tqdm(total=total, unit="window", desc="sliding_window", disable=not shown, leave=False)
