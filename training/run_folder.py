"""A run's folder: what stands in its config.json, read before Keras is imported, since its backend is said there; and who writes there."""

import contextlib
import dataclasses
import json
import os
import pathlib
import shlex
from collections.abc import Iterator
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

CONFIG = "config.json"
BACKENDS = ("jax", "tensorflow", "torch")
TRACKERS = ("tensorboard", "wandb")  # what else a run is written to, see trackers.py
MOST = 2**20  # bytes: ours have some 2,000


@dataclasses.dataclass(frozen=True)
class Where:
    """What a run needs besides its recipe."""

    data: str | None = None  # --data
    stop_at_damaged: bool = False  # whether a picture that cannot be read ends the run
    keep: int = 2  # checkpoints, besides the best
    checkpoint_every: int | None = None  # batches; none: behind each epoch
    track: tuple[str, ...] = ()  # where the curves go besides log.csv; see `trackers`
    jit: bool | None = None  # whether the backend compiles the step; none: as Keras does, which is never on PyTorch


def resuming(folder: pathlib.Path) -> str:
    """What goes on with a run, as it is typed behind `python -m training`."""
    return f"resume {shlex.quote(str(folder))}"


def config(folder: pathlib.Path) -> dict[str, Any]:
    """The objects "recipe" and "where", and the name "backend". What is in the objects is not checked here.

    Raises:
        ValueError: if there is no run in the folder, or this was not written by one.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise ValueError(f"There is no run in {str(folder)!r}: it has no {CONFIG}.")
    try:
        with path.open("rb") as file:
            text = file.read(MOST + 1)
        if len(text) > MOST:
            raise ValueError(f"more than {MOST:,} bytes")
        found = json.loads(text)
        if not isinstance(found, dict) or not all(isinstance(found.get(name), dict) for name in ("recipe", "where")):
            raise ValueError("it lacks the objects recipe and where")
        if found.get("backend") not in BACKENDS:
            raise ValueError(f"its backend is {found.get('backend')!r}, and none of {', '.join(BACKENDS)}")
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"There is no run in {str(folder)!r}: its {CONFIG} cannot be read ({error}).") from error
    return found


@contextlib.contextmanager
def alone(folder: pathlib.Path) -> Iterator[None]:
    """Holds the folder of a run, which a killed process lets go. Where the system or the disk has no such locks it does nothing.

    Raises:
        ValueError: if another process holds it.
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise ValueError(f"Another process trains in {str(folder)!r}. Wait until it is done, or stop it.") from error
    except OSError:  # a network's disk without locks
        pass
    try:
        yield
    finally:
        os.close(handle)
