"""How arrays become a weights file of each kind, and how such a file is read without the library."""

import collections
import contextlib
import io
import json
import pathlib
import pickle
import struct
import tempfile
import zipfile
from collections.abc import Callable
from typing import Any

import h5py
import keras
import ml_dtypes
import numpy as np
import safetensors.numpy

from tests.weights import files, mutated_archives, mutated_hdf5, mutated_pickles

Arrays = dict[str, np.ndarray]
TYPES = dict(
    F64="f8", F32="f4", F16="f2", BF16=ml_dtypes.bfloat16, I64="i8", I32="i4", I16="i2", I8="i1", U64="u8", U32="u4", U16="u2", U8="u1"
)


def _safetensors(model: keras.Model) -> tuple[Any, Any]:
    def unpack(content: bytes) -> Arrays:
        size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + size], object_pairs_hook=_once)
        data, found = content[8 + size :], {}
        header.pop("__metadata__", None)
        for key, entry in header.items():
            start, end = entry["data_offsets"]
            found[key] = np.frombuffer(data[start:end], TYPES[entry["dtype"]]).reshape(entry["shape"])
        return found

    return lambda arrays: safetensors.numpy.save({key: np.ascontiguousarray(array) for key, array in arrays.items()}), unpack


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a name is there twice")
    return dict(pairs)


def _pth(archive: bool) -> Callable[[keras.Model], tuple[Any, Any]]:
    def make(model: keras.Model) -> tuple[Any, Any]:
        import torch

        def pack(arrays: Arrays) -> bytes:
            buffer = io.BytesIO()
            tensors = collections.OrderedDict()
            for key, array in arrays.items():
                tensors[key] = torch.from_numpy(np.array(array, order="C"))
            torch.save(tensors, buffer, _use_new_zipfile_serialization=archive)
            return buffer.getvalue()

        return pack, _from_archive if archive else _from_sequence

    return make


class _Unpickler(pickle._Unpickler):  # type: ignore[name-defined]  # in Python, whose memo is a dictionary
    """Of PyTorch's files: tensors from storages that `storage` gives, without PyTorch."""

    storage: Callable[[str, str, int], np.ndarray]

    def find_class(self, module: str, name: str) -> Any:
        if module in ("torch", "torch.storage") and (name.endswith("Storage") or name.startswith("uint")):
            return name
        if module == "torch._utils" and name in ("_rebuild_tensor_v2", "_rebuild_tensor_v3"):
            return _rebuilt if name == "_rebuild_tensor_v2" else _rebuilt_as
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda array, *more: array
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        raise pickle.UnpicklingError(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> np.ndarray:
        _, name, key, _, count = pid[:5]
        return self.storage(name, key, count)


def _rebuilt(storage: np.ndarray, offset: int, shape: tuple, strides: tuple, *more: Any) -> np.ndarray:
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if offset < 0 or min((*shape, *strides, 0)) < 0 or (0 not in shape and last >= storage.size):
        raise ValueError("a tensor beyond its storage")
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, tuple(stride * storage.itemsize for stride in strides))


def _rebuilt_as(storage: np.ndarray, offset: int, shape: tuple, strides: tuple, requires_grad: bool, hooks: Any, dtype: str) -> np.ndarray:
    return _rebuilt(storage.view(dtype), offset, shape, strides)


STORAGES = dict(
    FloatStorage="f4", DoubleStorage="f8", HalfStorage="f2", LongStorage="i8", IntStorage="i4", ShortStorage="i2", CharStorage="i1"
)
STORAGES |= dict(ByteStorage="u1", BFloat16Storage=ml_dtypes.bfloat16, UntypedStorage="u1")


def _state(content: Any) -> Arrays:
    for nest in ("state_dict", "model", "ema"):
        content = content.get(nest, content)
    return dict(content)


def _from_archive(content: bytes) -> Arrays:
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        names = [info.filename for info in file.infolist()]
        folder = names[0].split("/")[0]
        order = "<"
        if f"{folder}/byteorder" in names:
            order = {b"little": "<", b"big": ">"}[_raw(file, f"{folder}/byteorder")]

        def storage(name: str, key: str, count: int) -> np.ndarray:
            raw, dtype = _raw(file, f"{folder}/data/{key}"), np.dtype(STORAGES[name]).newbyteorder(order)
            if len(raw) != count * dtype.itemsize:
                raise ValueError("a storage of another length than its record")
            return np.frombuffer(raw, dtype)

        unpickler = _Unpickler(io.BytesIO(_raw(file, f"{folder}/data.pkl")))
        unpickler.storage = storage
        return _state(unpickler.load())


def _raw(file: zipfile.ZipFile, name: str) -> bytes:
    """A member's bytes, whatever its check sum: PyTorch, which maps the file into memory, does not look at that."""
    with file.open(name) as member:
        member._expected_crc = None  # type: ignore[attr-defined]
        return member.read()


def _from_sequence(content: bytes) -> Arrays:
    parts = mutated_pickles.pickles(content)
    storages: dict[str, np.ndarray] = {}

    def storage(name: str, key: str, count: int) -> np.ndarray:
        return storages.setdefault(key, np.zeros(count, STORAGES[name]))

    unpickler = _Unpickler(io.BytesIO(parts[3]))
    unpickler.storage = storage
    state, at = _state(unpickler.load()), 0
    keys = pickle.loads(parts[4])
    if set(keys) != set(storages):
        raise ValueError("storages without numbers")
    for key in keys:
        count = struct.unpack("<q", parts[5][at : at + 8])[0]
        if count != storages[key].size:
            raise ValueError("a storage of another length")
        at += 8
        storages[key][...] = np.frombuffer(parts[5][at : at + storages[key].nbytes], storages[key].dtype)
        at += storages[key].nbytes
    return state


def _npz(model: keras.Model) -> tuple[Any, Any]:
    def pack(arrays: Arrays) -> bytes:
        parts = []
        for key, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.asarray(array), allow_pickle=False)
            parts.append((f"{key[:60_000]}.npy", buffer.getvalue()))
        return mutated_archives.packed(parts)

    def unpack(content: bytes) -> Arrays:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            parts = [(info.filename, file.read(info)) for info in file.infolist()]
        return _once(
            [(name.removesuffix(".npy"), np.lib.format.read_array(io.BytesIO(inside), allow_pickle=False)) for name, inside in parts]
        )

    return pack, unpack


def _datasets(content: bytes) -> Arrays:
    found: Arrays = {}

    def visit(group: Any, prefix: str) -> None:
        for name in group:
            item = group[name]
            if isinstance(item, h5py.Group):
                visit(item, f"{prefix}{name}/")
            elif item.size:
                narrow = item.dtype == "V2" and item.attrs.get("dtype") == "bfloat16"
                found[f"{prefix}{name}"] = item[()].view(ml_dtypes.bfloat16) if narrow else item[()]

    with tempfile.NamedTemporaryFile(suffix=".h5") as place:
        place.write(content)
        place.flush()
        with h5py.File(place.name, "r") as file:
            visit(file, "")
    return found


def _original_h5(model: keras.Model) -> tuple[Any, Any]:
    def pack(arrays: Arrays) -> bytes:
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            file.attrs["layer_names"] = sorted({key.split("/")[0].encode("utf-8", "surrogatepass")[:60] for key in arrays})
            for key, array in arrays.items():
                layer, _, leaf = key.rpartition("/")
                _put(file, f"{layer}/{layer}/{leaf}:0" if layer else leaf, array)
        return buffer.getvalue()

    return pack, _datasets


def _put(file: h5py.File, key: str, array: np.ndarray) -> None:
    """As HDF5 lets it be named: without a zero, no longer than it can, and not below another tensor."""
    key = key.replace("\0", "")[:60_000].strip("/")
    if key not in file:
        with contextlib.suppress(TypeError):
            file.create_dataset(key, data=array)


def _own_h5(model: keras.Model) -> tuple[Any, Any]:
    base = _saved(model, ".weights.h5")

    def pack(arrays: Arrays) -> bytes:
        return _changed(base, arrays)

    return pack, _datasets


def _own_archive(model: keras.Model) -> tuple[Any, Any]:
    parts = mutated_archives.members(_saved(model, ".keras"))

    def pack(arrays: Arrays) -> bytes:
        return mutated_archives.packed([(name, _changed(inside, arrays) if name.endswith(".h5") else inside) for name, inside in parts])

    def unpack(content: bytes) -> Arrays:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            return _datasets(file.read("model.weights.h5"))

    return pack, unpack


def _saved(model: keras.Model, suffix: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return files.write(model, pathlib.Path(folder) / f"model{suffix}").read_bytes()


def _changed(content: bytes, arrays: Arrays) -> bytes:
    """An HDF5 file with these datasets in place of its own."""
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        for key in mutated_hdf5.keys(file):
            if key not in arrays:
                del file[key]
        for key, array in arrays.items():
            if not isinstance(file.get(key), h5py.Dataset):
                _put(file, key, array)
            elif file[key].shape != array.shape or file[key].dtype != array.dtype or (file[key][()] != array).any():
                del file[key]
                _put(file, key, array)
    return buffer.getvalue()


PACKERS: dict[str, Callable[[keras.Model], tuple[Any, Any]]] = {
    "safetensors": _safetensors,
    "pth": _pth(archive=True),
    "pth before 1.6": _pth(archive=False),
    "npz": _npz,
    "keras.applications h5": _original_h5,
    "weights.h5": _own_h5,
    "keras": _own_archive,
}
