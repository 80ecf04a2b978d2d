"""Zip archives and the headers inside them, spoilt by somebody who knows what each field means."""

import functools
import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable

import numpy as np

Mutation = Callable[[np.random.Generator, bytes], bytes]
Member = tuple[str, bytes]
# Signature, and place and size of each field behind it.
FIELDS = {
    b"PK\x03\x04": {4: 2, 6: 2, 8: 2, 14: 4, 18: 4, 22: 4, 26: 2, 28: 2},
    b"PK\x01\x02": {4: 2, 6: 2, 8: 2, 10: 2, 16: 4, 20: 4, 24: 4, 28: 2, 30: 2, 32: 2, 34: 2, 36: 2, 38: 4, 42: 4},
    b"PK\x05\x06": {4: 2, 6: 2, 8: 2, 10: 2, 12: 4, 16: 4, 20: 2},
}
BOMB = 200_000_000


def places(content: bytes, signature: bytes) -> list[int]:
    found, start = [], content.find(signature)
    while start >= 0:
        found.append(start)
        start = content.find(signature, start + 1)
    return found


def members(content: bytes) -> list[Member]:
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        return [(info.filename, file.read(info)) for info in file.infolist()]


def packed(parts: list[Member], method: int = zipfile.ZIP_STORED, attributes: int = 0) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is there twice
        for name, content in parts:
            info = zipfile.ZipInfo("placeholder")
            info.filename, info.compress_type, info.external_attr = name, method, attributes
            file.writestr(info, content)
    return buffer.getvalue()


@functools.cache
def bomb() -> bytes:
    """Zeros, a thousandth of their size, as a member that can stand in any archive."""
    press = zlib.compressobj(9, zlib.DEFLATED, -15)
    return press.compress(b"\0" * BOMB) + press.flush()


def field(rng: np.random.Generator, content: bytes) -> bytes:
    """One field of one header: a size, a check sum, a flag, a method, a place."""
    signature = list(FIELDS)[int(rng.integers(3))]
    start = int(rng.choice(places(content, signature)))
    offset = int(rng.choice(list(FIELDS[signature])))
    width = FIELDS[signature][offset]
    old = int.from_bytes(content[start + offset : start + offset + width], "little")
    new = (0, 1, 8, 9, 12, 14, 99, 2 ** (8 * width) - 1, 2 ** (8 * width - 1), old + 1, old - 1, old + 64, old ^ 1)[int(rng.integers(13))]
    return content[: start + offset] + (new % 2 ** (8 * width)).to_bytes(width, "little") + content[start + offset + width :]


def encrypted(rng: np.random.Generator, content: bytes) -> bytes:
    spoilt = bytearray(content)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        found = places(content, signature)
        spoilt[found[int(rng.integers(len(found)))] + offset] |= 1
    return bytes(spoilt)


def named(rng: np.random.Generator, content: bytes) -> bytes:
    """A member whose name leads out, or that is there twice, or another member beside it."""
    parts = members(content)
    at = int(rng.integers(len(parts)))
    name, inside = parts[at]
    names = [
        "../escaped",
        "/tmp/escaped",
        "C:\\escaped",
        "",
        "a/" * 200,
        "x" * 60_000,
        "e\u0301",
        f"{name}/",
        name,
        name.upper(),
        f"./{name}",
        f"../{name}",
    ]
    new = names[int(rng.integers(len(names)))]
    other = inside[:-4] + b"\0\0\x80?" if len(inside) > 200 else inside
    if rng.random() < 0.5:
        parts[at] = (new, inside)
    else:
        parts.insert(at + int(rng.integers(2)), (new, other))
    return packed(parts)


def linked(rng: np.random.Generator, content: bytes) -> bytes:
    """All members marked as symbolic links; or one that is a link in its content, too."""
    parts = members(content)
    if rng.random() < 0.5:
        at = int(rng.integers(len(parts)))
        parts[at] = (parts[at][0], b"../../etc/passwd")
    return packed(parts, attributes=0o120777 << 16)


def compressed(rng: np.random.Generator, content: bytes) -> bytes:
    """Packed, by a method that everybody knows or by another."""
    return packed(members(content), int(rng.choice([zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])))


def unpacking_to_much(rng: np.random.Generator, content: bytes) -> bytes:
    """A member of zeros in place of one, or beside them, that may lie about its size."""
    parts = members(content)
    at = int(rng.integers(len(parts)))
    name = parts[at][0] if rng.random() < 0.6 else "more"
    claimed = BOMB if rng.random() < 0.5 else int(rng.integers(1, 100_000))
    method = zipfile.ZIP_DEFLATED if rng.random() < 0.8 else zipfile.ZIP_STORED
    check, data = zlib.crc32(b""), bomb()
    whole = packed([part for part in parts if part[0] != name])
    count, start = int.from_bytes(whole[-12:-10], "little"), int.from_bytes(whole[-6:-2], "little")
    directory = whole[start:-22]
    claimed = claimed if method == zipfile.ZIP_DEFLATED else len(data)
    local = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, method, 0, 33, check, len(data), claimed, len(name), 0) + name.encode()
    entry = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, method, 0, 33, check, len(data), claimed, len(name), 0, 0, 0, 0, 0, start)
    body = whole[:start] + local + data
    directory += entry + name.encode()
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count + 1, count + 1, len(directory), len(body), 0)
    return body + directory + end


def overlapping(rng: np.random.Generator, content: bytes) -> bytes:
    """Entries of the directory that all lead to one member, so that its bytes count many times."""
    found = places(content, b"PK\x01\x02")
    spoilt = bytearray(content)
    chosen = rng.choice(found, max(2, len(found) // int(rng.integers(1, 4))))
    for place in chosen[1:]:
        spoilt[place + 42 : place + 46] = spoilt[chosen[0] + 42 : chosen[0] + 46]
        if rng.random() < 0.5:
            spoilt[place + 16 : place + 28] = spoilt[chosen[0] + 16 : chosen[0] + 28]
    return bytes(spoilt)


def nested(rng: np.random.Generator, content: bytes) -> bytes:
    """The archive as a member of another, in place of one of its own."""
    parts = members(content)
    at = int(rng.integers(len(parts)))
    parts[at] = (parts[at][0], content)
    return packed(parts)


def prefixed(rng: np.random.Generator, content: bytes) -> bytes:
    """As a program that unpacks itself; or with a remark behind; or with two directories."""
    return (rng.bytes(64) + content, content[:-2] + b"\x40\0" + rng.bytes(64), content + content[-22:])[int(rng.integers(3))]


def repacked(rng: np.random.Generator, content: bytes) -> bytes:
    """Inside one member, with all check sums right: bits flipped, bytes cut off or added."""
    parts = members(content)
    at = int(rng.integers(len(parts)))
    name, inside = parts[at][0], bytearray(parts[at][1])
    kind = int(rng.integers(4))
    if kind == 0 and inside:
        for place in rng.integers(len(inside), size=int(2 ** rng.uniform(0, 6))):
            inside[place] ^= 1 << int(rng.integers(8))
    parts[at] = (
        name,
        bytes(inside[: int(rng.integers(len(inside) + 1))] if kind == 1 else inside + rng.bytes(16) if kind == 2 else inside),
    )
    if kind == 3:
        del parts[at]
    return packed(parts)


ALL: tuple[Mutation, ...] = (
    field, field, encrypted, named, named, linked, compressed, unpacking_to_much, overlapping, nested, prefixed, repacked, repacked,
)  # fmt: skip


def header(rng: np.random.Generator, content: bytes) -> bytes:
    """The header of one array of an `.npz` archive: a Python dictionary in text, which no reader should run."""
    parts = members(content)
    at = int(rng.integers(len(parts)))
    name, inside = parts[at]
    size = int.from_bytes(inside[8:10], "little")
    text, data = inside[10 : 10 + size].decode("latin1"), inside[10 + size :]
    found = eval(text)
    shape, true = found["shape"], "True"
    texts = [
        repr({**found, "shape": (*shape[:-1], 2**62)}),
        repr({**found, "shape": (2**31, 2**31, 2**31, 2**31)}),
        repr({**found, "shape": tuple(-n for n in shape)}),
        repr({**found, "shape": (*shape, 1)}),
        repr({**found, "shape": (*shape, 0)}),
        repr({**found, "shape": shape[::-1]}),
        repr({**found, "shape": list(shape)}),
        repr({**found, "shape": tuple(float(n) for n in shape)}),
        repr({**found, "shape": (True,) * len(shape)}),
        repr({**found, "fortran_order": True}),
        repr({**found, "fortran_order": 1}),
        *(
            repr({**found, "descr": kind})
            for kind in (">f4", "<f2", "<f8", "|O", "O8", "|V4", "<i4", "<U1", "|S4", "<M8[s]", "<c8", "?", "<f16")
        ),
        repr({**found, "descr": [("a", "<f4")]}),
        repr({**found, "descr": [("a", "<f4", (2**40,))]}),
        repr({**found, "descr": "f4" * 1000}),
        repr({**found, "more": 1}),
        repr({"shape": shape}),
        "__import__('os').mkdir('escaped')",
        "{'shape': __import__('os').mkdir('escaped'), 'descr': '<f4', 'fortran_order': False}",
        f"{{'descr': '<f4', 'fortran_order': {true}, 'shape': {'(' * 3000}",
        "-" * 9000 + "1",
        "[" * 150 + "]" * 150,
        "9" * 9000,
        "{" + "1:2," * 2000 + "}",
        " " * 60_000,
        text.replace("(", "(\0"),
        "\xff" * 50,
    ]
    new = texts[int(rng.integers(len(texts)))].encode("latin1")
    version, width = ((b"\x01\0", 2), (b"\x02\0", 4), (b"\x03\0", 4), (b"\x09\x09", 2))[int(rng.choice([0, 0, 0, 0, 1, 2, 3]))]
    claimed = len(new) if rng.random() < 0.9 else int(rng.choice([0, 2**15, 2 ** (8 * width) - 1]))
    new_member = b"\x93NUMPY" + version + claimed.to_bytes(width, "little") + new + data
    if rng.random() < 0.1:
        objects = repr({**found, "descr": "|O"}).encode()
        new_member = b"\x93NUMPY" + version + len(objects).to_bytes(width, "little") + objects + b"cos\nmkdir\n(S'escaped'\ntR."
    parts[at] = (name, new_member)
    return packed(parts)
