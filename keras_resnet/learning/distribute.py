"""Training one model on several devices or machines together, the same way on every backend."""

import contextlib
import importlib
import math
import os
from collections.abc import Callable
from typing import Any

import keras

from keras_resnet.backend import feeding
from keras_resnet.backend import replicas as known
from keras_resnet.layers.configured import check_flag
from keras_resnet.learning.batches import Batches

KINDS = {
    "fsdp": "Shards of variables (FSDP): with Keras on PyTorch the shards get no gradients and whole copies train on unshared",
    "model": "ModelParallel splits single weights among devices: the networks here fit on one device, and batches split better",
}


def distribute(sync_norm: bool = False, kind: str = "data", devices: list | None = None, timeout: float = 600.0) -> "Replicas":
    """Starts training together, as this process was launched, before the model is built.

    ```python
    replicas = keras_resnet.learning.distribute()
    with replicas.scope():
        model = keras_resnet.create_model("resnet50", classes=10)
        model.compile(optimizer, loss)
    replicas.adopt(model)
    data = keras_resnet.learning.Batches(images, labels, batch_size=256, part=replicas.part, drop_remainder=True)
    model.fit(replicas.training(data), steps_per_epoch=len(data), epochs=90, verbose=2 if replicas.is_first else 0)
    replicas.close()
    ```

    Each replica is a device with a copy of the model and its part of every batch; a step is that of the batch as a whole. Dropout and its
    like draw other numbers on each; the states of their generators stay alike.

    | backend | launched by | replicas |
    | --- | --- | --- |
    | PyTorch | `torchrun --nproc-per-node N` | processes, by DistributedDataParallel |
    | JAX | nothing | all devices of the process, by `keras.distribution.DataParallel` |
    | JAX | `JAX_COORDINATOR_ADDRESS`, `JAX_NUM_PROCESSES`, `JAX_PROCESS_ID` in each process | the devices of all processes |
    | TensorFlow | nothing | all GPUs of the process, by `tf.distribute.MirroredStrategy` |
    | TensorFlow | `TF_CONFIG` in each process | the devices of all, by `MultiWorkerMirroredStrategy` |

    Launched by none of these, with one device, it gives one replica, with which all of this does nothing.

    Args:
        sync_norm: whether this library's `BatchNormalization` takes its statistics over all parts of a batch together. Else each replica
            normalizes by its own part, and the moving statistics go towards the mean over replicas of theirs. Either way moving
            statistics are equal on all replicas behind each step. For small parts, below some 16 pictures, True.
        kind: `"data"`. The other two that there are, `"fsdp"` and `"model"`, are refused with the reason.
        devices: names of this process's devices on JAX and TensorFlow, such as `["cpu:0", "cpu:1"]`; `None` for all.
        timeout: seconds after which a process that waits for another gives up.

    Raises:
        ValueError: at an argument outside what is listed, and where what was launched is incomplete.
    """
    check_flag("sync_norm", sync_norm)
    if isinstance(kind, str) and kind in KINDS:
        raise ValueError(f"{KINDS[kind]}. Pass kind='data': each device has the whole model, and its part of every batch.")
    if kind != "data":
        raise ValueError(f"`kind` must be 'data'. Received: kind={kind!r}.")
    if not isinstance(timeout, (int, float)) or isinstance(timeout, bool) or not 0 < timeout < math.inf:
        raise ValueError(f"`timeout` must be a number of seconds above 0. Received: timeout={timeout!r}.")
    if keras.backend.backend() != "torch" and "TORCHELASTIC_RUN_ID" in os.environ:
        raise ValueError(
            f"torchrun starts processes of PyTorch, and the backend is {keras.backend.backend()!r}. Set KERAS_BACKEND=torch, or start each "
            "process with JAX_COORDINATOR_ADDRESS and so on (JAX) or TF_CONFIG (TensorFlow)."
        )
    engine = _engine(float(timeout), devices)
    made = Replicas(engine, sync_norm)
    known.train_as(known.Replicas(made.count, sync_norm, engine if made.processes > 1 else None))
    return made


def _engine(timeout: float, devices: list | None) -> Any:
    """Of the backend, or `None` where there is one replica."""
    name = keras.backend.backend()
    if devices is not None and (not isinstance(devices, (list, tuple)) or not devices):
        raise ValueError(f"`devices` must be a list of names, or None for all. Received: devices={devices!r}.")
    if name not in ("torch", "jax", "tensorflow"):
        return None
    room = importlib.import_module(f"keras_resnet.backend.{name}_replicas")
    engine = room.Engine(timeout, devices) if room.several(devices) else None
    if engine is not None and engine.count == 1:
        engine.close()
        return None
    return engine


class Replicas:
    """Those that train together, as `distribute` started them.

    Args:
        engine: the backend's.
        sync_norm: see `distribute`.
    """

    def __init__(self, engine: Any, sync_norm: bool):
        self._engine, self.sync_norm = engine, bool(sync_norm)

    @property
    def count(self) -> int:
        """Replicas, over all processes."""
        return 1 if self._engine is None else self._engine.count

    @property
    def rank(self) -> int:
        """This process's number, from 0."""
        return 0 if self._engine is None else self._engine.rank

    @property
    def processes(self) -> int:
        """How many processes train together."""
        return 1 if self._engine is None else self._engine.processes

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    @property
    def needed_to_finish(self) -> bool:
        """Whether this process takes part in what the model does behind the training: but on JAX the first one is alone with that."""
        return self.is_first or (self._engine is not None and self._engine.finishes_together)

    @property
    def part(self) -> tuple[int, int]:
        """Which part of every batch this process reads, for `Batches(part=...)` and `Pairs(part=...)`."""
        return self.rank, self.processes

    def check_batch(self, batch: int) -> None:
        """Raises unless the replicas divide a batch of all their parts.

        Raises:
            ValueError: with what to do.
        """
        if batch % self.count:
            raise ValueError(
                f"A batch is divided among {self.count} replicas without a rest. Received: a batch of {batch}. "
                f"Take a multiple of {self.count}, or fewer replicas."
            )

    def scope(self) -> contextlib.AbstractContextManager:
        """Where the model is built and compiled."""
        return contextlib.nullcontext() if self._engine is None else self._engine.scope()

    def adopt(self, model: keras.Model) -> None:
        """Makes a compiled model's `fit` a step of all replicas.

        Raises:
            ValueError: if it was built outside the scope, or is sharded; on TensorFlow with an optimizer that puts its averages in place
                of the weights while it trains (`ema_overwrite_frequency`), which Keras cannot do there.
        """
        self.check_model(model)
        if self._engine is not None:
            self._engine.adopt(model)

    def check_model(self, model: keras.Model) -> None:
        """Raises as `adopt` would, and does nothing else: for programs that want to know before they write.

        Raises:
            ValueError: see `adopt`.
        """
        if self._engine is not None:
            self._engine.check(model)

    def training(self, batches: Any) -> Any:
        """What `fit` takes, for batches of this process's part: one epoch after the other, so that `fit` needs `steps_per_epoch`.

        Raises:
            ValueError: where parts of a batch would differ in size, as their losses would then count differently.
        """
        if self._engine is None:
            return batches
        if isinstance(batches, keras.utils.PyDataset):
            size, count = _sizes(batches)
            self.check_batch(size)
            rest = count % size
            if rest and not getattr(getattr(batches, "sampler", None), "drop_remainder", False):
                raise ValueError(
                    f"The last batch of {rest} examples would leave parts of other sizes to the {self.count} replicas. "
                    "Pass Batches(drop_remainder=True), or as many examples as batches divide."
                )
        return self._engine.training(_each(batches))

    def agree(self, asked: bool) -> bool:
        """Whether any process says so: all ask at once, and each waits for the last."""
        return known.agree(self._engine, asked)

    def of_all(self, make: Callable[[], known.Made]) -> known.Made:
        """What `make` gives, if it does so in every process: else none goes on. All call it at once, and each waits for the last.

        Raises:
            ValueError: if it failed in another; what it raises here.
        """
        return known.of_all(self._engine, make)

    def gathered(self, said: bytes) -> list[bytes]:
        """What each process says, by rank: all do at once, and each waits for the last. Of less than 16 MiB each."""
        return known.gathered(self._engine, said)

    @property
    def least_test_batch(self) -> int:
        """How many pictures a batch to test on has at least: on PyTorch one for each replica. Those of a batch of so many may differ in
        size."""
        return 1 if self._engine is None else self._engine.least_test_batch

    def part_to_test(self, count: int, batch: int) -> tuple[int, int]:
        """Which part of every batch of a set this process tests on, for `Batches(part=...)`.

        JAX divides no batch with a rest, and TensorFlow none of fewer examples than replicas: there each process and device tests on the
        whole of a set that does not divide.

        Args:
            count: examples of the whole set.
            batch: examples in a batch of all parts.

        Raises:
            ValueError: if a batch has fewer examples than replicas have to have.
        """
        if min(count, batch) < self.least_test_batch:
            raise ValueError(
                f"To test on {self.count} replicas takes batches of {self.least_test_batch} examples or more. "
                f"Received: batches of {batch}, {count} examples."
            )
        return self.part if self._engine is None or self._engine.divides(count, batch) else (0, 1)

    def testing(self, batches: Any) -> Any:
        """What `fit` takes as `validation_data`; the metrics are then those of the whole set on every process.

        Also for one replica, where the pictures of `Pairs` differ in size: from those alone `fit` would learn on TensorFlow that all have
        the sizes of the first two.

        Args:
            batches: `Batches` or `Pairs`, unshuffled, of the part `part_to_test` gives. Where pictures differ in size, batches of
                `least_test_batch`.

        Raises:
            ValueError: on TensorFlow's replicas, at larger batches of pictures that differ in size.
        """
        if batches is None:
            return None
        if self._engine is None:
            return feeding.of_any_size(batches) if getattr(batches, "any_size", False) else batches
        return self._engine.testing(batches, *_sizes(batches))

    def close(self, together: bool = True) -> None:
        """Ends training together. The process is then one by itself.

        On TensorFlow several processes do so at once, and each waits for the last, at most `timeout` seconds: one that ended sooner would
        break off what others still ask of it.

        Args:
            together: whether the others come here, too; False where this process has failed, so that it leaves without them.
        """
        check_flag("together", together)
        known.train_as(known.Replicas())
        if self._engine is not None:
            engine, self._engine = self._engine, None
            engine.close(together)


def _sizes(batches: Any) -> tuple[int, int]:
    """Examples in a batch of all parts, and in all batches."""
    if isinstance(batches, Batches):
        count, size = batches.sampler.count, batches.sampler.batch_size
    else:
        count, size = len(batches.images) * batches.repeats, batches.batch_size
    return size, count


def _each(batches: Any) -> Any:
    """A `PyDataset`'s batches, epoch after epoch, or what an iterator gives."""
    if not isinstance(batches, keras.utils.PyDataset):
        yield from batches
        return
    while True:
        batches.on_epoch_begin()
        for i in range(len(batches)):
            batch = batches[i]
            if i == len(batches) - 1:  # before it, as `fit` asks for no more than it needs
                batches.on_epoch_end()
            yield batch
