"""Where a run's curves go besides its log: TensorBoard, and Weights & Biases for who has an account. Both are imported when asked for."""

import contextlib
import importlib.util
import pathlib
import re
import secrets
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_resnet.weights.whole_files import written
from training.callbacks import numbers
from training.run_folder import TRACKERS

# Takes epochs that are complete, and their numbers by name.
Tracker = Callable[[int, dict[str, float]], None]
IDENTITY = re.compile("[0-9a-f]{16}")  # of a run


def check(names: Sequence[str]) -> None:
    """Raises `ValueError` unless these are trackers that are installed."""
    for name in names:
        if name not in TRACKERS:
            raise ValueError(f"A run is tracked by {' or '.join(map(repr, TRACKERS))}. Received: {name!r}.")
        if importlib.util.find_spec(name) is None:
            raise ValueError(f"--track {name} needs the package {name}, which is not installed: `pip install {name}`.")


class Track(keras.callbacks.Callback):
    """Passes the numbers of each epoch on to trackers: `Track(folder, ["tensorboard"], "fashion_resnet20", {"epochs": 7})`.

    TensorBoard's files are in `folder/tensorboard`, whose writer needs no TensorFlow. Weights & Biases gets a run of the folder's name in
    the project `keras_resnet`, which a resumed run goes on with; `WANDB_MODE=offline` keeps it in `folder/wandb`.

    Args:
        folder: of the run.
        names: of trackers, as `check` allows them.
        recipe: its name.
        config: plain values that the run is made of.
    """

    def __init__(self, folder: pathlib.Path, names: Sequence[str], recipe: str, config: dict[str, Any]):
        super().__init__()
        self.folder, self.names, self.recipe, self.config = folder, tuple(names), recipe, config
        self._open: list[tuple[Tracker, Callable[[], None]]] = []

    def on_train_begin(self, logs: Any = None) -> None:
        makers = {"tensorboard": self._tensorboard, "wandb": self._wandb}
        self._open = [makers[name]() for name in self.names]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        row = numbers(self.model, logs)
        for write, _ in self._open:
            write(epoch + 1, row)

    def on_train_end(self, logs: Any = None) -> None:
        self.close()

    def close(self) -> None:
        """Ends them, also of a training that raised."""
        for _, close in self._open:
            close()
        self._open = []

    def _tensorboard(self) -> tuple[Tracker, Callable[[], None]]:
        from tensorboard.summary import Writer

        writer = Writer(str(self.folder / "tensorboard"))

        def write(step: int, row: dict[str, float]) -> None:
            for name, value in row.items():
                # Its own way to show both curves in one picture.
                tag = f"{name.removeprefix('val_')}/test" if name.startswith("val_") else f"{name}/train"
                writer.add_scalar(tag, value, step)
            writer.flush()

        return write, writer.close

    def _wandb(self) -> tuple[Tracker, Callable[[], None]]:
        import wandb

        named = {"name": self.folder.resolve().name, "id": _identity(self.folder / "wandb_id")}
        settings = {**named, "group": self.recipe, "dir": str(self.folder), "config": self.config}
        made = wandb.init(project="keras_resnet", resume="allow", **settings)
        return (lambda step, row: made.log(row, step=step)), made.finish


def _identity(path: pathlib.Path) -> str:
    """What stands in this file, or a new one that is written there: names of folders come again, and then another run would go on."""
    with contextlib.suppress(OSError, ValueError):
        if IDENTITY.fullmatch(known := path.read_text(encoding="ascii")):
            return known
    drawn = secrets.token_hex(8)
    written(path, lambda place: pathlib.Path(place).write_text(drawn, encoding="ascii"))
    return drawn
