"""A checkpoint on disk: a folder with tensors and a page of JSON, there as a whole or not at all, and read only as it was written."""

import hashlib
import itertools
import json
import os
import pathlib
import re
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import safetensors.numpy

from keras_resnet.weights.whole_files import settle, staged

TENSORS, PAGE = "state.safetensors", "checkpoint.json"
FORMAT = 1
_NAME = re.compile(r"step_(\d{9,})(?:_(\d+))?")  # the second number of a second one at the same step
_KINDS = {"float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8"}
_KINDS |= {"uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8", "bool": "BOOL"}


class DamagedCheckpoint(ValueError):
    """A checkpoint that is not as it was written. `restore_checkpoint` takes the one before it."""


def name_of(step: int, number: int) -> str:
    """Of a checkpoint: `step_000000120`, and `step_000000120_1` of a second one at that step."""
    return f"step_{step:09d}" + (f"_{number}" if number else "")


def numbers(path: pathlib.Path) -> tuple[int, int]:
    """Of which step a checkpoint is, and its number among those of the step, from 0."""
    step, number = _NAME.fullmatch(path.name).groups()  # type: ignore[union-attr]
    return int(step), int(number or 0)


def listed(folder: pathlib.Path) -> list[pathlib.Path]:
    """The checkpoints of a folder, the newest first."""
    found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_dir()] if folder.is_dir() else []
    return sorted(found, key=numbers, reverse=True)


def write(folder: pathlib.Path, step: int, arrays: dict[str, np.ndarray], page: dict) -> pathlib.Path:
    """Writes `folder/step_000000120`, or `step_000000120_1` if that is there.

    Raises:
        OSError: if it cannot be written, as on a full disk; what is there stays as it is.
    """
    place = staged(folder)
    target = next(path for i in itertools.count() for path in [folder / name_of(step, i)] if not path.exists())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        place.mkdir()
        page = {**page, "format": FORMAT, "sha256": _written(place / TENSORS, lambda take: _tensors(arrays, take))}
        page = {**page, "digest": _digest(page)}
        _written(place / PAGE, lambda take: take(json.dumps(page, indent=1).encode()))
        settle(place)
        os.rename(place, target)
        settle(folder)
    except OSError as error:
        shutil.rmtree(place, ignore_errors=True)
        raise OSError(
            error.errno, f"A checkpoint could not be written ({error.strerror}); those that are there are as they were", os.fspath(target)
        ) from error
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return target


def page_of(path: pathlib.Path) -> dict:
    """The page of a checkpoint. Raises `DamagedCheckpoint` if it is not what was written."""
    try:
        page = json.loads((path / PAGE).read_text(encoding="utf-8"))
        digest = page.pop("digest")
    except (OSError, ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise DamagedCheckpoint(f"{path}: its {PAGE} cannot be read ({type(error).__name__}).") from error
    if digest != _digest(page):
        raise DamagedCheckpoint(f"{path}: its {PAGE} is not what was written.")
    if page.get("format") != FORMAT:
        raise ValueError(f"{path} is of the format {page.get('format')!r}, and this version reads {FORMAT}. Install the one that wrote it.")
    return page


def read(path: pathlib.Path) -> tuple[dict[str, np.ndarray], dict]:
    """Tensors and page of a checkpoint. Raises `DamagedCheckpoint` if either is not what was written."""
    page = page_of(path)
    try:
        with open(path / TENSORS, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != page["sha256"]:
            raise DamagedCheckpoint(f"{path}: its {TENSORS} is not what was written.")
        return safetensors.numpy.load_file(path / TENSORS), page
    except (OSError, KeyError, safetensors.SafetensorError) as error:
        raise DamagedCheckpoint(f"{path}: its {TENSORS} cannot be read ({type(error).__name__}).") from error


def set_aside(path: pathlib.Path) -> None:
    """Gives a damaged one a name under which it is no checkpoint any more."""
    names = (f"damaged_{path.name}" + (f"_{i}" if i else "") for i in itertools.count())
    path.rename(next(free for free in map(path.with_name, names) if not free.exists()))


def remove(path: pathlib.Path) -> None:
    """Removes a checkpoint: first its name, so that a half removed one is none."""
    place = staged(path.parent, kind="removing")
    os.rename(path, place)
    shutil.rmtree(place, ignore_errors=True)


def _tensors(arrays: dict[str, np.ndarray], take: Callable[[bytes], Any]) -> None:
    """The safetensors format, array by array: its own writer holds the whole file in memory, or maps it, which a full disk kills."""
    header, start = {}, 0
    for key, array in arrays.items():
        header[key] = {"dtype": _KINDS[array.dtype.name], "shape": list(array.shape), "data_offsets": [start, start + array.nbytes]}
        start += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    take(len(text).to_bytes(8, "little") + text)
    for array in arrays.values():
        take(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes())


def _written(path: pathlib.Path, write_to: Callable[[Callable[[bytes], Any]], Any]) -> str:
    """Writes a file down to the disk, and gives its digest."""
    digest = hashlib.sha256()
    with open(path, "xb") as file:

        def take(chunk: bytes) -> None:
            digest.update(chunk)
            file.write(chunk)

        write_to(take)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _digest(page: dict) -> str:
    return hashlib.sha256(json.dumps(page, sort_keys=True).encode()).hexdigest()
