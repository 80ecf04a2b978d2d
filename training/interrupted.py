"""What ends a run before its end: that it was asked to, also while it starts, and that another process of it is no more."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

_asked = False  # a library may swallow the exception that Ctrl-C is


class Stopped(Exception):
    """The run was asked to stop, and its checkpoint is written."""


class Lost(Exception):
    """Another process of the run is no more."""


@contextlib.contextmanager
def remembered() -> Iterator[None]:
    """Within it Ctrl-C raises `KeyboardInterrupt`, and `check` does so again."""
    global _asked
    _asked = False
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, _ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def check() -> None:
    """Raises `KeyboardInterrupt` if Ctrl-C was pressed, and the program goes on nevertheless."""
    if _asked:
        raise KeyboardInterrupt


def _ask(*_: Any) -> None:
    global _asked
    _asked = True
    raise KeyboardInterrupt
