"""Files that are there as a whole or not at all, whatever ends the process that writes them."""

import contextlib
import functools
import hashlib
import os
import pathlib
import platform
import re
import secrets
import shutil
import time
from collections.abc import Callable

DAY = 86_400  # seconds
# What `staged` names: machine, process, and what no other has; before there was the machine, without it.
_STAGED = re.compile(r"\.(?:writing|removing)-(?:([0-9a-f]{12})-)?(\d+)-[0-9a-f]+(?:\..*)?")


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


def staged(folder: pathlib.Path, suffix: str = "", kind: str = "writing") -> pathlib.Path:
    """A name for what is being written in `folder`, or removed from it, which `swept` finds when its process is gone."""
    return folder / f".{kind}-{_machine()}-{os.getpid()}-{secrets.token_hex(4)}{suffix}"


def settle(folder: pathlib.Path) -> None:
    """Brings the names in a folder down to the disk, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def swept(folder: pathlib.Path) -> None:
    """Removes what processes that were killed left behind: halves of what was being written or removed.

    Of this machine those whose process is no more; of others, which may share the disk and of whose processes nothing is known here, what
    nobody has changed for a day.
    """
    for path in folder.glob(".[wr]*ing-*-*"):
        found = _STAGED.fullmatch(path.name)
        if found and not (_alive(int(found[2])) if found[1] == _machine() else _age(path) < DAY):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


@functools.cache
def _machine() -> str:
    """A name for what process numbers are of: this start of this machine, or this container on it."""
    facts = [platform.node()]
    for path, fact in (("/proc/sys/kernel/random/boot_id", pathlib.Path.read_text), ("/proc/self/ns/pid", os.readlink)):
        with contextlib.suppress(OSError):
            facts.append(str(fact(pathlib.Path(path))).strip())
    return hashlib.sha256(" ".join(facts).encode()).hexdigest()[:12]


def _age(path: pathlib.Path) -> float:
    """Seconds since it was last changed, or a file in it."""
    times = [time.time()]
    with contextlib.suppress(OSError):
        times = [one.lstat().st_mtime for one in (path, *path.glob("*"))]
    return time.time() - max(times)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
