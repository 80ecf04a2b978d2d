"""Training together on JAX: the devices of one process or of several, by Keras's DataParallel."""

import contextlib
import functools
import inspect
import os
import weakref
from collections.abc import Callable
from typing import Any

import jax
import keras
import numpy as np

COORDINATOR, PROCESSES, PROCESS = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"


class Parallel(keras.distribution.DataParallel):
    """Batches are split among devices, but for sets to test on that do not divide: of these each device works out the whole."""

    whole = False

    def get_data_layout(self, data_shape: Any) -> Any:
        if not self.whole:
            return super().get_data_layout(data_shape)
        return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)


def several(devices: list | None) -> bool:
    """Whether this process was launched as one of several, or has several devices."""
    return COORDINATOR in os.environ or len(devices or keras.distribution.list_devices()) > 1


class Engine:
    """What `learning.distribute` starts. See there."""

    finishes_together = True

    least_test_batch = 1

    def __init__(self, timeout: float, devices: list | None = None):
        if COORDINATOR in os.environ and not jax.distributed.is_initialized():
            missing = [name for name in (PROCESSES, PROCESS) if not os.environ.get(name, "").isdigit()]
            if missing:
                raise ValueError(f"{COORDINATOR} is set, so {' and '.join(missing)} must be numbers, too.")
            jax.distributed.initialize(
                os.environ[COORDINATOR],
                int(os.environ[PROCESSES]),
                int(os.environ[PROCESS]),
                initialization_timeout=int(timeout),
                heartbeat_timeout_seconds=max(10, min(int(timeout), 100)),
            )
        self.rank, self.processes = jax.process_index(), jax.process_count()
        self.parallel = Parallel(devices=devices or keras.distribution.list_devices(), auto_shard_dataset=False)
        self.count = int(self.parallel.num_model_replicas)
        self.undivided: weakref.WeakSet = weakref.WeakSet()  # sets to test on that are not divided
        self.before = keras.distribution.distribution()
        if isinstance(self.before, keras.distribution.ModelParallel):
            raise ValueError("ModelParallel is set, and ResNets fit on one device. Unset it: keras.distribution.set_distribution(None).")
        keras.distribution.set_distribution(self.parallel)

    def scope(self) -> contextlib.AbstractContextManager:
        """Nothing special to build a model in."""
        return contextlib.nullcontext()

    def check(self, model: keras.Model) -> None:
        """Nothing: JAX trains any model on several devices."""

    def adopt(self, model: keras.Model) -> None:
        """JAX itself puts together what is of one batch. What it cannot divide, each device works out as a whole."""
        for name in ("evaluate", "predict", "predict_on_batch"):
            setattr(model, name, self._undivided(getattr(type(model), name).__get__(model), always=name != "evaluate"))

    def _undivided(self, method: Callable, always: bool) -> Callable:
        @functools.wraps(method)
        def run(*arguments: Any, **named: Any) -> Any:
            given = inspect.signature(method).bind(*arguments, **named).arguments
            before, self.parallel.whole = self.parallel.whole, always or self._leaves_a_rest(given["x"], given.get("batch_size") or 32)
            try:
                return method(*arguments, **named)
            finally:
                self.parallel.whole = before

        return run

    def _leaves_a_rest(self, x: Any, batch: int) -> bool:
        """Whether it is a set that `testing` was given and that is not divided, or arrays that this process's devices do not divide."""
        if isinstance(x, keras.utils.PyDataset):
            return x in self.undivided
        devices = self.count // self.processes
        return any(len(one) % devices or batch % devices for one in keras.tree.flatten(x) if hasattr(one, "shape"))

    def summed(self, array: np.ndarray) -> np.ndarray:
        """The sum over processes."""
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.process_allgather(array)).sum(0)

    def training(self, batches: Any) -> Any:
        """Batches as `fit` takes them. Each device gets its part of what is on the host, or from the device that augmented it."""
        return batches

    def divides(self, count: int, batch: int) -> bool:
        """Whether a set of that many is tested on in parts."""
        return count % self.count == 0 and batch % self.count == 0

    def testing(self, batches: Any, size: int, count: int) -> Any:
        """Batches of `size` as `fit` takes them for `validation_data`; `count` are the examples of all."""
        if not self.divides(count, size):
            self.undivided.add(batches)
        return batches

    def close(self, together: bool = True) -> None:
        """Unsets Keras's distribution. The processes stay connected: JAX has no other group, and waits for all when they end."""
        keras.distribution.set_distribution(self.before)
