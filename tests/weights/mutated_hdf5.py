"""HDF5 files edited by HDF5 itself: links, other types, other ways to keep numbers, and what of that leads out of the file."""

import io
import zlib
from collections.abc import Callable

import h5py
import numpy as np

from tests.weights.mutated_tensors import hostile_names

Mutation = Callable[[np.random.Generator, bytes], bytes]
Edit = Callable[[np.random.Generator, h5py.File, str], object]
KINDS = ("f2", "f8", ">f4", ">f8", "i1", "i4", ">i8", "u1", "u8", "?", "c8", "S4", "V2", "V4", "f16", "bfloat")


def keys(file: h5py.File) -> list[str]:
    found: list[str] = []
    file.visititems(lambda key, item: found.append(key) if isinstance(item, h5py.Dataset) and item.size else None)
    return found


def edited(edit: Edit) -> Mutation:
    def mutate(rng: np.random.Generator, content: bytes) -> bytes:
        buffer = io.BytesIO(content)
        with h5py.File(buffer, "r+") as file:
            found = keys(file)
            edit(rng, file, found[int(rng.integers(len(found)))])
        return buffer.getvalue()

    mutate.__name__ = edit.__name__
    return mutate


def put(file: h5py.File, key: str, **settings) -> h5py.Dataset:
    value = file[key][()]
    del file[key]
    return file.create_dataset(key, **{"data": value, **settings})


def linked(rng: np.random.Generator, file: h5py.File, key: str) -> None:
    """A link in place of a tensor or a group: out of the file, to itself, to another, to nothing, around in a circle."""
    place = key.rsplit("/", int(rng.integers(1, 3)))[0] if rng.random() < 0.3 and "/" in key else key
    other = keys(file)[0]
    links = [h5py.ExternalLink("secret.h5", "numbers"), h5py.ExternalLink("../secret.h5", key), h5py.ExternalLink("model.h5", key)]
    links += [h5py.SoftLink(f"/{key}"), h5py.SoftLink(f"/{other}"), h5py.SoftLink("/nowhere"), h5py.SoftLink("/"), file["/"], file[other]]
    chosen = links[int(rng.integers(len(links)))]
    if rng.random() < 0.3:
        place = f"{place.rsplit('/', 1)[0]}/more"
    if place in file:
        del file[place]
    file[place] = chosen


def elsewhere(rng: np.random.Generator, file: h5py.File, key: str) -> None:
    """Numbers that lie in another file, by HDF5's two ways to say so."""
    shape = file[key].shape
    size = 4 * int(np.prod(shape))
    del file[key]
    kind = int(rng.integers(4))
    if kind == 0:
        file.create_dataset(key, shape, "f4", external=[("secret", 0, size)])
    elif kind == 1:
        file.create_dataset(key, shape, "f4", external=[("/dev/zero", 0, h5py.h5f.UNLIMITED)])
    else:
        layout = h5py.VirtualLayout(shape, "f4")
        layout[...] = h5py.VirtualSource("secret.h5" if kind == 2 else ".", "numbers", shape)
        file.create_virtual_dataset(key, layout)


def retyped(rng: np.random.Generator, file: h5py.File, key: str) -> None:
    kind = KINDS[int(rng.integers(len(KINDS)))]
    value = file[key][()]
    if kind == "bfloat":
        dataset = put(file, key, data=np.ascontiguousarray(value).view("u2")[..., ::2].copy().view("V2"))
        dataset.attrs["dtype"] = ("bfloat16", "bfloat17", np.zeros(1000), h5py.Empty("f4"))[int(rng.integers(4))]
    elif kind.startswith(("S", "V")):
        put(file, key, data=np.zeros(value.shape, kind))
    else:
        put(file, key, data=value.astype(kind))


def no_numbers(rng: np.random.Generator, file: h5py.File, key: str) -> None:
    """Strings, records, references, lists of any length, names of numbers, arrays in each place; or nothing."""
    shape = file[key].shape
    del file[key]
    kinds = [
        h5py.string_dtype(),
        h5py.vlen_dtype("f4"),
        h5py.ref_dtype,
        h5py.enum_dtype({"A": 1, "B": 2}, "i4"),
        np.dtype([("a", "f4"), ("b", "i4")]),
    ]
    chosen = int(rng.integers(len(kinds) + 4))
    if chosen < len(kinds):
        file.create_dataset(key, shape, kinds[chosen])
    elif chosen == len(kinds):
        file[key] = h5py.Empty("f4")
    elif chosen == len(kinds) + 1:
        file.create_group(key)
    elif chosen == len(kinds) + 2:
        file[key] = np.dtype("f4")
    else:
        h5py.h5d.create(file.id, b"array", h5py.h5t.array_create(h5py.h5t.IEEE_F32LE, shape), h5py.h5s.create(h5py.h5s.SCALAR))
        file.move("array", key)


def stored(rng: np.random.Generator, file: h5py.File, key: str) -> None:
    """In chunks, packed, checked, filled: mostly the same numbers in another form."""
    shape = file[key].shape
    forms: list[dict] = [
        dict(compression="gzip"),
        dict(compression="gzip", shuffle=True, fletcher32=True),
        dict(fletcher32=True),
        dict(compression="lzf"),
        dict(scaleoffset=3),
        dict(chunks=tuple(1 for _ in shape)),
        dict(maxshape=(None,) * len(shape), chunks=True),
        dict(maxshape=(None,) * len(shape), chunks=(2**22, *shape[1:])),
        dict(track_order=True),
        dict(fillvalue=np.nan, data=None, shape=shape, dtype="f4"),
        dict(fillvalue=0.25, data=None, shape=shape, dtype="f4"),
        dict(data=None, shape=shape, dtype="f4", chunks=shape, compression="gzip"),
    ]
    put(file, key, **forms[int(rng.integers(len(forms)))])


def bombs(rng: np.random.Generator, file: h5py.File, key: str) -> None:
    """Little in the file, much when read."""
    shape = file[key].shape
    kind = int(rng.integers(9))
    place = key if rng.random() < 0.5 else f"{key}_more"
    if place in file and kind not in (4, 5, 6, 8):
        del file[place]
    if kind == 0:
        file.create_dataset(place, (2**20, 2**20), "f4", chunks=(1024, 1024), compression="gzip")
    elif kind == 1:
        file.create_dataset(place, (2**30, 2**31), "f4")
    elif kind == 2:
        file.create_dataset(
            place, shape, "f4", maxshape=(None,) * len(shape), chunks=(2**29 // int(np.prod(shape[1:])), *shape[1:]), compression="gzip"
        )
    elif kind == 3:
        dataset = file.create_dataset(place, shape, "f4", chunks=shape, compression="gzip")
        dataset.id.write_direct_chunk((0,) * len(shape), zlib.compress(b"\0" * 50_000_000))
    elif kind == 4:
        file.create_group("/".join("a" * int(rng.choice([20, 40, 500]))))
    elif kind == 5:
        for i in range(3000):
            file.create_group(f"many/{i}")
    elif kind == 6:
        for i in range(200):
            file.attrs[f"remark{i}"] = "x" * 10_000
    elif kind == 7:
        dataset = file.create_dataset(place, shape, "f4", chunks=shape, compression="gzip")
        dataset.id.write_direct_chunk((0,) * len(shape), b"no deflate at all")
    else:
        file["again"] = file["/"]


def named(rng: np.random.Generator, file: h5py.File, key: str) -> None:
    names = [name for name in hostile_names(key.rsplit("/", 1)[-1]) if "\0" not in name and len(name) < 60_000]
    new = f"{key.rsplit('/', 1)[0]}/{names[int(rng.integers(len(names)))]}"
    value = file[key][()]
    if rng.random() < 0.5:
        del file[key]
    if new not in file:
        file.create_dataset(new, data=value)


def valued(rng: np.random.Generator, file: h5py.File, key: str) -> None:
    value = file[key][()].astype("f8" if rng.random() < 0.3 else "f4")
    if value.size:
        value.flat[int(rng.integers(value.size))] = float(rng.choice([np.nan, np.inf, -np.inf, -1.0, 3e38]))
    put(file, key, data=value)


def shaped(rng: np.random.Generator, file: h5py.File, key: str) -> None:
    value = file[key][()]
    forms = [
        value.T,
        value.reshape(-1),
        value[None],
        value[..., None],
        value[:0],
        np.float32(1),
        np.repeat(value, 2, 0),
        np.broadcast_to(value, (2,) * 20 + value.shape) if value.size < 4 else value[::-1],
    ]
    put(file, key, data=forms[int(rng.integers(len(forms)))])


def newer(rng: np.random.Generator, content: bytes) -> bytes:
    """The same in HDF5's newer structures, whose check sums are then spoilt, or not; or behind a block of the user's."""
    buffer, settings = io.BytesIO(), dict(libver="latest") if rng.random() < 0.8 else dict(userblock_size=512)
    with h5py.File(io.BytesIO(content), "r") as old, h5py.File(buffer, "w", **settings) as file:
        for name in old:
            old.copy(name, file)
    made = bytearray(buffer.getvalue())
    if rng.random() < 0.8:
        for place in rng.integers(4096, size=int(rng.integers(1, 6))):
            made[place] ^= 1 << int(rng.integers(8))
    return bytes(made)


def first_block(rng: np.random.Generator, content: bytes) -> bytes:
    """The superblock: versions, sizes of places, where the root and the end are."""
    place = int(rng.integers(8, 96))
    return content[:place] + bytes([int(rng.choice([0, 1, 2, 3, 4, 16, 127, 255]))]) + content[place + 1 :]


def headers(rng: np.random.Generator, content: bytes) -> bytes:
    """Near a node, a heap, a table: a byte that says how many, how long, or where."""
    marks = [b"TREE", b"SNOD", b"HEAP", b"\x01\x00\x01\x00", b"\x11\x20\x1f\x00"]
    found: list[int] = []
    for mark in marks:
        at = content.find(mark)
        while at >= 0:
            found.append(at)
            at = content.find(mark, at + 1)
    place = int(rng.choice(found)) + int(rng.integers(64))
    place = min(place, len(content) - 8)
    new = (b"\xff" * 8, b"\0" * 8, place.to_bytes(8, "little"), rng.bytes(8))[int(rng.integers(4))][: int(rng.integers(1, 9))]
    return content[:place] + new + content[place + len(new) :]


EDITS: tuple[Edit, ...] = (linked, linked, elsewhere, retyped, no_numbers, stored, bombs, bombs, named, valued, shaped)
ALL: tuple[Mutation, ...] = (*map(edited, EDITS), newer, newer, first_block, headers, headers, headers)
