"""A run's epochs: from its last checkpoint on to the end, each with its row in the log and its checkpoint."""

import contextlib
import dataclasses
import pathlib
import sys
import time
from typing import Any

import keras

from keras_resnet import learning
from keras_resnet.backend.random_state import random_state, set_random_state
from keras_resnet.weights.whole_files import swept
from training import callbacks, distributed, interrupted, trackers
from training.data import readable
from training.data.stream import fed
from training.recipe import Recipe
from training.run_folder import Where
from training.tasks import Task

LOG = "log.csv"


class Clock:
    """Seconds that a run has taken over all its starts, but for what was lost behind a checkpoint. It is a part of checkpoints."""

    def __init__(self) -> None:
        self._before, self._start = 0.0, time.perf_counter()

    @property
    def seconds(self) -> float:
        """Until now."""
        return self._before + time.perf_counter() - self._start

    def state(self) -> dict:
        """The seconds."""
        return {"seconds": self.seconds}

    def set_state(self, state: dict) -> None:
        """Goes on from so many."""
        self._before, self._start = float(state["seconds"]), time.perf_counter()


def trained(
    recipe: Recipe, where: Where, folder: pathlib.Path, own: pathlib.Path, task: Task, replicas: learning.Replicas, verbose: Any
) -> tuple[learning.AveragedWeights | None, Clock]:
    """Trains the task's model to the recipe's last epoch, and gives what else the end needs.

    Args:
        recipe, where, task, replicas: of the run.
        folder: of the run.
        own: where this process writes but for checkpoints.
        verbose: of `fit`.
    """
    steps, clock = recipe.steps or task.whole, Clock()
    wanted = recipe.optimizer
    # Once a step of the optimizer, not once a batch.
    averages = learning.AveragedWeights(wanted.average ** (1 / wanted.accumulate), wanted.accumulate) if wanted.average else None
    averaging = [] if averages is None else [averages]
    parts: dict[str, Any] = {"clock": clock, **({} if averages is None else {"averages": averages})}
    if hasattr(task.batches.images, "set_state"):  # so that what could not be read is known at the end of a run that was resumed
        parts["pictures"] = task.batches.images
    every, first = where.checkpoint_every or "epoch", replicas.is_first
    checkpoint = learning.Checkpoint(folder / "checkpoints", every, where.keep, task.monitor, parts=parts, write=first)
    swept(own)

    def share() -> None:
        readable.told(task.batches.images, replicas)

    epoch = checkpoint.restore(task.model)
    if checkpoint.last is None and callbacks.rows(own / LOG):
        print(f"There is no checkpoint in {folder / 'checkpoints'}: the run begins anew.", file=sys.stderr)
    batch = checkpoint.last.batch if checkpoint.last else 0
    # The row of an epoch stands in the log before its checkpoint does: a kill between them repeats the row, and loses none.
    track = trackers.Track(own, where.track if first else (), recipe.name, dataclasses.asdict(recipe))
    writers = [callbacks.Log(own / LOG, epoch), checkpoint, track]
    if checkpoint.last and batch == steps:
        _test(task, averages, replicas, writers, epoch, checkpoint.last.logs)
        epoch, batch = epoch + 1, 0
    while epoch < recipe.epochs:
        # The rest of an epoch that was left is a fit of its own, and its row in the log one of that rest.
        until = epoch + 1 if batch else recipe.epochs
        watch = learning.Throughput(recipe.batch * (steps - batch))
        checkpoint.before = batch
        stop = callbacks.StopOnSignal(checkpoint, batch, **distributed.asked_of(replicas, share))
        left = callbacks.LeaveTest(stop, distributed.tested_by_all(task.validation))
        guard = learning.TerminateOnNonFinite(checkpoint, getattr(task.batches, "sampler", None), batch, steps)
        with fed(task.batches, task.whole, epoch * steps + batch) as fetched, contextlib.ExitStack() as ending:
            ending.callback(stop.restore_handlers)
            ending.callback(track.close)
            interrupted.check()
            try:
                task.model.fit(
                    replicas.training(watch.watched(fetched)),
                    steps_per_epoch=steps - batch,
                    initial_epoch=epoch,
                    epochs=until,
                    validation_data=replicas.testing(task.validation),
                    callbacks=[callbacks.SameRandomNumbers(), watch, guard, *averaging, left, *writers, stop],
                    shuffle=False,
                    verbose=verbose,
                )
            except BaseException:
                if verbose:
                    print(flush=True)  # Keras leaves its line open
                raise
        epoch, batch = until, 0
    return averages, clock


def _test(task: Task, averages: Any, replicas: learning.Replicas, writers: list, epoch: int, logs: dict[str, float]) -> None:
    """The test behind an epoch in which the run was stopped, and then what is written of that epoch."""
    before = random_state()
    with averages.applied(task.model) if averages is not None else contextlib.nullcontext():
        found = task.model.evaluate(replicas.testing(task.validation), return_dict=True, verbose=0)
    set_random_state(*before)
    called = keras.callbacks.CallbackList(writers, model=task.model)
    called.on_train_begin()
    called.on_epoch_end(epoch, {**logs, **{f"val_{name}": value for name, value in found.items()}})
    called.on_train_end()
