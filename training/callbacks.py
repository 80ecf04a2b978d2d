"""What the program does during `fit`: its table of epochs, and its end when it is asked to stop."""

import csv
import io
import pathlib
import signal
import threading
from collections.abc import Callable
from typing import Any, NoReturn

import keras

from keras_resnet.backend.random_state import random_state, set_random_state
from keras_resnet.learning import Checkpoint
from keras_resnet.weights.whole_files import written
from training.interrupted import Stopped


class Log(keras.callbacks.Callback):
    """Writes a row for each epoch into a CSV file, with the learning rate: whole each time, so that no crash tears it.

    Args:
        path: of the file. Rows of it up to `first` stay.
        first: epochs that were complete before.
    """

    def __init__(self, path: pathlib.Path, first: int = 0):
        super().__init__()
        self.path = path
        self.rows = [row for row in rows(path) if row["epoch"] <= first] if first else []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.rows.append({"epoch": epoch + 1, **numbers(self.model, logs)})
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "epoch": int(row["epoch"])} for row in self.rows)
        written(self.path, lambda place: pathlib.Path(place).write_text(text.getvalue(), encoding="utf-8"))


def numbers(model: keras.Model, logs: Any) -> dict[str, float]:
    """What is kept of an epoch: the logs, and the learning rate of its last step."""
    return {"learning_rate": _last_rate(model.optimizer), **{name: float(value) for name, value in (logs or {}).items()}}


def _last_rate(optimizer: keras.optimizers.Optimizer) -> float:
    """Of the optimizer's own a schedule gives the rate of the next step."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of one that scales the loss
    schedule, step = optimizer._learning_rate, keras.ops.maximum(optimizer.iterations - 1, 0)
    scheduled = isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule)
    return float(keras.ops.convert_to_numpy(schedule(step) if scheduled else optimizer.learning_rate))


def rows(path: pathlib.Path) -> list[dict[str, float]]:
    """The rows of a log, as numbers; none where there is no log.

    Raises:
        ValueError: if it is not as it was written.
    """
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            found = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
        if all("epoch" in row for row in found):
            return found
        reason: Any = "it has no epochs"
    except (ValueError, TypeError, csv.Error) as error:
        reason = error
    raise ValueError(f"{str(path)!r} is not as it was written ({reason}). Move it away: the run goes on with a new one.")


class SameRandomNumbers(keras.callbacks.Callback):
    """Puts the random numbers at the first batch back to where they stood when this was made, and behind a test to where it began.

    On PyTorch a loop over data draws one when it begins, and one over data to test on another at its end. A run that is resumed begins
    one more, a test that is left does not end, and dropout would go on differently.
    """

    def __init__(self) -> None:
        super().__init__()
        self._state: Any = random_state()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._put_back()

    def on_test_begin(self, logs: Any = None) -> None:
        self._state = random_state()

    def on_test_end(self, logs: Any = None) -> None:
        self._put_back()

    def _put_back(self) -> None:
        if self._state is not None:
            set_random_state(*self._state)
            self._state = None


class StopOnSignal(keras.callbacks.Callback):
    """At SIGTERM or SIGINT: waits for the batch to be complete, writes a checkpoint, and raises `Stopped`.

    Args:
        checkpoint: that writes it; it stands before this one among the callbacks.
        before: batches of the first epoch that were complete before this `fit`.
        agree: whether any of the processes that train together was asked, from whether this one was.
        every: batches between two times that they agree.
        share: what all of them do before a checkpoint is written.
        of_all: calls what each of them does, and raises on all of them if one failed. So none leaves before the checkpoint is there.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        before: int = 0,
        agree: Callable[[bool], bool] = bool,
        every: int = 1,
        share: Callable[[], object] = lambda: None,
        of_all: Callable[[Callable[[], object]], object] = lambda make: make(),
    ):
        super().__init__()
        self.agree, self.every, self.share, self.of_all = agree, every, share, of_all
        self.checkpoint, self.before, self.epoch, self.asked = checkpoint, before, 0, False
        self._handlers: dict[int, Any] = {}

    def ask(self, *_: Any) -> None:
        """Asks to stop behind this batch."""
        self.asked = True

    def on_train_begin(self, logs: Any = None) -> None:
        if threading.current_thread() is threading.main_thread():
            self._handlers = {one: signal.signal(one, self.ask) for one in (signal.SIGTERM, signal.SIGINT)}

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        # Not behind the batch before, as Keras would wait for the device each time for the sake of that.
        if batch % self.every == 0 and self.agree(self.asked):
            self.stop(batch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.before = 0
        if self.agree(self.asked):  # and the checkpoint is written, by a callback before this one
            self.restore_handlers()
            raise Stopped(f"Stopped behind epoch {epoch + 1}.")

    def on_train_end(self, logs: Any = None) -> None:
        self.restore_handlers()

    def stop(self, batch: int, logs: Any = None) -> NoReturn:
        """Writes a checkpoint behind so many batches of this `fit`'s epoch, with its logs if it is complete, and raises `Stopped`."""
        self.share()
        self.of_all(lambda: self.checkpoint.save(self.epoch, self.before + batch, logs))
        self.restore_handlers()
        raise Stopped(f"Stopped behind batch {self.before + batch} of epoch {self.epoch + 1}.")

    def restore_handlers(self) -> None:
        """As they were before."""
        for one, handler in self._handlers.items():
            signal.signal(one, handler)
        self._handlers = {}


class LeaveTest(keras.callbacks.Callback):
    """Where `stop` is asked during the test behind an epoch: ends that test, whose numbers nobody sees, and stops behind the last batch.

    At the end of any other epoch it shares what `stop` does.

    It stands behind what puts other weights into the model for the test, and before what writes logs or checkpoints of an epoch.

    Args:
        stop: the one that is asked.
        batches: to test on, of those that every process has.
    """

    def __init__(self, stop: StopOnSignal, batches: int):
        super().__init__()
        self.stop, self.batches, self.left = stop, batches, False

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        if not self.left and batch + 1 < self.batches and batch % self.stop.every == 0 and self.stop.agree(self.stop.asked):
            self.left = self.model.stop_evaluating = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.left:
            learnt = {name: value for name, value in (logs or {}).items() if not name.startswith("val_")}
            self.stop.stop((self.params or {})["steps"], learnt)
        self.stop.share()
