"""Runs a block so that its backward pass recomputes what is inside it."""

from collections.abc import Callable
from typing import Any

import keras

from keras_resnet import backend


def rematerialized(layer: keras.layers.Layer, forward: Callable, *tensors: Any) -> Any:
    """`forward(*tensors)` in training, keeping only these tensors and the result for the backward pass.

    The block runs as a pure function of its variables, whose new statistics and seeds come out of it and are assigned once.
    """
    trained = layer.trainable_variables
    moving = [v for v in layer.variables if not any(v is t for t in trained)]
    # Copies: PyTorch assigns statistics and seeds in place, and the backward pass must see them as they were.
    before = [(v, keras.ops.copy(v.value)) for v in moving]

    moved: list = []

    def run(*arguments: Any) -> tuple:
        values = arguments[len(tensors) :]
        with keras.StatelessScope(state_mapping=[*before, *zip(trained, values, strict=True)]) as scope:
            start = [scope.get_current_value(v) for v in moving]
            y = forward(*arguments[: len(tensors)])
        moved[:] = assigned(scope, moving, start)
        return y, *(scope.get_current_value(v) for v in moved)

    y, *after = backend.remat(run)(*tensors, *(v.value for v in trained))
    for variable, value in zip(moved, after, strict=True):
        variable.assign(value)
    return y


def assigned(scope: keras.StatelessScope, variables: list, start: list) -> list:
    """Those of `variables` that are not in the scope what they were at its start: statistics and seeds, but no frozen weights.

    Under a mixed policy a weight is read in the narrow type, and given back would be rounded for good.
    """
    return [variable for variable, value in zip(variables, start, strict=True) if scope.get_current_value(variable) is not value]
