"""Tensors spoilt before they are written: names, shapes, types and numbers that no network has."""

from collections.abc import Callable

import numpy as np

Arrays = dict[str, np.ndarray]
Mutation = Callable[[np.random.Generator, Arrays], Arrays]


def hostile_names(key: str) -> list[str]:
    """Names that lead elsewhere, that hurt a terminal, or that nearly are `key`."""
    letters = [
        "../../escaped",
        "/etc/passwd",
        "C:\\x",
        "a\0b",
        "\x1b[31mred\x1b[2J",
        "a\r\nb",
        "x" * 100_000,
        "a/" * 40 + "b",
        "..",
        ".",
        "%s%n",
        " ",
    ]
    near = [
        f"{key}\u200b",
        key.replace("e", "e\u0301"),
        key.upper(),
        f"{key}:0",
        f" {key}",
        f"{key}/vars",
        f"module.{key}",
        f"_orig_mod.{key}",
    ]
    return [
        *letters,
        *near,
        "{0.__class__}",
        "__reduce__",
        "optimizer/vars/0",
        "nul",
        "\u202eskool",
        "\U0001f4a5",
        "denselayer1.norm.1." * 500,
    ]


def _one(rng: np.random.Generator, arrays: Arrays) -> str:
    return list(arrays)[int(rng.integers(len(arrays)))]


def renamed(rng: np.random.Generator, arrays: Arrays) -> Arrays:
    key = _one(rng, arrays)
    names = hostile_names(key)
    new = names[int(rng.integers(len(names)))]
    return {(new if name == key else name): array for name, array in arrays.items()}


def added(rng: np.random.Generator, arrays: Arrays) -> Arrays:
    """A second spelling of a tensor that is there, or one that nobody asked for."""
    key = _one(rng, arrays)
    names = hostile_names(key)
    return {**arrays, names[int(rng.integers(len(names)))]: arrays[key] + 1}


def exchanged(rng: np.random.Generator, arrays: Arrays) -> Arrays:
    one, other = _one(rng, arrays), _one(rng, arrays)
    return {**arrays, one: arrays[other], other: arrays[one]}


def dropped(rng: np.random.Generator, arrays: Arrays) -> Arrays:
    gone = {_one(rng, arrays) for _ in range(int(rng.integers(1, 4)))}
    return {key: array for key, array in arrays.items() if key not in gone}


def reshaped(rng: np.random.Generator, arrays: Arrays) -> Arrays:
    key = _one(rng, arrays)
    array = arrays[key]
    forms = [
        array.T,
        array.reshape(-1),
        array[None],
        array[..., None],
        array[:0],
        np.repeat(array, 2, 0),
        np.float32(1.5),
        array[..., None, None],
    ]
    return {**arrays, key: np.array(forms[int(rng.integers(len(forms)))], order="C")}


def retyped(rng: np.random.Generator, arrays: Arrays) -> Arrays:
    types = ("f2", "f8", "i1", "i4", "i8", "u1", "u2", "u8", "?", "c8")
    chosen = {_one(rng, arrays) for _ in range(int(rng.integers(1, 6)))}
    with np.errstate(invalid="ignore"):
        return {key: array.astype(str(rng.choice(types))) if key in chosen else array for key, array in arrays.items()}


def renumbered(rng: np.random.Generator, arrays: Arrays) -> Arrays:
    """One number that is none, or none that a variance can be."""
    key = _one(rng, arrays)
    wide = rng.random() < 0.3
    array = np.array(arrays[key], "float64" if wide else "float32")
    if array.size:
        array.flat[int(rng.integers(array.size))] = float(
            rng.choice([np.nan, np.inf, -np.inf, -1.0, -0.0, 3e38, 1e-45, 1e300 if wide else -3e38])
        )
    return {**arrays, key: array}


def crowded(rng: np.random.Generator, arrays: Arrays) -> Arrays:
    """A thousand tensors more, of no number or of one."""
    return {**arrays, **{f"more/{i}": np.zeros(int(rng.integers(2)), "f4") for i in range(1000)}}


ALL: tuple[Mutation, ...] = (renamed, renamed, added, exchanged, dropped, reshaped, retyped, renumbered, renumbered, crowded)
