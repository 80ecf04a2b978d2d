"""Ctrl-C while the program starts: remembered, as a library may swallow the exception that it is."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

_asked = False


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
