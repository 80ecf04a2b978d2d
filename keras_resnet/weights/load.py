"""The one loader: every tensor of a file used once, every variable of the model set once, or nothing changed at all."""

import dataclasses
import difflib
import math
import operator
import os
import pathlib
import re
import tempfile
from collections.abc import Mapping
from typing import Any

import h5py
import keras
import numpy as np

from keras_resnet import backend
from keras_resnet.layers.configured import check_flag
from keras_resnet.weights import read, read_hdf5, rename
from keras_resnet.weights.shown import shown

# In Keras's files, and part of training rather than of the network: the optimizer's state, and where random numbers stand.
NOT_WEIGHTS = r"(optimizer|vars)/.*|.*seed_generator/vars/0"
HEAD = r"layers/dense/vars/[01]"  # the only dense layer of a network
LISTED = 8  # how many names of a kind an error spells out


def check_source(weights: Any) -> pathlib.Path:
    """The path that `weights` names. Raises where it cannot be a weights file, before anything is built or read."""
    if not isinstance(weights, (str, os.PathLike)):
        raise ValueError(f"`weights` must be None or the path of a file. Received: weights={weights!r}.")
    path = pathlib.Path(weights).expanduser()
    if path.suffix == "" and not (os.fspath(weights) and path.exists()):
        raise ValueError(
            f"`weights` must be None or the path of a file ending in {', '.join(read.SUFFIXES)}. Received: weights={os.fspath(weights)!r}."
        )
    read.suffix_of(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no weights file at {str(path)!r} (working directory {os.getcwd()}).")
    return path


def load_weights(model: keras.Model, weights: str | os.PathLike, adapt: bool = False) -> str:
    """Sets all variables of `model` from a file, or raises and leaves them as they were.

    Args:
        model: a network of the zoo.
        weights: a file with the keys of timm and torchvision (`.safetensors`, or `.pth`, which needs PyTorch 2.10 or newer), of
            keras.applications (`.h5`), or of Big Transfer (`.npz`), our own `.weights.h5`, or a `.keras` file, of which only the numbers
            are read.
        adapt: whether the file may have another number of classes, or no head, and keep the model's head as it is; and whether, in a
            model for images of other than 3 channels, the first convolution is made from one for 3, as timm does it: for 1 channel the
            sum, for n channels the three in turn, times 3 / n.

    Returns:
        What was adapted, in words; `""` where all numbers are the file's.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, of another kind, holds a number that is not finite, or does not fit: the error lists what is
            missing, left over or misshapen, with the nearest names.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` must be a keras.Model. Received: {type(model).__name__}.")
    check_flag("adapt", adapt)
    return load_adapted(model, weights, adapt, adapt)


def load_adapted(model: keras.Model, weights: Any, head: bool, channels: bool) -> str:
    """`load_weights`, with what may be adapted said one by one: the head, and the channels of the first convolution."""
    path = check_source(weights)
    with read.opened(path, sum(math.prod(variable.shape) for variable in model.weights)) as tensors:
        layout = _layout(model, path, tensors)
        plan = _plan(layout, _spelled(path, tensors, layout), head, channels)
        check_fit(path, model.name, {key: slot.shape for key, slot in plan.slots.items()}, plan.tensors)
        _check_numbers(path, model.name, plan)
        before: dict[str, Any] = {}
        try:
            # The largest first, while little else is held: each is for a moment in memory two or three times.
            for key, slot in sorted(plan.slots.items(), key=lambda item: -math.prod(item[1].shape)):
                before[key] = backend.kept(slot.variable)
                slot.variable.assign(plan.value(key))
        except BaseException:
            for key, array in before.items():
                plan.slots[key].variable.assign(array)
            raise
    if getattr(model, "checkpoint", None) is not None:
        model.checkpoint = None  # whose numbers these were
    return ", ".join(plan.adapted)


@dataclasses.dataclass
class _Plan:
    """What is set from what: slots to fill, tensors of the file that count, biases to take from moving means, and what is made up."""

    slots: dict[str, rename.Slot]
    tensors: dict[str, read.Tensor]
    biases: dict[str, read.Tensor]
    adapted: list[str]

    def value(self, key: str) -> np.ndarray:
        """The variable's new numbers. Read anew at each call, so that a file is never in memory as a whole."""
        slot = self.slots[key]
        array = slot.to_ours(self.tensors[key].read())
        if key in self.biases:
            array = array - self.biases[key].read()
        with np.errstate(over="ignore"):
            return array.astype(slot.variable.dtype, copy=False)


def _layout(model: keras.Model, path: pathlib.Path, tensors: dict[str, read.Tensor]) -> rename.Layout:
    """In whose names and layout this file is."""
    suffix = read.suffix_of(path)
    if suffix == ".h5":
        return rename.keras_layout(model)
    if suffix == ".npz" and any(key.startswith("resnet/") for key in tensors):
        return rename.bit_layout(model)
    if suffix not in (".weights.h5", ".keras"):
        return rename.torch_layout(model)
    return rename.own_layout(model, h5_variables(model), HEAD, NOT_WEIGHTS)


def _spelled(path: pathlib.Path, tensors: dict[str, read.Tensor], layout: rename.Layout) -> dict[str, read.Tensor]:
    found: dict[str, read.Tensor] = {}
    for key, tensor in tensors.items():
        spelled = layout.spelled(key)
        if spelled in found:
            raise ValueError(f"The weights in {str(path)!r} hold {shown(spelled)!r} twice, under names that mean the same.")
        found[spelled] = tensor
    return found


def _plan(layout: rename.Layout, tensors: dict[str, read.Tensor], adapt_head: bool, adapt_channels: bool) -> _Plan:
    slots, adapted = dict(layout.slots), []
    head = [key for key, slot in slots.items() if slot.part == "head"]
    unused = layout.ignored if head else f"{layout.ignored}|{layout.head}"
    for key in head:
        if key in tensors and _same(tensors[key].shape, slots[key].shape):
            slots[key] = dataclasses.replace(slots[key], shape=tensors[key].shape)
    if adapt_head and any(key not in tensors or tensors[key].shape != slots[key].shape for key in head):
        adapted.append(f"new head of {slots[head[0]].variable.shape[-1]} classes")
        unused = f"{unused}|{layout.head}"
        for key in head:
            del slots[key]
    for key in [key for key, slot in slots.items() if adapt_channels and slot.part == "first" and key in tensors]:
        colours = slots[key].of_channels(3)
        if tensors[key].shape == colours.shape != slots[key].shape:
            adapted.append(f"first convolution for {colours.variable.shape[2]} channels made from 3")
            slots[key] = colours
    biases = {}
    for bias, mean in layout.biases.items():
        if bias in tensors and mean in slots and tensors[bias].shape == slots[mean].shape and tensors[bias].is_numbers:
            biases[mean] = tensors[bias]
    folded = {bias for bias, mean in layout.biases.items() if mean in biases}
    kept = {key: tensor for key, tensor in tensors.items() if key in slots or not (key in folded or re.fullmatch(unused, key))}
    return _Plan(slots, kept, biases, adapted)


def _same(shape: tuple, other: tuple) -> bool:
    """Whether two shapes of a head are one, but for axes of length 1 behind: a 1x1 convolution is a dense layer."""
    short, long = sorted((shape, other), key=len)
    return len(short) > 0 and long[: len(short)] == short and set(long[len(short) :]) <= {1}


def h5_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Where Keras keeps each variable of `model` in an HDF5 file: dataset path to variable.

    Keras itself is asked, and so stays the only one who knows: the model is saved with every variable showing its own number in place of
    its values. Not the model itself but one of the same layers that was never compiled, and so has no metrics to build.
    """
    layers_alone = keras.Model(model.inputs, model.outputs)
    variables = model.weights
    # In two digits, since bfloat16 counts no further than 256 without rounding.
    places = [
        _saved_numbers(layers_alone, variables, [digit(i, 256) for i in range(len(variables))])
        for digit in (operator.floordiv, operator.mod)
    ]
    return {key: variables[256 * high + places[1][key]] for key, high in places[0].items()}


def _saved_numbers(model: keras.Model, variables: list, numbers: list[int]) -> dict[str, int]:
    """Which of `numbers`, one for each of `variables`, Keras writes at which dataset path when it saves `model`."""
    shown = [
        np.broadcast_to(np.asarray(number, variable.dtype), variable.shape) for number, variable in zip(numbers, variables, strict=True)
    ]
    found: dict[str, int] = {}

    def visit(key: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.size:
            found[key] = int(read_hdf5.numbers_of(item).flat[0])

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "numbers.weights.h5")
        with keras.StatelessScope(state_mapping=list(zip(variables, shown, strict=True))):
            model.save_weights(path)
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    return found


def check_fit(path: pathlib.Path, name: str, shapes: dict[str, tuple], tensors: Mapping[str, read.Tensor]) -> None:
    """Raises one `ValueError` that lists everything by which the tensors of a file and the variables of a model differ."""
    missing = [key for key in shapes if key not in tensors]
    left_over = [key for key in tensors if key not in shapes]
    misshapen = [key for key in shapes if key in tensors and tensors[key].shape != shapes[key]]
    wrong_type = [key for key in shapes if key in tensors and not tensors[key].is_numbers]
    if missing or left_over or misshapen or wrong_type:
        problems = [
            _listing("missing in the file", missing, lambda key: _nearest(key, left_over)),
            _listing("left over in the file", left_over, lambda key: _nearest(key, missing)),
            _listing("of another shape", misshapen, lambda key: f" (file {shown(tensors[key].shape)}, model {shapes[key]})"),
            _listing("not numbers", wrong_type, lambda key: f" ({shown(tensors[key].dtype)})"),
        ]
        raise ValueError(
            f"The weights in {str(path)!r} do not fit the model {name!r}, which stays as it was.\n"
            + "\n".join(problem for problem in problems if problem)
            + "\nBuild the architecture that the file was made with, or choose another file."
        )


def _check_numbers(path: pathlib.Path, name: str, plan: _Plan) -> None:
    """Raises one `ValueError` that names the tensors that, as the model would hold them, are not finite, or negative variances."""
    counts, negative = {}, []
    for key, slot in plan.slots.items():
        array = plan.value(key)
        wide = array.astype("float32") if array.dtype.itemsize < 4 else array
        if not np.isfinite(wide).all():
            counts[key] = f" ({int((~np.isfinite(wide)).sum())} of {wide.size})"
        elif slot.variable.path.endswith("moving_variance") and wide.min(initial=0) < 0:
            negative.append(key)
    if counts:
        listing = _listing("NaN or infinite", list(counts), lambda key: counts[key])
        raise ValueError(f"The weights in {str(path)!r} hold numbers that are not finite; the model {name!r} stays as it was.\n{listing}")
    if negative:
        listing = _listing("negative variances", negative, lambda key: "")
        raise ValueError(f"The weights in {str(path)!r} cannot be right; the model {name!r} stays as it was.\n{listing}")


def _listing(what: str, keys: list[str], remark: Any) -> str:
    if not keys:
        return ""
    lines = [f"  {shown(key)}{remark(key)}" for key in keys[:LISTED]]
    more = f"\n  ... and {len(keys) - LISTED} more" if len(keys) > LISTED else ""
    return f"{len(keys)} {what}:\n" + "\n".join(lines) + more


def _nearest(key: str, others: list[str]) -> str:
    close = difflib.get_close_matches(key, others[:2000], n=1, cutoff=0.6)
    return f" (nearest: {shown(close[0])})" if close else ""
