"""The header of a safetensors file, spoilt in what it says: JSON of each tensor's type, shape and place."""

import json
from collections.abc import Callable

import numpy as np

from tests.weights.mutated_tensors import hostile_names

Mutation = Callable[[np.random.Generator, bytes], bytes]
TYPES = (
    "F64",
    "F32",
    "F16",
    "BF16",
    "I64",
    "I32",
    "I16",
    "I8",
    "U64",
    "U32",
    "U16",
    "U8",
    "BOOL",
    "F8_E4M3",
    "F8_E5M2",
    "F4",
    "C64",
    "O",
    "",
    "f32",
)
NUMBERS = (-1, 0, 1, 2**31, 2**32, 2**53, 2**63, 2**64, 2**64 - 1, 10**400, 1.5, 1e300, True, None, "1", [], [1])


def split(content: bytes) -> tuple[dict, bytes]:
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def joined(header: dict | str, data: bytes, claimed: int | None = None) -> bytes:
    text = (header if isinstance(header, str) else json.dumps(header)).encode("utf-8", "surrogatepass")
    text += b" " * (-len(text) % 8)
    return ((len(text) if claimed is None else claimed) % 2**64).to_bytes(8, "little") + text + data


def _chosen(rng: np.random.Generator, header: dict) -> tuple[str, dict]:
    keys = [key for key in header if key != "__metadata__"]
    key = keys[int(rng.integers(len(keys)))]
    return key, header[key]


def moved(rng: np.random.Generator, content: bytes) -> bytes:
    """A tensor's place: by a few bytes, onto another's, backwards, out of the file, or in numbers that are none."""
    header, data = split(content)
    _, entry = _chosen(rng, header)
    start, end = entry["data_offsets"]
    by = int(rng.choice([-8, -4, -1, 1, 4, 8]))
    other = _chosen(rng, header)[1]["data_offsets"]
    odd = NUMBERS[int(rng.integers(len(NUMBERS)))]
    forms = [
        [start + by, end + by],
        [start, end + by],
        [start + by, end],
        other,
        [end, start],
        [odd, end],
        [start, odd],
        [odd, odd],
        [start],
        [],
        odd,
    ]
    entry["data_offsets"] = forms[int(rng.integers(len(forms)))]
    return joined(header, data)


def retyped(rng: np.random.Generator, content: bytes) -> bytes:
    header, data = split(content)
    _, entry = _chosen(rng, header)
    entry["dtype"] = str(rng.choice(TYPES)) if rng.random() < 0.9 else NUMBERS[int(rng.integers(len(NUMBERS)))]
    return joined(header, data)


def reshaped(rng: np.random.Generator, content: bytes) -> bytes:
    header, data = split(content)
    _, entry = _chosen(rng, header)
    shape = entry["shape"]
    odd = NUMBERS[int(rng.integers(len(NUMBERS)))]
    forms = [
        shape[::-1],
        [*shape, 1],
        [1, *shape],
        [odd, *shape[1:]],
        [*shape, odd],
        [2**32, 2**32],
        [2**32, 2**32, 0],
        [0],
        [],
        [-n for n in shape],
        odd,
        [1] * 500,
    ]
    entry["shape"] = forms[int(rng.integers(len(forms)))]
    return joined(header, data)


def twice(rng: np.random.Generator, content: bytes) -> bytes:
    """One name for two tensors, as JSON allows: with another place, type or shape; or a second copy of an entry's field."""
    header, data = split(content)
    key, entry = _chosen(rng, header)
    other = _chosen(rng, header)[1]
    second = (entry, other, {**entry, "dtype": "I32"}, {**entry, "shape": entry["shape"][::-1]})[int(rng.integers(4))]
    text = json.dumps(header)
    if rng.random() < 0.3:
        first = json.dumps(entry)
        return joined(text.replace(first, first[:-1] + f', "data_offsets": {other["data_offsets"]}}}', 1), data)
    more = f"{json.dumps(key)}: {json.dumps(second)}"
    return joined(text[:-1] + f", {more}}}" if rng.random() < 0.5 else "{" + more + ", " + text[1:], data)


def named(rng: np.random.Generator, content: bytes) -> bytes:
    header, data = split(content)
    key, _ = _chosen(rng, header)
    names = [*hostile_names(key), "", "\ud800", "__metadata__", "\0"]
    new = names[int(rng.integers(len(names)))]
    return joined({(new if name == key else name): entry for name, entry in header.items()}, data)


def shared(rng: np.random.Generator, content: bytes) -> bytes:
    """A tensor more, whose numbers are another's; or one of none."""
    header, data = split(content)
    _, entry = _chosen(rng, header)
    start, end = entry["data_offsets"]
    forms = [entry, {**entry, "shape": [0], "data_offsets": [start, start]}, {**entry, "shape": [], "data_offsets": [end - 4, end]}]
    header["more"] = forms[int(rng.integers(3))]
    return joined(header, data)


def remarked(rng: np.random.Generator, content: bytes) -> bytes:
    header, data = split(content)
    remarks = (
        {"format": "pt"},
        {"a": 1},
        {"a": {"b": "c"}},
        [],
        "x",
        None,
        {"x" * 100_000: "y"},
        {str(i): "z" for i in range(10_000)},
        {"\x1b": "\0"},
    )
    header["__metadata__"] = remarks[int(rng.integers(len(remarks)))]
    return joined(header, data)


def claimed(rng: np.random.Generator, content: bytes) -> bytes:
    """The header's length."""
    header, data = split(content)
    size = int.from_bytes(content[:8], "little")
    sizes = (
        0,
        1,
        2,
        size - 8,
        size - 1,
        size + 1,
        size + 8,
        len(content),
        len(content) - 8,
        100_000_000,
        100_000_001,
        2**31,
        2**63,
        2**64 - 1,
        2**64 - 8,
    )
    return joined(header, data, sizes[int(rng.integers(len(sizes)))])


def other_json(rng: np.random.Generator, content: bytes) -> bytes:
    """Text that is no header, is no JSON, or would make a parser call itself too often."""
    header, data = split(content)
    text = json.dumps(header)
    key, entry = _chosen(rng, header)
    texts = [
        "[" * 100_000,
        '{"a":' * 100_000,
        "{}",
        "[]",
        "null",
        "",
        f"{text} x",
        text[:-1],
        text.replace(":", "="),
        text.replace('"', "'"),
        text.replace("}", ",}"),
        "\ufeff" + text,
        "  " + text,
        text + " " * 50_000,
        text.replace("F32", "F\\u0033\\u0032"),
        json.dumps({**header, key: {**entry, "more": 1}}),
        json.dumps({**header, key: {"dtype": "F32"}}),
        json.dumps({**header, key: [entry]}),
        "{" + ",".join(f'"{i}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}' for i in range(20_000)) + "}",
        "NaN",
        text.replace("0", "00", 3),
        text.replace(", ", ",/* */", 1),
    ]
    return joined(texts[int(rng.integers(len(texts)))], data)


ALL: tuple[Mutation, ...] = (moved, moved, retyped, reshaped, reshaped, twice, twice, named, shared, remarked, claimed, other_json)
