"""The seven kinds of weights files that are spoilt: a good one of each, and all that is done to it."""

import contextlib
import dataclasses
import functools
import unittest.mock
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import keras_resnet
from keras_resnet.weights import load, peer_networks, rename
from tests.arrays import as_numpy
from tests.weights import (
    files,
    mutated_archives,
    mutated_bytes,
    mutated_hdf5,
    mutated_pickles,
    mutated_safetensors,
    mutated_tensors,
    packers,
)
from tests.weights.packers import Arrays

KINDS = ("safetensors", "pth", "pth before 1.6", "npz", "keras.applications h5", "weights.h5", "keras")
SUFFIXES = dict(zip(KINDS, (".safetensors", ".pth", ".pth", ".npz", ".h5", ".weights.h5", ".keras"), strict=True))


@dataclasses.dataclass
class Kind:
    """One kind of file.

    Args:
        name: one of `KINDS`.
        model: what such files are for.
        layout: which tensor is for which of its variables.
        content: a good file.
        arrays: what that holds.
        pack, unpack: arrays to a file, and a file to arrays.
        mutations: a seed's mutation is the one at that place, and so on in turn.
    """

    name: str
    model: keras.Model
    layout: rename.Layout
    content: bytes
    arrays: Arrays
    pack: Callable[[Arrays], bytes]
    unpack: Callable[[bytes], Arrays]
    mutations: list[tuple[str, Callable[[np.random.Generator], bytes]]] = dataclasses.field(default_factory=list)

    def mutated(self, seed: int) -> tuple[str, bytes]:
        """What was done to the file, and the file."""
        name, mutate = self.mutations[seed % len(self.mutations)]
        return name, mutate(np.random.default_rng([KINDS.index(self.name), seed]))

    def expected(self, content: bytes) -> list[np.ndarray]:
        """The numbers that a model must have with this file, variable by variable, as found without the library's readers."""
        found: Arrays = {}
        for key, array in self.unpack(content).items():
            spelled = self.layout.spelled(key)
            if spelled in found:
                raise ValueError(f"{spelled!r} is there twice")
            found[spelled] = array
        numbers = {id(slot.variable): slot.to_ours(np.asarray(found[key])) for key, slot in self.layout.slots.items()}
        return [numbers[id(variable)].astype("float32") for variable in self.model.weights]


def kind(name: str) -> Kind:
    """The kind of files of this name, with all its mutations."""
    model = files.filled(MODELS[name](), 2)
    layout = _layout(name, model)
    pack, unpack = packers.PACKERS[name](model)
    arrays = {key: np.array(slot.to_theirs(as_numpy(slot.variable)).reshape(slot.shape), order="C") for key, slot in layout.slots.items()}
    made = Kind(name, model, layout, pack(arrays), arrays, pack, unpack)
    made.mutations = _mutations(made)
    return made


def any_network_for_keras() -> contextlib.AbstractContextManager:
    """Within it the small network counts as one of keras.applications, whose smallest takes 30 MB: too much for files by the thousand."""
    return unittest.mock.patch.object(peer_networks, "difference", return_value="")


def _layout(name: str, model: keras.Model) -> rename.Layout:
    if name == "npz":
        return rename.bit_layout(model)
    if name == "keras.applications h5":
        with any_network_for_keras():
            return rename.keras_layout(model)
    if name in ("weights.h5", "keras"):
        return rename.own_layout(model, load.h5_variables(model), load.HEAD, load.NOT_WEIGHTS)
    return rename.torch_layout(model)


def _mutations(of: Kind) -> list[tuple[str, Callable[[np.random.Generator], bytes]]]:
    """Bytes, in the numbers too; bytes of the structure alone; tensors; and what only this kind of file has."""
    everywhere, structure = np.arange(len(of.content)), mutated_bytes.structure(of.content, of.arrays)
    found: list[tuple[str, Callable[[np.random.Generator], bytes]]] = []
    for change in (*mutated_bytes.ALL, *mutated_bytes.ANYWHERE):
        found.append((change.__name__, functools.partial(change, content=of.content, places=everywhere)))
    for change in (*mutated_bytes.ALL, *mutated_bytes.ALL):
        found.append((f"{change.__name__} in the structure", functools.partial(change, content=of.content, places=structure)))
    for tensors in mutated_tensors.ALL:
        found.append((f"tensors {tensors.__name__}", lambda rng, tensors=tensors: of.pack(tensors(rng, of.arrays))))
    for prefix, special in SPECIAL[of.name]:
        found.append((f"{prefix} {special.__name__}", functools.partial(special, content=of.content)))
    return found


def _inside(change: mutated_hdf5.Mutation) -> mutated_hdf5.Mutation:
    """A mutation of the HDF5 file in a `.keras` archive."""

    def mutate(rng: np.random.Generator, content: bytes) -> bytes:
        parts = mutated_archives.members(content)
        return mutated_archives.packed([(name, change(rng, inside) if name.endswith(".h5") else inside) for name, inside in parts])

    mutate.__name__ = change.__name__
    return mutate


_ZIP = [("archive", change) for change in mutated_archives.ALL]
_HDF5 = [("HDF5", change) for change in mutated_hdf5.ALL]
SPECIAL: dict[str, list[tuple[str, Any]]] = {
    "safetensors": [("header", change) for change in (*mutated_safetensors.ALL, *mutated_safetensors.ALL)],
    "pth": [*_ZIP, *(("pickle", change) for change in (*mutated_pickles.ARCHIVE, *mutated_pickles.ARCHIVE))],
    "pth before 1.6": [("pickle", change) for change in (*mutated_pickles.SEQUENCE, *mutated_pickles.SEQUENCE)],
    "npz": [*_ZIP, *[("array", mutated_archives.header)] * 12],
    "keras.applications h5": _HDF5,
    "weights.h5": _HDF5,
    "keras": [*_ZIP, *(("HDF5", _inside(change)) for change in mutated_hdf5.ALL)],
}


def _bit() -> keras.Model:
    settings = {**keras_resnet.zoo.ZOO["resnetv2_50x1_bit"].settings, "depths": (1, 1), "widths": (32, 32), "stem_width": 8}
    return keras_resnet.models.resnetv2(**settings, classes=5, input_shape=(32, 32, 3))


MODELS: dict[str, Callable[[], keras.Model]] = {
    **dict.fromkeys(KINDS, files.small),
    "npz": _bit,
    "keras.applications h5": lambda: files.small(strides_in="1x1", use_bias=True),
}
