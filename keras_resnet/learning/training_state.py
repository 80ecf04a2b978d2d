"""All that a training run is at a step: the numbers of model and optimizer, random states, and what takes part besides."""

from collections.abc import Mapping
from typing import Protocol

import keras
import numpy as np

from keras_resnet import backend
from keras_resnet.backend.random_state import random_state, set_random_state
from keras_resnet.vision.host_arrays import as_host_array


class Part(Protocol):
    """What a checkpoint keeps besides model and optimizer: a sampler, averaged weights."""

    def state(self) -> dict:
        """Arrays and plain values by name."""

    def set_state(self, state: dict) -> None:
        """Goes on from a state; raises, and stays as it is, where it is none of its own."""


def synchronized(model: keras.Model) -> keras.Model:
    """The model with its numbers of now in its variables: on JAX Keras keeps them elsewhere within an epoch."""
    getattr(model, "jax_state_sync", lambda: None)()
    return model


def step_of(model: keras.Model) -> int:
    """Steps of the optimizer so far; 0 without one. Waits for the last of them."""
    iterations = getattr(getattr(synchronized(model), "optimizer", None), "iterations", None)
    # Through an array: of a variable mirrored on several devices Python makes no integer.
    return 0 if iterations is None else int(as_host_array(getattr(iterations, "value", iterations)))


def gathered(model: keras.Model, parts: Mapping[str, Part]) -> tuple[dict[str, np.ndarray], dict]:
    """Arrays by name, and a page of plain values.

    Raises:
        ValueError: if a number of the model or its optimizer is not finite, with what it is of.
    """
    arrays = {name: as_host_array(variable.value) for name, variable in _variables(synchronized(model)).items()}
    wrong = [name for name, array in arrays.items() if array.dtype.kind == "f" and not np.isfinite(array).all()]
    if wrong:
        raise ValueError(
            f"Not saved: {len(wrong)} variables hold numbers that are not finite, such as {', '.join(wrong[:3])}. "
            "Go on from the checkpoint before, with a lower learning rate or clipped gradients."
        )
    random, plain = random_state()
    page: dict = {"backend": keras.backend.backend(), "keras": keras.__version__, "model": model.name, "random": plain, "parts": {}}
    page["optimizer"] = type(getattr(model, "optimizer", None)).__name__
    arrays |= {f"random/{name}": array for name, array in random.items()}
    for part, thing in parts.items():
        values = thing.state()
        arrays |= {f"part/{part}/{name}": value for name, value in values.items() if isinstance(value, np.ndarray)}
        page["parts"][part] = {name: value for name, value in values.items() if not isinstance(value, np.ndarray)}
    return arrays, page


def scattered(model: keras.Model, parts: Mapping[str, Part], arrays: dict[str, np.ndarray], page: dict, where: str) -> None:
    """Sets everything to what `gathered` gave, or raises and changes nothing.

    Raises:
        ValueError: if that was of another model, optimizer or parts.
    """
    optimizer = getattr(model, "optimizer", None)
    own = dict(sorted(_variables(synchronized(model)).items()))
    theirs = {name: array for name, array in sorted(arrays.items()) if name.startswith(("model/", "optimizer/"))}
    problem = _difference({name: tuple(variable.shape) for name, variable in own.items()}, theirs)
    if problem or page["optimizer"] != type(optimizer).__name__:
        said = f"model {page['model']!r} with optimizer {page['optimizer']}"
        problem = problem or "the optimizers differ"
        raise ValueError(
            f"{where} is of another run, {said}; this is {model.name!r} with {type(optimizer).__name__}: {problem}. "
            "Build and compile the model as it was, or give another folder. Nothing was changed."
        )
    if set(parts) != set(page["parts"]):
        raise ValueError(f"{where} holds the parts {sorted(page['parts'])}. Received: parts={sorted(parts)}. Nothing was changed.")
    before = {name: thing.state() for name, thing in parts.items()}
    try:
        for name, thing in parts.items():
            prefix = f"part/{name}/"
            kept = {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
            thing.set_state({**page["parts"][name], **kept})
    except BaseException:
        for name, thing in parts.items():
            thing.set_state(before[name])
        raise
    values = dict(zip(own, theirs.values(), strict=True))
    for name, variable in own.items():
        variable.assign(values[name].astype(variable.dtype) if values[name].dtype.kind in "iu" else values[name])
    set_random_state({key.removeprefix("random/"): a for key, a in arrays.items() if key.startswith("random/")}, page["random"])


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Every variable of the model, states of its seeds included, and of its optimizer, in order. Before the first step it has none yet."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and not optimizer.built:
        optimizer.build(model.trainable_variables)
        backend.prepare_optimizer(optimizer, model.trainable_variables)
    found = {f"model/{i:05d}/{variable.path}": variable for i, variable in enumerate(model.variables)}
    return found | {f"optimizer/{i:05d}/{v.path}": v for i, v in enumerate([] if optimizer is None else optimizer.variables)}


def _difference(own: dict[str, tuple], theirs: dict[str, np.ndarray]) -> str:
    """In what two lists of variables differ, in words. Names of layers may: Keras counts them on within a process."""
    for kind in ("model/", "optimizer/"):
        count, other = (sum(name.startswith(kind) for name in names) for names in (own, theirs))
        if count != other:
            return f"its {kind[:-1]} has {other} variables, here are {count}"
    for (name, shape), (key, array) in zip(own.items(), theirs.items(), strict=True):
        if shape != array.shape or name.rsplit("/")[-1].rsplit("_")[-1] != key.rsplit("/")[-1].rsplit("_")[-1]:
            return f"it has {key.split('/', 2)[-1]} of shape {array.shape}, here is {name.split('/', 2)[-1]} of shape {shape}"
    return ""
