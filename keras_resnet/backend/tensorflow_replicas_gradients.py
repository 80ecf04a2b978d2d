"""An optimizer's step on TensorFlow's replicas from gradients of the whole batch, so that clipping and accumulation mean the same."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf


def of_all_replicas(optimizer: keras.optimizers.Optimizer) -> None:
    """Makes an optimizer sum gradients over replicas first of all.

    Keras 3.15 sums them last: it clips each replica's own, asks those of the first one whether all are finite, and accumulates within a
    branch, where replicas cannot meet. The optimizers that this one is made of are changed alike.

    Args:
        optimizer: built. It is to be the model's, which no other model uses.
    """

    def apply(grads: Sequence, trainable_variables: Sequence | None = None) -> None:
        type(optimizer).apply(optimizer, _summed(list(grads)), trainable_variables)

    optimizer.apply = apply
    for one in [optimizer, *_inner(optimizer)]:
        one._all_reduce_sum_gradients = list  # they are summed
        if one.gradient_accumulation_steps:
            one._backend_apply_gradients = _accumulating(one)


def _inner(optimizer: Any) -> list:
    """Those that it is made of."""
    found = getattr(optimizer, "groups", None) or getattr(optimizer, "inner_optimizer", None) or []
    found = found if isinstance(found, list) else [found]
    return [one for inner in found for one in (inner, *_inner(inner))]


def _summed(grads: list) -> list:
    context = tf.distribute.get_replica_context()
    present = [gradient for gradient in grads if gradient is not None]
    if context is None or not present:
        return grads
    summed = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, present))
    return [None if gradient is None else next(summed) for gradient in grads]


def _accumulating(optimizer: Any) -> Callable:
    """Keras's `_backend_apply_gradients`, its two branches run by all replicas together."""
    steps = optimizer.gradient_accumulation_steps

    def step(grads: Sequence, variables: Sequence, held: Sequence) -> None:
        grads = optimizer._clip_gradients([(gradient + one) / steps for gradient, one in zip(grads, held, strict=True)])
        optimizer._apply_weight_decay(variables)
        optimizer._backend_update_step(grads, variables, optimizer.learning_rate)

    def everywhere(strategy: Any, grads: Sequence, variables: Sequence, held: Sequence) -> None:
        def move() -> None:
            strategy.extended.call_for_each_replica(step, args=(grads, variables, held))
            for one in held:
                strategy.extended.update(one.value, lambda value: value.assign(tf.zeros_like(value)), group=False)

        def keep() -> None:
            for one, gradient in zip(held, grads, strict=True):
                strategy.extended.update(one.value, lambda value, more: value.assign_add(more), args=(gradient,), group=False)

        # Outside of replicas: within one a branch cannot hold what they do together.
        tf.cond((optimizer._iterations.value + 1) % steps == 0, move, keep)

    def apply(grads: Sequence, variables: Sequence) -> None:
        held = [optimizer._accumulated_gradients[optimizer._get_variable_index(variable)] for variable in variables]
        tf.distribute.get_replica_context().merge_call(everywhere, args=(list(grads), list(variables), held))
        if optimizer.use_ema:
            optimizer._update_model_variables_moving_average(optimizer._trainable_variables)

    return apply
