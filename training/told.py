"""What the programs say of a run that ends before its end, and the code that they end with."""

import sys

from training import interrupted


def exit_code(error: BaseException, stopped: str) -> int | None:
    """Says what is wrong, and gives the code to end with; `None` of what is a mistake of the program's.

    Args:
        error: what ended the run.
        stopped: what to say of Ctrl-C.
    """
    if isinstance(error, KeyboardInterrupt):
        print(stopped, file=sys.stderr)
        return 130
    if isinstance(error, MemoryError):
        print(f"error: There is not enough memory ({error}). Take smaller pictures, batches or networks.", file=sys.stderr)
        return 1
    if isinstance(error, interrupted.Stopped):
        print(error, *error.__notes__, file=sys.stderr)
        return 143
    if isinstance(error, (ValueError, ImportError, FloatingPointError, OSError, interrupted.Lost)):
        print(f"error: {error}", file=sys.stderr)
        return 1
    return None
