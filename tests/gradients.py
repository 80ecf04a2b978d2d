"""Gradients on whichever backend runs, of plain functions and of layers, as NumPy arrays."""

import inspect
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tests.arrays import as_numpy, normal


def value_and_gradients(function: Callable[..., Any], *arrays: Any, dtype: str = "float32") -> tuple[np.ndarray, list[np.ndarray]]:
    """`function(*arrays)`, and the gradients of a fixed random weighting of its numbers by each of the `arrays`, cast to `dtype`.

    `function` may assign Keras variables: the assignments are thrown away, as in a stateless call.
    """
    y, _, found = _differentiate(lambda *tensors: (function(*tensors), ()), [keras.ops.cast(array, dtype) for array in arrays])
    return y, found


def layer_gradients(layer: Any, x: np.ndarray, training: bool = True) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Output, gradients by input (`"input"`) and trainable variables, and what the other variables are afterwards, by path.

    Runs `stateless_call`: the layer itself stays as it is.
    """
    trained = [keras.ops.copy(v.value) for v in layer.trainable_variables]
    others = [keras.ops.copy(v.value) for v in layer.non_trainable_variables]

    mode = {"training": training} if takes_training(layer) else {}

    def call(x: Any, *tensors: Any) -> tuple:
        return layer.stateless_call(list(tensors), others, x, **mode)

    y, after, (by_input, *found) = _differentiate(call, [keras.ops.convert_to_tensor(x), *trained])
    gradients = {"input": by_input, **{v.path: g for v, g in zip(layer.trainable_variables, found, strict=True)}}
    return y, gradients, {v.path: as_numpy(a) for v, a in zip(layer.non_trainable_variables, after, strict=True)}


def takes_training(layer: Any) -> bool:
    """Whether the layer's or model's `call` knows training from inference."""
    return "training" in inspect.signature(layer.call).parameters


def _weighting(y: Any) -> Any:
    return keras.ops.sum(keras.ops.cast(y, "float32") * keras.ops.convert_to_tensor(normal(*y.shape, seed=77)))


def _differentiate(function: Callable, tensors: list) -> tuple[np.ndarray, list, list[np.ndarray]]:
    """`function` gives what is differentiated, and a list of what else is of interest."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        def loss(tensors: list) -> tuple:
            with keras.StatelessScope():
                y, others = function(*tensors)
            return _weighting(y), (y, others)

        # Compiled as one: eagerly JAX compiles each primitive of the gradient by itself, which takes ten times as long.
        (_, (y, others)), found = jax.jit(jax.value_and_grad(loss, has_aux=True))(tensors)
    elif backend == "torch":
        import torch

        tensors = [tensor.detach().clone(memory_format=torch.preserve_format).requires_grad_() for tensor in tensors]
        with keras.StatelessScope():
            y, others = function(*tensors)
        found = torch.autograd.grad(_weighting(y), tensors, allow_unused=True)
    else:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(tensors)
            with keras.StatelessScope():
                y, others = function(*tensors)
            loss = _weighting(y)
        found = tape.gradient(loss, tensors)
    found = [np.zeros(tuple(t.shape), "float32") if g is None else as_numpy(g) for g, t in zip(found, tensors, strict=True)]
    return as_numpy(y), list(others), found
