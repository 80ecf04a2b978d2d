"""What a program writes: all of it at its end, or nothing; and the arguments that say how much of it there is."""

import argparse
import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def staged(out: pathlib.Path, names: Sequence[str]) -> Iterator[pathlib.Path]:
    """A folder beside the files `names` of the folder `out`, which takes their places at the end of the block.

    A run that fails leaves older files as they were. Ends the program where `out` cannot be written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        staging = tempfile.TemporaryDirectory(dir=out, prefix=f".{names[0].partition('.')[0]}-")
    except OSError as error:
        raise SystemExit(f"error: --out {str(out)!r} cannot be used as a folder to write to ({error.strerror}).") from error
    with staging as folder:
        for name in names:
            if (out / name).is_dir():
                raise SystemExit(f"error: {str(out / name)!r} is a folder, and a file of that name is to be written. Pass another --out.")
        yield pathlib.Path(folder)
        for name in names:
            os.replace(os.path.join(folder, name), out / name)


def count(text: str) -> int:
    """An argument that is a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1. Received: {text!r}")
    return int(text)
