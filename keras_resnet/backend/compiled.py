"""A function of tensors as one graph, where the backend has such."""

from collections.abc import Callable

import keras


def compiled(function: Callable) -> Callable:
    """`jax.jit`, `tf.function`, or on PyTorch the function itself, whose operations run one by one.

    The function takes and gives tensors, and nothing else of it changes.
    """
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, reduce_retracing=True, autograph=False)
    return function
