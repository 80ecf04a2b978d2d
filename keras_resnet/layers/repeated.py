"""Runs equal blocks that follow each other as one block in a loop, where compiling each by itself would take too long."""

import contextlib
import contextvars
from collections.abc import Iterator, Sequence
from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.layers.rematerialized import assigned

# By the id of a block: the run that it leads, or an empty one where another leads it.
_runs: contextvars.ContextVar[dict[int, tuple] | None] = contextvars.ContextVar("runs", default=None)


@contextlib.contextmanager
def repeating(runs: Sequence[tuple]) -> Iterator[None]:
    """In here the first block of each run is all of it, and the others give back their input."""
    token = _runs.set({id(block): run if block is run[0] else () for run in runs for block in run})
    try:
        yield
    finally:
        _runs.reset(token)


def run_of(block: keras.layers.Layer) -> tuple | None:
    """The blocks that `block` stands for: none where another stands for it, `None` if it is to run as always."""
    return (_runs.get() or {}).get(id(block))


def run_through(run: tuple, x: Any, training: bool | None) -> Any:
    """The last output of blocks that differ in their variables only; new statistics and seeds are assigned to each."""
    leader, variables = run[0], [block.variables for block in run]
    moving = [v for v in leader.variables if not any(v is t for t in leader.trainable_variables)]
    moved: list = []

    def step(x: Any, values: list) -> tuple:
        with keras.StatelessScope(state_mapping=list(zip(leader.variables, values, strict=True))) as scope:
            start = [scope.get_current_value(v) for v in moving]
            y = leader.call(x, training=training)
        moved[:] = assigned(scope, moving, start)
        return y, [scope.get_current_value(v) for v in moved]

    with repeating(()):
        y, outputs = backend.scan(step, x, [[variable.value for variable in own] for own in variables])
    places = [next(i for i, v in enumerate(leader.variables) if v is variable) for variable in moved]
    for own, values in zip(variables, outputs, strict=True):
        for i, value in zip(places, values, strict=True):
            own[i].assign(value)
    return y
