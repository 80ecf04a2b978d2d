"""Weights files spoilt in one place, and what it means that one is refused."""

import contextlib
import io
import pathlib
import zipfile
from collections.abc import Callable, Iterator

import h5py
import numpy as np
import pytest
import safetensors.numpy

from keras_resnet.weights import load
from tests.arrays import assert_unchanged, values
from tests.weights import files

SUFFIXES = (".safetensors", ".weights.h5", ".keras")


@contextlib.contextmanager
def refused(model, path, *expected: str, error: type[Exception] = ValueError) -> Iterator[None]:
    """The load in the block fails with a message that names the file and each of `expected`; nothing changes."""
    before = values(model)
    content = path.read_bytes() if path.is_file() else None
    with pytest.raises(error) as raised:
        yield
    message = str(raised.value)
    for part in (str(path), *expected):
        assert part in message, f"{part!r} is not in: {message}"
    assert_unchanged(before, model)
    assert (path.read_bytes() if path.is_file() else None) == content
    print(message)  # shown by -s


def inside(content: bytes) -> bytes:
    """The HDF5 file in a `.keras` archive."""
    return zipfile.ZipFile(io.BytesIO(content)).read("model.weights.h5")


def archive(content: bytes, path: pathlib.Path, member: str = "model.weights.h5") -> pathlib.Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(member, content)
    return path


def edited_h5(content: bytes, suffix: str, path: pathlib.Path, edit: Callable[[h5py.File], object]) -> pathlib.Path:
    """A file of `suffix` at `path` with the HDF5 file edited."""
    buffer = io.BytesIO(inside(content) if suffix == ".keras" else content)
    with h5py.File(buffer, "r+") as file:
        edit(file)
    if suffix == ".keras":
        return archive(buffer.getvalue(), path)
    path.write_bytes(buffer.getvalue())
    return path


def replace(key: str, value: object, **settings) -> Callable[[h5py.File], object]:
    def edit(file: h5py.File) -> None:
        del file[key]
        file.create_dataset(key, data=value, **settings)

    return edit


def keys_of(suffix: str, model) -> dict[str, tuple]:
    if suffix == ".safetensors":
        return {key: value.shape for key, value in files.state_dict(model).items() if "num_batches" not in key}
    return {key: tuple(variable.shape) for key, variable in load.h5_variables(model).items()}


def changed(suffix: str, content: bytes, path: pathlib.Path, change: Callable[[dict[str, np.ndarray]], object]) -> pathlib.Path:
    """A file at `path` whose tensors, by key, were changed."""
    if suffix == ".safetensors":
        tensors = safetensors.numpy.load(content)
        change(tensors)
        safetensors.numpy.save_file(tensors, path)
        return path

    def edit(file: h5py.File) -> None:
        found: dict[str, np.ndarray] = {}
        file.visititems(lambda key, item: found.update({key: item[()]}) if isinstance(item, h5py.Dataset) else None)
        before = dict(found)
        change(found)
        for key in before:
            if key not in found or found[key] is not before[key]:
                del file[key]
        for key, value in found.items():
            if value is not before.get(key):
                file[key] = value

    return edited_h5(content, suffix, path, edit)
