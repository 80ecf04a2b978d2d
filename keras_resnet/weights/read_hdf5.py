"""HDF5: Keras's `.weights.h5`, the one inside a `.keras` archive, and the `.h5` of keras.applications."""

import contextlib
import functools
import math
import pathlib
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import h5py
import ml_dtypes
import numpy as np

# The one order of HDF5's own filters in which the size of what deflate gives is the chunk's.
PACKING = (h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_FLETCHER32)
MOST_CHUNKS = 2**16

Found = tuple[tuple[int, ...], str, Callable[[], np.ndarray]]


def tensors(stack: contextlib.ExitStack, path: pathlib.Path, limit: int) -> dict[str, Found]:
    """Shape, type and reader of every dataset, by its path in the file, which stays open as long as `stack` does."""
    source: Any = path
    if path.name.lower().endswith(".keras"):
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo("model.weights.h5")
            if member.file_size > limit:
                raise ValueError(f"its weights unpack to {member.file_size:,} bytes, this model needs at most {limit:,}")
            with archive.open(member) as stream:
                source = BytesIO(stream.read(limit + 1))
    return _datasets(stack.enter_context(h5py.File(source, "r")))


def _datasets(file: Any) -> dict[str, Found]:
    found: dict[str, Found] = {}
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
            dtype = "bfloat16" if _is_narrow(item) else item.dtype.name if item.dtype.kind in "fiu" else str(item.dtype)
            shape = (0,) if item.shape is None else tuple(item.shape)
            found[key] = (
                shape,
                dtype if item.dtype.kind in "fiu" or _is_narrow(item) else f"no number, {dtype}",
                functools.partial(_checked, item, key),
            )

    walk(file, "", 0)
    return found


def _checked(dataset: Any, key: str) -> np.ndarray:
    _check_packing(dataset, key)
    return numbers_of(dataset)


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
