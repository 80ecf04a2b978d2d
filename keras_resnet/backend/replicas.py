"""How many replicas train one model together, and over whose part of a batch statistics are taken: one fact for the whole process.

A replica is one device with its part of every batch. What starts them is in `torch_replicas`, `jax_replicas` and `tensorflow_replicas`.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import keras
import numpy as np
from keras import ops

Made = TypeVar("Made")


@dataclasses.dataclass(frozen=True)
class Replicas:
    """What batch normalization needs to know, and checkpoints.

    Args:
        count: replicas, 1 if nobody trains together.
        sync_norm: whether statistics are those of all parts together; else each replica normalizes by its own, and the moving ones go
            towards the mean over replicas of theirs.
        engine: of several processes, what they ask each other by; `None` where there is one.
    """

    count: int = 1
    sync_norm: bool = False
    engine: Any = None

    @property
    def together(self) -> bool:
        """Whether there are others whose statistics count."""
        return self.count > 1 and self.sync_norm

    @property
    def apart(self) -> bool:
        """Whether there are others, and each has statistics of its own."""
        return self.count > 1 and not self.sync_norm


current = Replicas()


def train_as(replicas: Replicas) -> None:
    """Makes this what the process is from now on. What is compiled already stays what it was."""
    global current
    current = replicas


def agree(engine: Any, asked: bool) -> bool:
    """Whether any of the processes says so: all ask at once, and each waits for the last. One by itself has no engine, or one for it."""
    if engine is None or engine.processes == 1:
        return asked
    return bool(engine.summed(np.array([asked], "float32")).any())


def of_all(engine: Any, make: Callable[[], Made]) -> Made:
    """What `make` gives, if it does so in every process, as `agree` asks: else none goes on, to wait for one that is no more.

    Raises:
        ValueError: if it failed in another; what it raises here.
    """
    failure: Exception | None = None
    try:
        made = make()
    except Exception as error:
        failure = error
    if agree(engine, failure is not None):
        raise failure or ValueError("Another process of this run could not do its part; it says why.")
    return made


def gathered(engine: Any, said: bytes) -> list[bytes]:
    """What each process says, by rank, as `agree` asks.

    Raises:
        ValueError: on all of them, if one says 16 MiB or more.
    """
    if engine is None or engine.processes == 1:
        return [said]
    table = np.zeros(engine.processes, "float32")  # a kind of numbers that is summed on every device
    table[engine.rank] = len(said)
    sizes = engine.summed(table).astype(int)
    if sizes.max() >= 2**24:
        raise ValueError(f"Processes tell each other less than 16 MiB at once. Received: {sizes.max():,} bytes from one of them.")
    if not sizes.max():  # TensorFlow cannot sum nothing
        return [b""] * engine.processes
    table = np.zeros((engine.processes, sizes.max()), "float32")
    table[engine.rank, : len(said)] = np.frombuffer(said, "uint8")
    rows = engine.summed(table).astype("uint8")
    return [row[:size].tobytes() for row, size in zip(rows, sizes, strict=True)]


def part_of_loss(loss: Any) -> Any:
    """A loss that a model works out itself, as replicas add it up: on TensorFlow a part of it, as Keras makes those of `compile`."""
    if keras.backend.backend() != "tensorflow":
        return loss
    import tensorflow as tf

    return loss / tf.cast(tf.distribute.get_strategy().num_replicas_in_sync, loss.dtype)


def joined(mean: Any, variance: Any, count: Any, number: Any, total: int, add: Callable) -> tuple[Any, Any, Any]:
    """Statistics of all replicas' numbers together, from each one's mean, biased variance and count.

    One sum over replicas: each puts its own into its row of a table of zeros. So no squares are summed that would cost digits where a mean
    is far from zero, and the gradient comes back by the same kind of sum.

    Args:
        mean, variance: `(channels,)`.
        count: a number, or one for each channel.
        number: of this replica.
        total: how many replicas there are.
        add: sums a tensor over all replicas, differentiably.
    """
    mine = ops.stack([mean, variance, ops.zeros_like(mean) + ops.cast(count, mean.dtype)])
    rows = ops.cast(ops.equal(ops.arange(total), number), mine.dtype)
    table = add(ops.reshape(rows, (-1, 1, 1)) * mine)
    means, variances, counts = table[:, 0], table[:, 1], ops.stop_gradient(table[:, 2])
    count = ops.sum(counts, 0)
    shares = counts / ops.maximum(count, 1.0)
    mean = ops.sum(shares * means, 0)
    return mean, ops.sum(shares * (variances + (means - mean) ** 2), 0), count
