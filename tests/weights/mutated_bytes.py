"""Bytes spoilt without knowing what they mean: by a bad disk, a broken download, or somebody who tries."""

from collections.abc import Callable

import numpy as np

Mutation = Callable[[np.random.Generator, bytes, np.ndarray], bytes]
WORDS = (0, 1, 2, 3, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1)


def structure(content: bytes, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """The places of a file that hold no numbers: its headers, tables and names."""
    free = np.ones(len(content), bool)
    for array in arrays.values():
        start = content.find(array.tobytes()) if array.nbytes >= 16 else -1
        if start >= 0:
            free[start : start + array.nbytes] = False
    return np.flatnonzero(free)


def flipped(rng: np.random.Generator, content: bytes, places: np.ndarray) -> bytes:
    """1 to 64 bits."""
    spoilt = bytearray(content)
    for place in rng.choice(places, int(2 ** rng.uniform(0, 6))):
        spoilt[place] ^= 1 << int(rng.integers(8))
    return bytes(spoilt)


def overwritten(rng: np.random.Generator, content: bytes, places: np.ndarray) -> bytes:
    """1 to 256 bytes by noise, zeros or ones."""
    start, size = int(rng.choice(places)), int(2 ** rng.uniform(0, 8))
    size = min(size, len(content) - start)
    new = (rng.bytes(size), b"\0" * size, b"\xff" * size)[int(rng.integers(3))]
    return content[:start] + new + content[start + size :]


def word(rng: np.random.Generator, content: bytes, places: np.ndarray) -> bytes:
    """What may be a size, a place or a count: by one at the border of what fits."""
    width = int(rng.choice([2, 4, 8]))
    start = min(int(rng.choice(places)) & ~(width - 1), len(content) - width)
    old = int.from_bytes(content[start : start + width], "little")
    new = int(rng.choice(np.asarray(WORDS, "u8"))) if rng.random() < 0.6 else old + int(rng.integers(-9, 10))
    return content[:start] + (new % 2 ** (8 * width)).to_bytes(width, "little") + content[start + width :]


def truncated(rng: np.random.Generator, content: bytes, places: np.ndarray) -> bytes:
    return content[: int(rng.choice(places))]


def beheaded(rng: np.random.Generator, content: bytes, places: np.ndarray) -> bytes:
    return content[int(rng.integers(1, 4096)) :]


def inserted(rng: np.random.Generator, content: bytes, places: np.ndarray) -> bytes:
    start = int(rng.choice(places))
    return content[:start] + rng.bytes(int(2 ** rng.uniform(0, 10))) + content[start:]


def cut_out(rng: np.random.Generator, content: bytes, places: np.ndarray) -> bytes:
    start = int(rng.choice(places))
    return content[:start] + content[start + int(2 ** rng.uniform(0, 10)) :]


def swapped(rng: np.random.Generator, content: bytes, places: np.ndarray) -> bytes:
    """Two blocks, each in the place of the other."""
    size = int(2 ** rng.uniform(0, 10))
    one, other = sorted(min(int(place), len(content) - size) for place in rng.choice(places, 2))
    other = max(other, one + size)
    return content[:one] + content[other : other + size] + content[one + size : other] + content[one : one + size] + content[other + size :]


def repeated(rng: np.random.Generator, content: bytes, places: np.ndarray) -> bytes:
    """A block over another, or once more behind itself."""
    size, (source, target) = int(2 ** rng.uniform(0, 10)), (int(place) for place in rng.choice(places, 2))
    block = content[source : source + size]
    return content[:target] + block + content[target + (len(block) if rng.random() < 0.7 else 0) :]


def extended(rng: np.random.Generator, content: bytes, places: np.ndarray) -> bytes:
    return content + (rng.bytes(100), b"\0" * 4096, content)[int(rng.integers(3))]


ALL: tuple[Mutation, ...] = (flipped, overwritten, word, truncated, inserted, cut_out, swapped, repeated)
ANYWHERE: tuple[Mutation, ...] = (beheaded, extended)
