"""Opens a file of weights: all shapes at once, numbers when asked for. No file makes it run code, or take more than it needs."""

import contextlib
import dataclasses
import functools
import json
import math
import os
import pathlib
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import safetensors

from keras_resnet.weights import read_hdf5, read_pickle
from keras_resnet.weights.shown import shown

SUFFIXES = (".safetensors", ".pth", ".pth.tar", ".pt", ".bin", ".th", ".npz", ".weights.h5", ".h5", ".keras")
PICKLES = (".pth", ".pth.tar", ".pt", ".bin", ".th")
# What a file may unpack to beyond 64 bytes a number (the state of any optimizer fits in those): names and chunks.
SPARE_BYTES = 64 * 2**20
MOST_HEADER = 2**24  # bytes, of 160,000 tensors; safetensors allows 100 MB, which would take 1 GB to look through


@dataclasses.dataclass(frozen=True)
class Tensor:
    """One tensor of an open file.

    Args:
        shape: its shape.
        dtype: the name of its type.
        read: gives its numbers, half-precision ones as float32.
    """

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], np.ndarray]

    @property
    def is_numbers(self) -> bool:
        return self.dtype.startswith(("float", "bfloat", "int", "uint"))


def suffix_of(path: pathlib.Path) -> str:
    """The suffix that says how to read the file. Raises where it is none of `SUFFIXES`."""
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix):
            return suffix
    raise ValueError(f"The weights file {str(path)!r} has an unknown suffix. Allowed: {', '.join(SUFFIXES)}.")


@contextlib.contextmanager
def opened(path: pathlib.Path, numbers: int) -> Iterator[dict[str, Tensor]]:
    """The tensors of a file, by key, as long as the block lasts.

    Args:
        path: the file.
        numbers: how many numbers the model has, which bounds what the file may unpack to.

    Raises:
        ValueError: if the file is damaged, refers to other files, or is larger inside than the model can need; also from `Tensor.read`.
    """
    suffix, limit = suffix_of(path), SPARE_BYTES + 64 * numbers
    with contextlib.ExitStack() as stack:
        with _damage_named(path):
            if suffix == ".safetensors":
                tensors = _safetensors(stack, path)
            elif suffix in PICKLES:
                tensors = {key: Tensor(*found) for key, found in read_pickle.tensors(path, limit).items()}
            elif suffix == ".npz":
                tensors = _npz(stack, path, limit)
            else:
                tensors = {key: Tensor(*found) for key, found in read_hdf5.tensors(stack, path, limit).items()}
        yield {key: dataclasses.replace(found, read=functools.partial(_read, path, found.read)) for key, found in tensors.items()}


def _read(path: pathlib.Path, read: Callable[[], np.ndarray]) -> np.ndarray:
    with _damage_named(path):
        array = read()
    return array.astype("float32") if array.dtype.name in ("bfloat16", "float16") else array


@contextlib.contextmanager
def _damage_named(path: pathlib.Path) -> Iterator[None]:
    """Whatever a reader raises at a damaged file, as one error that names the file."""
    try:
        yield
    except read_pickle.NotReadable as error:
        raise ValueError(f"The weights file {str(path)!r} is a pickle, and is not read here. {error}") from error
    except _ReplacedError as error:
        raise ValueError(f"The weights file {str(path)!r} was changed while it was read. Load it again once nobody writes it.") from error
    except Exception as error:  # the readers of three libraries: there is no list of what they raise
        said = shown(error.args[0] if isinstance(error, KeyError) and error.args else error, 300)
        raise ValueError(f"The weights file {str(path)!r} cannot be read: it is damaged or of another kind ({said}).") from error


def _safetensors(stack: contextlib.ExitStack, path: pathlib.Path) -> dict[str, Tensor]:
    identity = _identity(path)
    _check_header(path)
    mapped = stack.enter_context(_Mapped(path, identity))
    tensors = {}
    for key in mapped.file.keys():  # noqa: SIM118
        part = mapped.file.get_slice(key)
        kind = re.match(r"(BF|F|I|U)\d", str(part.get_dtype()))
        dtype = {"BF": "bfloat", "F": "float", "I": "int", "U": "uint"}[kind[1]] if kind else str(part.get_dtype())
        tensors[key] = Tensor(tuple(part.get_shape()), dtype, functools.partial(mapped.read, key))
    return tensors


def _check_header(path: pathlib.Path) -> None:
    """Raises where a name of the header is there twice: safetensors takes either, unseen. All else it checks itself."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > min(os.path.getsize(path), MOST_HEADER):
            raise ValueError(f"its header says to have {size:,} bytes")
        json.loads(file.read(size), object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen = dict(pairs)
    if len(seen) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{shown(next(name for name in names if names.count(name) > 1))!r} is in it twice")
    return seen


class _ReplacedError(Exception):
    """Another file has the name of the one that is being read."""


class _Mapped:
    """A file of safetensors, mapped anew after every `SPAN` bytes read: pages once read count as this process's until their map closes.

    The library opens by name alone, and whoever replaces the file in between would make one model of two.
    """

    SPAN = 4 * 2**20

    def __init__(self, path: pathlib.Path, identity: tuple[int, ...]):
        self.path, self.identity = path, identity
        self._open()

    def _open(self) -> None:
        self.count, self.file = 0, safetensors.safe_open(os.fspath(self.path), framework="numpy")
        if _identity(self.path) != self.identity:
            self.file.__exit__(None, None, None)
            raise _ReplacedError

    def __enter__(self) -> "_Mapped":
        return self

    def __exit__(self, *error: Any) -> None:
        self.file.__exit__(*error)

    def read(self, key: str) -> np.ndarray:
        array = self.file.get_tensor(key)
        self.count += array.nbytes
        if self.count > self.SPAN:  # now, before the array is laid out anew beside its pages
            self.file.__exit__(None, None, None)
            self._open()
        return array


def _identity(path: pathlib.Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _npz(stack: contextlib.ExitStack, path: pathlib.Path, limit: int) -> dict[str, Tensor]:
    """The arrays of NumPy's archive, whose headers are read and whose objects, pickles, are not."""
    archive = stack.enter_context(zipfile.ZipFile(path))
    tensors: dict[str, Tensor] = {}
    for info in archive.infolist():
        key = info.filename.removesuffix(".npy")
        if key in tensors:
            raise ValueError(f"{shown(key)!r} is in it twice")
        with archive.open(info) as member:
            version = np.lib.format.read_magic(member)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = header(member)
        size = math.prod(shape) * dtype.itemsize
        if size > limit or info.file_size > limit:
            raise ValueError(f"{shown(key)!r} unpacks to {max(size, info.file_size):,} bytes, this model needs at most {limit:,}")
        tensors[key] = Tensor(tuple(shape), dtype.name, functools.partial(_npy, archive, info))
    return tensors


def _npy(archive: Any, info: Any) -> np.ndarray:
    with archive.open(info) as member:
        array = np.lib.format.read_array(member, allow_pickle=False)
        if member.read(1):  # also the end, where the check sum is compared
            raise ValueError(f"{shown(info.filename)!r} goes on behind its array")
    return array
