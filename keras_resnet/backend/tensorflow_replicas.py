"""Training together on TensorFlow: the devices of one process, or several processes by TF_CONFIG, by its strategies."""

import contextlib
import itertools
import json
import os
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.eager.context import context as of_process

from keras_resnet.backend import replicas
from keras_resnet.backend.replica_seeds import seeds_apart
from keras_resnet.backend.tensorflow_batches import signature
from keras_resnet.backend.tensorflow_replicas_gradients import of_all_replicas


def _answering(model: keras.Model) -> Callable[[Any], Any]:
    """`predict_on_batch` of this process.

    Keras's gives what each replica makes of the same batch, in two sums over processes that may wait for each other crosswise.
    """
    answer = tf.function(lambda x: model(x, training=False), reduce_retracing=True, autograph=False)
    return lambda x: keras.tree.map_structure(np.asarray, answer(keras.tree.map_structure(tf.convert_to_tensor, x)))


def _context() -> Any:
    """The replica that this runs as, if there are others."""
    context = tf.distribute.get_replica_context()
    return context if context is not None and context.num_replicas_in_sync > 1 else None


def joined(mean: Any, variance: Any, count: Any) -> tuple:
    """See `replicas.joined`."""
    context = _context()
    if context is None:
        return mean, variance, count

    def add(value: Any) -> Any:
        return context.all_reduce(tf.distribute.ReduceOp.SUM, value)

    number = tf.cast(context.replica_id_in_sync_group, tf.int32)
    return replicas.joined(mean, variance, count, number, context.num_replicas_in_sync, add)


def alone(*statistics: Any) -> tuple:
    """A replica's own."""
    return statistics


def averaged(*statistics: Any) -> Any:
    """The means over replicas, by which moving statistics go: else TensorFlow would keep those of the first replica."""
    context = _context()
    if context is None or replicas.current.together:
        return statistics
    return tf.unstack(context.all_reduce(tf.distribute.ReduceOp.MEAN, tf.stop_gradient(tf.stack(statistics))))


_meetings = itertools.count()  # of this process with the others: each has a name of its own, the same on all


def several(devices: list | None) -> bool:
    """Whether this process was launched as one of several, or has several devices."""
    return bool(os.environ.get("TF_CONFIG")) or len(devices or tf.config.list_logical_devices("GPU")) > 1


class Engine:
    """What `learning.distribute` starts. See there."""

    finishes_together = False

    least_test_batch = 1

    def __init__(self, timeout: float, devices: list | None = None):
        self.rank, self.processes, self.timeout = 0, 1, timeout
        if os.environ.get("TF_CONFIG"):
            self.rank, self.processes = _place(os.environ["TF_CONFIG"])
        if self.processes > 1:
            options = tf.distribute.experimental.CommunicationOptions(timeout_seconds=timeout)
            self.strategy = tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
        else:
            self.strategy = tf.distribute.MirroredStrategy(devices)
        self.count = int(self.strategy.num_replicas_in_sync)
        self.local = self.count // self.processes
        self.metrics: dict[str, Any] = {}
        self.seeds_alike = seeds_apart(_number)

    def scope(self) -> contextlib.AbstractContextManager:
        """Where variables are made that every replica has."""
        return self.strategy.scope()

    def check(self, model: keras.Model) -> None:
        """Raises unless it was built in the scope, and its optimizer does the same here as elsewhere."""
        if model.distribute_strategy is not self.strategy:
            raise ValueError(f"Build and compile the model within `with replicas.scope():`. {model.name!r} was built outside of it.")
        if getattr(model.optimizer, "ema_overwrite_frequency", None):
            raise ValueError(
                "On TensorFlow's replicas Keras cannot put an optimizer's averages in place of the weights while it trains. Leave out "
                "ema_overwrite_frequency, or train on PyTorch or JAX."
            )

    def adopt(self, model: keras.Model) -> None:
        """Mends what Keras 3.15 breaks where there are several processes."""
        self.model, optimizer = model, model.optimizer
        if not optimizer.built:  # now, as a checkpoint is restored outside of the scope
            with self.strategy.scope():
                optimizer.build(model.trainable_variables)
        of_all_replicas(optimizer)
        for one in model._flatten_layers():
            if isinstance(one, keras.Model):  # that of a diffusion, too, which the first process may ask alone
                one.predict_on_batch = _answering(one)
        # Keras would take the mean of a batch over replicas to see its shapes, which whole numbers and uneven parts do not have.
        model._maybe_symbolic_build = lambda *arguments, **named: None
        if self.processes > 1:  # its means of losses ask for an axis that single numbers do not have
            model.make_train_function = lambda force=False: self._make("train", force)
            model.make_test_function = lambda force=False: self._make("test", force)
            model._get_metrics_result_or_logs, model.get_metrics_result = self._metrics_of_all, self._metrics

    def _make(self, kind: str, force: bool) -> None:
        if getattr(self.model, f"{kind}_function") is not None and not force:
            return
        step = getattr(self.model, f"{kind}_step")

        def one_step(data: Any) -> Any:
            found = self.strategy.run(step, args=(data,))
            return keras.tree.map_structure(lambda value: self.strategy.reduce("MEAN", value, axis=None), found)

        graph = tf.function(one_step, reduce_retracing=True, autograph=False)
        setattr(self.model, f"{kind}_function", lambda iterator: graph(next(iterator)))

    def _metrics_of_all(self, logs: Any) -> Any:
        """What Keras asks for once, at the end of an epoch or a test, on all processes."""
        self.metrics = type(self.model).get_metrics_result(self.model)
        return type(self.model)._get_metrics_result_or_logs(self.model, logs)

    def _metrics(self) -> dict[str, Any]:
        """Those of a replica within its step; else those of the last epoch or test, as one process may ask alone, and a sum takes all."""
        return self.metrics if _context() is None else type(self.model).get_metrics_result(self.model)

    def _build(self, batch: Any) -> None:
        """Makes the variables of metrics, which none can be made of within a step."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        with self.strategy.scope():
            spec = self.model.compute_output_spec(keras.tree.map_structure(lambda one: keras.KerasTensor(one.shape, one.dtype), x))
            y_pred = keras.tree.map_structure(lambda one: tf.zeros(one.shape, one.dtype), spec)
            self.model.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=False)
            self.model.compute_metrics(x, y, y_pred, sample_weight)
            self.model.reset_metrics()

    def summed(self, array: np.ndarray) -> np.ndarray:
        """The sum over processes. None of them goes on, and perhaps ends, before all have it."""
        total = _sum(self.strategy, tf.constant(array)).numpy() / self.local
        self._meet()
        return total

    def _meet(self) -> None:
        """Waits for the other processes: TensorFlow's sums are asked of each other, so one that ends takes its part from those behind it.

        One that is here has what it needs of the others. So whatever ends the wait, the time or another's end, is no error of this one.
        """
        if self.processes > 1:
            with contextlib.suppress(tf.errors.OpError):
                of_process().wait_at_barrier(f"replicas {next(_meetings)}", int(1000 * self.timeout))

    def training(self, batches: Iterable) -> Any:
        """Batches as `fit` takes them: what each replica of this process gets, one after the other."""
        batches = iter(batches)
        first = next(batches)
        self._build(first)
        return self._distributed(lambda: itertools.chain([first], batches), signature(first))

    def divides(self, count: int, batch: int) -> bool:
        """Whether a set of that many is tested on in parts: here parts may differ, but none be empty."""
        return min(count, batch) >= self.count

    def testing(self, batches: Any, size: int, count: int) -> Any:
        """Batches of `size` as `fit` takes them for `validation_data`; `count` are the examples of all.

        Where those of the last one are fewer than replicas, the last two batches are one: of an empty part the loss would be no number.
        """
        any_size = getattr(batches, "any_size", False)
        whole = not self.divides(count, size)
        if any_size and not whole:
            raise ValueError(
                f"Of pictures of several sizes each of the {self.count} replicas tests on all, one by one. "
                f"Pass batches of {self.least_test_batch}. Received: batches of {size}."
            )
        self._build(batches[0])  # a test may be what a model does first
        last = len(batches) - 1
        # A process that has nothing of the last batch does not have it at all.
        merged = not whole and 0 < count % size < self.count and last > 0 and len(_rows(batches[last])) < len(_rows(batches[0]))

        def all_of_them() -> Any:
            for i in range(last - 1 if merged else last):
                yield batches[i]
            if merged:
                pairs = zip(batches[last - 1], batches[last], strict=True)
                yield tuple(np.concatenate([np.asarray(one) for one in pair]) for pair in pairs)
            else:
                yield batches[last]

        return self._distributed(all_of_them, signature(batches[0], any_size), last if merged else last + 1, whole)

    def _distributed(self, batches: Callable, of: Any, count: int | None = None, whole: bool = False) -> Any:
        """What each replica of this process gets, one after the other: its part of each batch, or each as a `whole`."""

        def parts() -> Any:
            for batch in batches():
                arrays = [np.asarray(one) for one in batch]
                split = [[one] * self.local if whole else np.array_split(one, self.local) for one in arrays]
                yield from zip(*split, strict=True)

        def local(context: Any) -> Any:
            options = tf.data.Options()
            options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
            made = tf.data.Dataset.from_generator(parts, output_signature=of)
            return made.with_options(options)

        made = self.strategy.distribute_datasets_from_function(local)
        if count is not None:
            made._cardinality = np.int64(count)  # in steps, which Keras waits for the end of; TensorFlow counts parts
        return made

    def close(self, together: bool = True) -> None:
        """Leaves the strategy to Python, and the other processes when they do so too."""
        self.seeds_alike()
        if together:
            self._meet()


def _number() -> Any:
    """Of the replica whose step is traced; 0 where none is."""
    context = tf.distribute.get_replica_context()
    return 0 if context is None else context.replica_id_in_sync_group


def _rows(batch: Any) -> Any:
    return keras.tree.flatten(batch)[0]


@tf.function(autograph=False, reduce_retracing=True)
def _sum(strategy: Any, value: Any) -> Any:
    return strategy.reduce("SUM", strategy.run(lambda: tf.identity(value)), axis=None)


def _place(text: str) -> tuple[int, int]:
    """This process's number, and how many there are."""
    try:
        config = json.loads(text)
        workers = config["cluster"]["worker"]
        task = config["task"]
        chief = config["cluster"].get("chief", [])
        kind, index = task["type"], int(task["index"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"TF_CONFIG must be JSON with cluster.worker, task.type and task.index ({error}).") from error
    if kind not in ("worker", "chief"):
        raise ValueError(f"In TF_CONFIG every process is a 'worker', or the 'chief'. Received: {kind!r}.")
    return index + (len(chief) if kind == "worker" else 0), len(workers) + len(chief)
