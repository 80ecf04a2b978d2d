"""Reads tensors out of files that nobody vouches for: no pickle, no code, no path but the file's own."""

import math
import os
import pathlib
import zipfile
import zlib
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import h5py
import ml_dtypes
import numpy as np
import safetensors

SUFFIXES = (".safetensors", ".weights.h5", ".keras")
# What the member of an archive may unpack to beyond 64 bytes a number (the state of any optimizer fits in those): names and chunks.
SPARE_BYTES = 64 * 2**20
# The one order of HDF5's own filters in which the size of what deflate gives is the chunk's.
PACKING = (h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_FLETCHER32)
MOST_CHUNKS = 2**16


def suffix_of(path: pathlib.Path) -> str:
    """The suffix that says how to read the file. Raises where it is none of `SUFFIXES`."""
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix):
            return suffix
    hint = ""
    if path.suffix.lower() in (".pth", ".pt", ".bin", ".th", ".ckpt", ".pkl"):
        hint = (
            " Such a file is a pickle, which can run code when it is opened, and is not read here. Where you trust it, convert it: "
            "safetensors.torch.save_file(torch.load(path, weights_only=True), 'model.safetensors')."
        )
    raise ValueError(f"The weights file {str(path)!r} has an unknown suffix. Allowed: {', '.join(SUFFIXES)}.{hint}")


def read_safetensors(path: pathlib.Path, expected: Mapping[str, tuple]) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file, half-precision floats as float32. Raises `ValueError` if it is damaged.

    Tensors whose key or shape is not `expected` are given as empty arrays of their shape, never read.
    """
    try:
        with safetensors.safe_open(os.fspath(path), framework="numpy") as file:
            shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
            return {
                key: _number_array(file.get_tensor(key)) if expected.get(key) == shape else np.broadcast_to(np.float32(0), shape)
                for key, shape in shapes.items()
            }
    except (safetensors.SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"The weights file {str(path)!r} cannot be read: it is damaged or no safetensors file ({error}).") from error


def _number_array(array: np.ndarray) -> np.ndarray:
    if array.dtype.name in ("bfloat16", "float16"):
        return array.astype("float32")
    return array


def read_h5(path: pathlib.Path, expected: Mapping[str, tuple]) -> dict[str, np.ndarray]:
    """The datasets of a Keras `.weights.h5` file, or of the one inside a `.keras` archive, by their path in it.

    Args:
        path: the file.
        expected: what the model would write: dataset path to shape. Other datasets, and what is not numbers, are given as empty
            arrays of their shape and type, never read.

    Raises:
        ValueError: if the file is damaged, links out of itself, or is larger inside than the model can need.
    """
    limit = SPARE_BYTES + sum(64 * int(np.prod(shape)) for shape in expected.values())
    try:
        if path.name.lower().endswith(".keras"):
            with zipfile.ZipFile(path) as archive:
                member = archive.getinfo("model.weights.h5")
                if member.file_size > limit:
                    raise ValueError(f"its weights unpack to {member.file_size:,} bytes, this model needs at most {limit:,}")
                with archive.open(member) as stream:
                    content = stream.read(limit + 1)
            with h5py.File(BytesIO(content), "r") as file:
                return _datasets(file, expected)
        with h5py.File(path, "r") as file:
            return _datasets(file, expected)
    except KeyError as error:
        raise ValueError(f"The weights file {str(path)!r} cannot be read: {error.args[0]}.") from error
    except (OSError, RuntimeError, ValueError, TypeError, NotImplementedError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"The weights file {str(path)!r} cannot be read: it is damaged or of another kind ({error}).") from error


def _datasets(file: Any, expected: Mapping[str, tuple]) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    seen: set[int] = set()

    def walk(group: Any, prefix: str, depth: int) -> None:
        if depth > 32:
            raise ValueError("its groups are nested too deeply")
        for name in group:
            key = f"{prefix}{name}"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{key!r} is a link, and links are not followed")
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                raise ValueError(f"{key!r} is a second name of what has another already")
            seen.add(address)
            if isinstance(item, h5py.Group):
                walk(item, f"{key}/", depth + 1)
                continue
            if not isinstance(item, h5py.Dataset) or item.external or item.is_virtual:
                raise ValueError(f"{key!r} keeps its numbers in another file, which is not opened")
            if math.prod(item.chunks or ()) > max(2 * (item.size or 0), 2**20):
                raise ValueError(f"{key!r} is stored in chunks larger than itself")
            if expected.get(key) == item.shape and (_is_narrow(item) or item.dtype.kind in "fiu"):
                _check_packing(item, key)
                arrays[key] = _number_array(numbers_of(item))
            else:
                kind = "float32" if _is_narrow(item) else item.dtype if item.dtype.itemsize <= 16 else object
                arrays[key] = np.broadcast_to(np.empty((), kind), (0,) if item.shape is None else item.shape)

    walk(file, "", 0)
    return arrays


def _check_packing(dataset: Any, key: str) -> None:
    """Raises where a compressed chunk would unpack to more than a chunk; HDF5 itself would go on unpacking."""
    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    if filters != [code for code in PACKING if code in filters]:
        raise ValueError(f"{key!r} is compressed in another way than by gzip alone")
    if h5py.h5z.FILTER_DEFLATE not in filters:
        return
    size = math.prod(dataset.chunks) * dataset.dtype.itemsize
    if dataset.id.get_num_chunks() > MOST_CHUNKS:
        raise ValueError(f"{key!r} is cut into more than {MOST_CHUNKS:,} chunks")
    chunks: list = []
    dataset.id.chunk_iter(chunks.append)
    for chunk in chunks:
        if chunk.filter_mask >> filters.index(h5py.h5z.FILTER_DEFLATE) & 1:
            continue  # stored as it is, because it would not get smaller
        _, packed = dataset.id.read_direct_chunk(chunk.chunk_offset)
        if len(zlib.decompressobj().decompress(packed, size + 1)) > size:
            raise ValueError(f"{key!r} has a chunk that unpacks to more than its {size:,} bytes")


def _is_narrow(dataset: Any) -> bool:
    """Whether these are bfloat16 numbers: Keras keeps them, which HDF5 does not know, as bytes with a remark."""
    return dataset.dtype == np.dtype("V2") and dataset.attrs.get("dtype") == "bfloat16"


def numbers_of(dataset: Any) -> np.ndarray:
    """The numbers of an HDF5 dataset of Keras's."""
    array = np.asarray(dataset[()])
    return array.view(ml_dtypes.bfloat16) if _is_narrow(dataset) else array
