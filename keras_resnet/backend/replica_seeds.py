"""Random numbers of replicas: each draws its own, from a state that is the same on all and in files."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

STRIDE = 1_000_003  # between the seeds of two replicas; a state goes on by one


def seeds_apart(number: Callable[[], Any]) -> Callable[[], None]:
    """Adds to each seed that is drawn from a `keras.random.SeedGenerator` what is the replica's own, and gives what ends that.

    Else all replicas would drop the same of their parts, and a diffusion would see the same times. The states themselves stay alike, so
    that one of them is what a checkpoint needs. Of an operation without a generator of its own Keras asks one for all of them.

    Args:
        number: of this replica, from 0.
    """
    plain = keras.random.SeedGenerator.next

    def drawn(self: Any, ordered: bool = True) -> Any:
        state = plain(self, ordered)
        own = ops.cast(number(), state.dtype) * STRIDE
        return state + ops.stack([own, ops.zeros_like(own)])

    setattr(keras.random.SeedGenerator, "next", drawn)  # noqa: B010  for mypy it is a method for good
    return lambda: setattr(keras.random.SeedGenerator, "next", plain)
