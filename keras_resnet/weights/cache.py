"""The folder of downloaded weights: where it is, what names its files may have, and whether a file is the one wanted."""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import time
from typing import Any

NAME = r"[A-Za-z0-9][A-Za-z0-9._+@=-]{0,199}(?<!\.)"
WINDOWS_DEVICES = r"(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?"
DIGEST = r"sha256:[0-9a-f]{8,64}|md5:[0-9a-f]{32}"
STALE = 7 * 24 * 3600  # seconds after which nobody goes on with a part


def cache_folder() -> pathlib.Path:
    """The folder that keeps downloaded weights: $KERAS_RESNET_CACHE, else $KERAS_HOME/keras_resnet, else ~/.cache/keras_resnet.

    Output: an absolute path; nothing is made there yet.

    Raises:
        ValueError: if there is no home folder. There is no other place instead of it: what lies in a temporary folder, any user of the
            machine may have put there.
    """
    try:
        if own := os.environ.get("KERAS_RESNET_CACHE"):
            folder = pathlib.Path(own).expanduser()
        elif keras_home := os.environ.get("KERAS_HOME"):
            folder = pathlib.Path(keras_home).expanduser() / "keras_resnet"
        else:
            folder = pathlib.Path.home() / ".cache" / "keras_resnet"
        return pathlib.Path(os.path.abspath(folder))
    except RuntimeError as error:
        raise ValueError("There is no home folder to keep weights in. Set KERAS_RESNET_CACHE to a folder that only you write.") from error


def offline() -> bool:
    """Whether the environment forbids connections: KERAS_RESNET_OFFLINE or HF_HUB_OFFLINE is 1, true, yes or on."""
    return any(os.environ.get(name, "").lower() in ("1", "true", "yes", "on") for name in ("KERAS_RESNET_OFFLINE", "HF_HUB_OFFLINE"))


def is_name(name: Any) -> bool:
    """Whether this can be a file's name on every system, and leads nowhere."""
    return isinstance(name, str) and bool(re.fullmatch(NAME, name)) and not re.fullmatch(WINDOWS_DEVICES, name)


def check_name(name: Any) -> str:
    """The name itself. Raises `ValueError` where it cannot be that of a file in the cache."""
    if is_name(name):
        return name
    raise ValueError(
        "`name` (by default the last part of the URL) must be a file's name of at most 200 letters, digits and ._+@=-, starting with a "
        f"letter or digit, and no device of Windows. Received: {str(name)[:200]!r}."
    )


def is_there(path: pathlib.Path, url: str, digest: str) -> bool:
    """Whether the cached file is the one wanted. It is read for this once, and again where its size or time has changed since."""
    try:
        status = path.stat()
        known = _recorded(path)
        changed = (status.st_size, status.st_mtime_ns) != (known.get("size"), known.get("mtime_ns"))
        if not digest:
            # Nothing recorded: put there by hand. Another URL: another file of this name.
            good = path.is_file() and (
                not known or (known.get("url") == url and not (changed and not fits(path, f"sha256:{known['sha256']}")))
            )
        else:
            kind, _, wanted = digest.partition(":")
            remembered = not changed and str(known.get(kind, "")).startswith(wanted)
            good = path.is_file() and (remembered or fits(path, digest))
            changed = changed or not remembered
    except (OSError, KeyError):
        return False
    if good and changed:
        remember(path, url, digest)
    return good


def fits(path: pathlib.Path, digest: str) -> bool:
    """Whether the file is the one that the digest tells of; any is, where there is no digest."""
    kind, _, wanted = digest.partition(":")
    return not digest or sum_of(path, kind).startswith(wanted)


def sum_of(path: pathlib.Path, kind: str) -> str:
    """Hexadecimal digest of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()


def _recorded(path: pathlib.Path) -> dict[str, Any]:
    try:
        record = json.loads(path.with_name(f".{path.name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def remember(path: pathlib.Path, url: str, digest: str) -> None:
    """Notes what was checked. In a folder that cannot be written, it is checked each time."""
    with contextlib.suppress(OSError):
        status = path.stat()
        record = dict(url=url, size=status.st_size, mtime_ns=status.st_mtime_ns, sha256=sum_of(path, "sha256"))
        if digest.startswith("md5:"):
            record["md5"] = digest.removeprefix("md5:")
        path.with_name(f".{path.name}.json").write_text(json.dumps(record), encoding="utf-8")


def sweep(folder: pathlib.Path) -> None:
    """Removes parts with which nobody went on."""
    for path in folder.glob(".*.part*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > STALE:
                path.unlink()
