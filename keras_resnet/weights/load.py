"""The one loader: every tensor of a file used once, every variable of the model set once, or nothing changed at all."""

import difflib
import operator
import os
import pathlib
import re
import tempfile
from collections.abc import Callable
from typing import Any

import h5py
import keras
import numpy as np

from keras_resnet.weights import read, rename

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
            f"`weights` must be None or the path of a file ending in {', '.join(read.SUFFIXES)}. Received: weights={os.fspath(weights)!r}. "
            "Names of published weights are not known to this version."
        )
    read.suffix_of(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no weights file at {str(path)!r} (working directory {os.getcwd()}).")
    return path


def load_weights(model: keras.Model, weights: str | os.PathLike) -> None:
    """Sets all variables of `model` from a file, or raises and leaves them as they were.

    Args:
        model: a network of the zoo.
        weights: `.safetensors` with timm's or torchvision's keys, our own `.weights.h5`, or a `.keras` file, of which only the numbers
            are read.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, of another kind, holds a number that is not finite, or does not fit: the error lists what is
            missing, left over or misshapen, with the nearest names.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` must be a keras.Model. Received: {type(model).__name__}.")
    path = check_source(weights)
    headless = all(layer.name != "head" for layer in model.layers)
    if read.suffix_of(path) == ".safetensors":
        variables, family = rename.torch_keys(model), rename.family_of(model)
        shapes = {key: rename.shape_in_torch(key, variable, family) for key, variable in variables.items()}
        arrays = read.read_safetensors(path, shapes)
        unused = f"{rename.IGNORED}|{family.head}" if headless else rename.IGNORED
        turn: Callable = rename.from_torch
    else:
        variables = h5_variables(model)
        shapes = {key: tuple(variable.shape) for key, variable in variables.items()}
        arrays = read.read_h5(path, shapes)
        unused = f"{NOT_WEIGHTS}|{HEAD}" if headless else NOT_WEIGHTS
        turn = _as_it_is
    arrays = {key: array for key, array in arrays.items() if key in shapes or not re.fullmatch(unused, key)}
    check_fit(path, model.name, shapes, arrays)
    with np.errstate(over="ignore"):
        held = {key: arrays[key].astype(variable.dtype, copy=False) for key, variable in variables.items()}
    check_finite(path, model.name, held)
    negative = [key for key, variable in variables.items() if variable.path.endswith("moving_variance") and held[key].min(initial=0) < 0]
    if negative:
        listing = _listing("negative variances", negative, lambda key: "")
        raise ValueError(f"The weights in {str(path)!r} cannot be right; the model {model.name!r} stays as it was.\n{listing}")
    before = {key: keras.ops.copy(variable.value) for key, variable in variables.items()}
    try:
        for key, variable in variables.items():
            variable.assign(turn(held[key], variable))
    except BaseException:
        for key, variable in variables.items():
            variable.assign(before[key])
        raise


def _as_it_is(array: np.ndarray, variable: keras.Variable) -> np.ndarray:
    return array


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
            found[key] = int(read.numbers_of(item).flat[0])

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "numbers.weights.h5")
        with keras.StatelessScope(state_mapping=list(zip(variables, shown, strict=True))):
            model.save_weights(path)
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    return found


def check_fit(path: pathlib.Path, name: str, shapes: dict[str, tuple], arrays: dict[str, np.ndarray]) -> None:
    """Raises one `ValueError` that lists everything by which the tensors of a file and the variables of a model differ."""
    missing = [key for key in shapes if key not in arrays]
    left_over = [key for key in arrays if key not in shapes]
    misshapen = [key for key in shapes if key in arrays and tuple(arrays[key].shape) != shapes[key]]
    wrong_type = [key for key in shapes if key in arrays and arrays[key].dtype.kind not in "fiu"]
    if missing or left_over or misshapen or wrong_type:
        problems = [
            _listing("missing in the file", missing, lambda key: _nearest(key, left_over)),
            _listing("left over in the file", left_over, lambda key: _nearest(key, missing)),
            _listing("of another shape", misshapen, lambda key: f" (file {tuple(arrays[key].shape)}, model {shapes[key]})"),
            _listing("not numbers", wrong_type, lambda key: f" ({arrays[key].dtype})"),
        ]
        raise ValueError(
            f"The weights in {str(path)!r} do not fit the model {name!r}, which stays as it was.\n"
            + "\n".join(problem for problem in problems if problem)
            + "\nBuild the architecture that the file was made with, or choose another file."
        )


def check_finite(path: pathlib.Path, name: str, arrays: dict[str, np.ndarray]) -> None:
    """Raises one `ValueError` that names every tensor with a number that is not finite, as the model would hold it."""
    counts = {key: int((~np.isfinite(array.astype("float64"))).sum()) for key, array in arrays.items()}
    broken = [key for key, count in counts.items() if count]
    if broken:
        raise ValueError(
            f"The weights in {str(path)!r} hold numbers that are not finite; the model {name!r} stays as it was.\n"
            + _listing("NaN or infinite", broken, lambda key: f" ({counts[key]} of {arrays[key].size})")
        )


def _listing(what: str, keys: list[str], remark: Any) -> str:
    if not keys:
        return ""
    lines = [f"  {key}{remark(key)}" for key in keys[:LISTED]]
    more = f"\n  ... and {len(keys) - LISTED} more" if len(keys) > LISTED else ""
    return f"{len(keys)} {what}:\n" + "\n".join(lines) + more


def _nearest(key: str, others: list[str]) -> str:
    close = difflib.get_close_matches(key, others[:2000], n=1, cutoff=0.6)
    return f" (nearest: {close[0]})" if close else ""
