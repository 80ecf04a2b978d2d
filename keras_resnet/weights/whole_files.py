"""Files that are there as a whole or not at all, whatever ends the process that writes them."""

import os
import pathlib
import secrets
import shutil
from collections.abc import Callable


def written(path: pathlib.Path, write: Callable[[str], object]) -> None:
    """`write` into a new file beside `path`, which is brought to the disk and then takes its place.

    Args:
        path: of the file; what is there stays until the new one is complete.
        write: takes the path of an empty file with the suffix of `path`, and fills it.

    Raises:
        OSError: as on a full disk; `path` is as it was then, and so at anything else that `write` raises.
    """
    place = staged(path.parent, path.suffix)
    try:
        os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666))  # with the permissions of any file that is made here
        write(os.fspath(place))
        with open(place, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(place, path)
        settle(path.parent)
    except OSError as error:
        place.unlink(missing_ok=True)
        reason = error.strerror or str(error)
        raise OSError(error.errno, f"It could not be written ({reason}); what was there is as it was", os.fspath(path)) from error
    except BaseException:
        place.unlink(missing_ok=True)
        raise


def staged(folder: pathlib.Path, suffix: str = "") -> pathlib.Path:
    """A name for what is being written in `folder`, which `swept` finds when its process is gone."""
    return folder / f".writing-{os.getpid()}-{secrets.token_hex(4)}{suffix}"


def settle(folder: pathlib.Path) -> None:
    """Brings the names in a folder down to the disk, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def swept(folder: pathlib.Path) -> None:
    """Removes what processes that were killed left behind: halves of what was being written or removed."""
    for path in folder.glob(".[wr]*ing-*-*"):
        process = path.name.split("-")[1]
        if process.isdigit() and int(process) != os.getpid() and not _alive(int(process)):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
