"""Checkpoints of a training run: written so that a crash at any moment loses none, and resumed to the same numbers."""

import contextlib
import dataclasses
import math
import os
import pathlib
import queue
import warnings
from collections.abc import Mapping
from typing import Any

import keras

from keras_resnet.backend import replicas as known
from keras_resnet.layers.configured import check_choice, check_count, check_flag, check_place, is_count
from keras_resnet.learning import checkpoint_files as files
from keras_resnet.learning.built import check_built
from keras_resnet.learning.training_state import Part, gathered, scattered, step_of
from keras_resnet.weights.whole_files import swept


@dataclasses.dataclass(frozen=True)
class CheckpointRecord:
    """Which moment of a run a checkpoint is.

    Args:
        path: its folder.
        epoch: epochs that were complete: what `fit` takes as `initial_epoch`.
        batch: batches of the next one that were complete.
        step: steps of the optimizer, as `optimizer.iterations` counts them.
        logs: losses and metrics of that moment.
    """

    path: pathlib.Path
    epoch: int
    batch: int
    step: int
    logs: dict[str, float]


def save_checkpoint(
    folder: str | os.PathLike,
    model: keras.Model,
    epoch: int = 0,
    batch: int = 0,
    parts: Mapping[str, Part] | None = None,
    logs: Mapping[str, Any] | None = None,
) -> CheckpointRecord:
    """Writes all that a run is: `save_checkpoint("runs/mine", model, epoch=3)`.

    That is: weights and statistics, the optimizer with its place in the schedule, the states of dropout's seeds and of Python's, NumPy's
    and PyTorch's random numbers, and `parts`. A folder `step_000000120` holds `state.safetensors` and `checkpoint.json`, with digests of
    both; it is written beside, brought to the disk, and named when complete.

    Args:
        folder: of the run; it is made if it is not there.
        model: built, compiled or not.
        epoch: complete epochs, from 0.
        batch: complete batches of the next one, from 0.
        parts: what else goes on from where it was: things with `state()` and `set_state(state)`, such as `AveragedWeights`, `Sampler`.
        logs: losses and metrics to write down.

    Raises:
        ValueError: if weights or optimizer hold numbers that are not finite, or the model is not built.
        OSError: if it cannot be written; checkpoints that are there stay.
    """
    folder = _folder(folder)
    _check(model, parts)
    for name, value in (("epoch", epoch), ("batch", batch)):
        check_place(name, value)
    if not isinstance(logs, (Mapping, type(None))):
        raise ValueError(f"`logs` must be numbers by name, or None. Received: logs={logs!r}.")
    arrays, page = gathered(model, parts or {})
    step = step_of(model)
    written = {name: float(value) for name, value in (logs or {}).items() if math.isfinite(float(value))}
    page |= {"epoch": int(epoch), "batch": int(batch), "step": step, "logs": written}
    return _record(files.write(folder, step, arrays, page), page)


def restore_checkpoint(folder: str | os.PathLike, model: keras.Model, parts: Mapping[str, Part] | None = None) -> CheckpointRecord | None:
    """Sets a model, its optimizer and the random states to a checkpoint: `restore_checkpoint("runs/mine", model)`; `None` if there is none.

    Of a run's checkpoints it takes the last; a damaged one is passed over with a warning, and the one before it taken.

    Where training is deterministic it then goes on to the bits of an undisturbed run. A checkpoint of another backend is taken, too, with
    all but its random numbers alike. Within an epoch the data has to go on behind `batch`, too; and on PyTorch each loop over data takes
    one of its random numbers, so that dropout without a seed goes on differently there.

    Args:
        folder: of the run, or one checkpoint's.
        model: built and compiled as it was.
        parts: the same as it was saved with.

    Raises:
        ValueError: if it is of another model, optimizer or parts, if all are damaged, or the model is not built; nothing is changed.
    """
    _check(model, parts)
    found = _readable(_folder(folder))
    return None if found is None else _taken(model, parts or {}, *found)


def _readable(folder: pathlib.Path) -> tuple[pathlib.Path, dict, dict] | None:
    """The last checkpoint that is not damaged, or the one that the folder is, with what it holds."""
    found = [folder] if (folder / files.PAGE).is_file() else files.listed(folder)
    damaged = []
    for path in found:
        try:
            arrays, page = files.read(path)
        except files.DamagedCheckpoint as error:
            damaged.append(str(error))
            continue
        if damaged:
            warnings.warn(f"Passed over: {' '.join(damaged)} Taken: {path}.", stacklevel=3)
        return path, arrays, page
    if damaged:
        raise ValueError(f"All checkpoints are damaged. {' '.join(damaged)}")
    return None


def _taken(model: keras.Model, parts: Mapping[str, Part], path: pathlib.Path, arrays: dict, page: dict) -> CheckpointRecord:
    scattered(model, parts, arrays, page, str(path))
    return _record(path, page)


class Checkpoint(keras.callbacks.Callback):
    """Writes checkpoints during `fit`, and keeps the last ones and the best.

    ```python
    checkpoint = keras_resnet.learning.Checkpoint("runs/mine", monitor="val_accuracy")
    model.fit(x, y, epochs=100, initial_epoch=checkpoint.restore(model), callbacks=[checkpoint])
    ```

    Args:
        folder: of the run.
        every: `"epoch"`, or a number of batches; where Keras runs several at once, by `steps_per_execution`, behind those that reach it.
        keep: how many of the last ones stay, from 1.
        monitor: a name in the logs of epochs by which the best is kept besides, or `None`.
        mode: whether the `"min"` or the `"max"` of it is best; `"auto"` takes the least of losses and errors, else the greatest.
        parts: what else goes on from where it was; see `save_checkpoint`.
        write: whether this process writes; of several that train together one does, and all restore.

    Those within an epoch are written when the next batch is there and has not begun, so that Keras need not wait for the device behind
    each. `save(epoch)` writes one when a batch begins, or behind an epoch, from a callback that stands behind the parts. Where `fit`
    begins within an epoch, with what is left of it, `before` is to be set to the batches that were complete.

    Raises:
        ValueError: at an argument outside what is listed; from `restore`, if a checkpoint is of another model.
        OSError: if a checkpoint cannot be written; those that are there stay.
    """

    async_safe = True  # to Keras: `on_train_batch_end` may run beside the training

    def __init__(
        self,
        folder: str | os.PathLike,
        every: int | str = "epoch",
        keep: int = 3,
        monitor: str | None = None,
        mode: str = "auto",
        parts: Mapping[str, Part] | None = None,
        write: bool = True,
    ):
        super().__init__()
        check_flag("write", write)
        if every != "epoch" and not is_count(every):
            raise ValueError(f"`every` must be 'epoch' or a number of batches from 1. Received: every={every!r}.")
        check_count("keep", keep)
        check_choice("mode", mode, ("auto", "min", "max"))
        if monitor is not None and (not isinstance(monitor, str) or not monitor):
            raise ValueError(f"`monitor` must be a name in the logs, such as 'val_loss', or None. Received: monitor={monitor!r}.")
        _check_parts(parts)
        if mode == "auto":
            mode = "min" if monitor is None or "loss" in monitor or "error" in monitor else "max"
        self.folder, self.every, self.keep, self.monitor, self.mode = _folder(folder), every, int(keep), monitor, mode
        self.parts, self.write = dict(parts or {}), bool(write)
        self.epoch, self.before = 0, 0
        self._at_once = 1  # batches; kept, as on JAX a look at `self.model` puts its numbers in place, which is not for threads
        self.last: CheckpointRecord | None = None
        self._said: queue.SimpleQueue = queue.SimpleQueue()  # losses and metrics of a batch to write behind

    def restore(self, model: keras.Model) -> int:
        """Sets the model to the last checkpoint, if there is one, and gives the epoch to go on with.

        Processes that train together all call it, and all take the one that the first took.

        Raises:
            ValueError: if it is of another model, optimizer or parts, or cannot be read: on all processes, if on one. If the model is
                not built, also where there is no checkpoint yet.
        """
        return self._set(model, known.current.engine)

    def put_back(self, model: keras.Model) -> int:
        """As `restore`, but of this process alone, as before it ends."""
        return self._set(model, None)

    def _set(self, model: keras.Model, engine: Any) -> int:
        _check(model, self.parts)
        found = known.of_all(engine, lambda: self._newest(engine))
        if engine is not None:
            mine = "" if found is None else found[0].name
            first = known.gathered(engine, mine.encode())[0].decode()
            found = known.of_all(engine, lambda: found if mine == first else self._of_the_first(first))
        # All at once, as JAX has processes wait for each other here.
        self.last = None if found is None else _taken(model, self.parts, *found)
        for path in files.listed(self.folder) if self.write else ():
            if self.last is None or path == self.last.path:
                break
            files.set_aside(path)  # else it would count as one of the last
        return 0 if self.last is None else self.last.epoch

    def _newest(self, engine: Any) -> tuple[pathlib.Path, dict, dict] | None:
        """What this process can read, if it is to."""
        if self.write:
            swept(self.folder)
        return _readable(self.folder) if self.write or engine is None or engine.rank == 0 else None

    def _of_the_first(self, name: str) -> tuple[pathlib.Path, dict, dict] | None:
        """What the first process took."""
        if not name:
            return None
        path = self.folder / name
        found = _readable(path)
        if found is None:
            raise ValueError(f"{path} is not here, which the first process restored. All must see the folder of the run.")
        return found

    def save(self, epoch: int, batch: int = 0, logs: Mapping[str, Any] | None = None) -> CheckpointRecord | None:
        """Writes one now, if this process writes."""
        if not self.write:
            return None
        record = self.last = save_checkpoint(self.folder, self.model, epoch, batch, self.parts, logs)
        self._thin()
        return record

    def on_train_begin(self, logs: Any = None) -> None:
        self._at_once = self.model.steps_per_execution
        there = files.listed(self.folder) if self.write else []
        step = step_of(self.model)
        if there and files.numbers(there[0])[0] > step:
            raise ValueError(
                f"{str(self.folder)!r} holds {there[0].name}, and this model is at step {step}. "
                "Pass initial_epoch=checkpoint.restore(model) to go on with that run, or another folder for a new one."
            )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch, self._said = epoch, queue.SimpleQueue()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self.monitor is not None and self.monitor not in (logs or {}):
            raise ValueError(f"`monitor` names none of the logs {sorted(logs or {})}. Received: monitor={self.monitor!r}.")
        self.before = 0
        self._catch_up()
        self.save(epoch + 1, 0, logs)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        # Behind the last batch validation is still to come, whose end writes one.
        if self._due(batch + 1) and batch + 1 < ((self.params or {}).get("steps") or math.inf):
            self._said.put((batch + 1, {name: float(value) for name, value in (logs or {}).items()}))

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if not batch or not self._due(batch):
            return
        step_of(self.model)  # the batch before is over then, and what it gave about to be said
        complete, values = 0, {}
        with contextlib.suppress(queue.Empty):  # another callback is slow in that thread, or raised, which Keras tells later
            while complete < batch:
                complete, values = self._said.get(timeout=10)
        if math.isfinite(values.get("loss", 0.0)):  # of another a guard says more
            values.pop(self.monitor, None)
            self._catch_up(batch)
            self.save(self.epoch, self.before + batch, values)

    def _catch_up(self, before: int | None = None) -> None:
        """For averages that stand behind this one."""
        for part in self.parts.values():
            getattr(part, "catch_up", lambda _: None)(before)

    def _due(self, complete: int) -> bool:
        """Whether one is to be written behind that many batches of this `fit`'s epoch, of which the last were run at once."""
        if not self.write or self.every == "epoch":
            return False
        complete += self.before
        return complete // int(self.every) > (complete - self._at_once) // int(self.every)

    def _thin(self) -> None:
        found = files.listed(self.folder)
        best = self._best(found)
        for path in found[self.keep :]:
            if path != best:
                files.remove(path)

    def _best(self, found: list[pathlib.Path]) -> pathlib.Path | None:
        scores = {}
        for path in found if self.monitor is not None else []:
            try:
                logs = files.page_of(path)["logs"]
            except files.DamagedCheckpoint:
                continue
            if self.monitor in logs:
                scores[path] = logs[self.monitor]
        if not scores:
            return None
        return (min if self.mode == "min" else max)(scores, key=lambda path: scores[path])

    @property
    def best(self) -> pathlib.Path | None:
        """The folder of the best checkpoint by `monitor`."""
        return self._best(files.listed(self.folder))


def _check(model: Any, parts: Any) -> None:
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` must be a keras.Model. Received: {type(model).__name__}.")
    check_built(model)
    _check_parts(parts)


def _check_parts(parts: Any) -> None:
    named = isinstance(parts, Mapping) and all(isinstance(name, str) for name in parts)
    if parts is None or (named and all(hasattr(one, "state") and hasattr(one, "set_state") for one in parts.values())):
        return
    raise ValueError(f"`parts` must be things with `state()` and `set_state(state)` by name, or None. Received: parts={parts!r}.")


def _folder(folder: Any) -> pathlib.Path:
    if not isinstance(folder, (str, os.PathLike)) or not os.fspath(folder):
        raise ValueError(f"`folder` must be the path of a folder. Received: folder={folder!r}.")
    path = pathlib.Path(folder).expanduser()
    if path.exists() and not path.is_dir():
        raise ValueError(f"`folder` must be the path of a folder, and is that of a file. Received: folder={str(path)!r}.")
    return path


def _record(path: pathlib.Path, page: dict) -> CheckpointRecord:
    return CheckpointRecord(path, page["epoch"], page["batch"], page["step"], dict(page["logs"]))
