"""What the program does during `fit`: its table of epochs, and its end when it is asked to stop."""

import csv
import io
import os
import pathlib
import signal
import threading
from collections.abc import Callable
from typing import Any

import keras

from keras_resnet.learning import Checkpoint


class Stopped(Exception):
    """The run was asked to stop, and its checkpoint is written."""


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
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self.rows.append({"epoch": epoch + 1, "learning_rate": rate, **{name: float(value) for name, value in (logs or {}).items()}})
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        staged = self.path.with_suffix(".part")
        staged.write_text(text.getvalue(), encoding="utf-8")
        os.replace(staged, self.path)


def rows(path: pathlib.Path) -> list[dict[str, float]]:
    """The rows of a log, as numbers; none where there is no log."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


class StopOnSignal(keras.callbacks.Callback):
    """At SIGTERM or SIGINT: waits for the batch to be complete, writes a checkpoint, and raises `Stopped`.

    Args:
        checkpoint: that writes it.
        before: batches of the first epoch that were complete before this `fit`.
        agree: whether any of the processes that train together was asked, from whether this one was.
    """

    def __init__(self, checkpoint: Checkpoint, before: int = 0, agree: Callable[[bool], bool] = bool):
        super().__init__()
        self.agree = agree
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

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.agree(self.asked):
            self.checkpoint.save(self.epoch, self.before + batch + 1)
            self.restore_handlers()
            raise Stopped(f"Stopped behind batch {self.before + batch + 1} of epoch {self.epoch + 1}.")

    def on_train_end(self, logs: Any = None) -> None:
        self.restore_handlers()

    def restore_handlers(self) -> None:
        """As they were before."""
        for one, handler in self._handlers.items():
            signal.signal(one, handler)
        self._handlers = {}
