"""IDX files, in which MNIST and Fashion-MNIST come, packed or not."""

import gzip
import pathlib
import zlib

import numpy as np

FILES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
MOST = 2**31  # bytes of a file unpacked


def folder(path: pathlib.Path) -> dict[str, np.ndarray] | None:
    """The four arrays of a folder, or `None` if it has no such files.

    Raises:
        ValueError: if one of them is missing or damaged.
    """
    places = {
        name: next((path / (file + end) for end in (".gz", "") if (path / (file + end)).is_file()), None) for name, file in FILES.items()
    }
    if not any(places.values()):
        return None
    for name, place in places.items():
        if place is None:
            raise ValueError(f"{str(path)!r} lacks {FILES[name]} (or the same with .gz).")
    return {name: read(place) for name, place in places.items() if place is not None}


def read(path: pathlib.Path) -> np.ndarray:
    """An IDX file of bytes: two zeros, 8 for uint8, the number of axes, each one's length in four bytes, the numbers.

    Raises:
        ValueError: if it is another file, or torn.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            found = file.read(MOST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{str(path)!r} cannot be read ({error}).") from error
    if len(found) < 4 or found[:3] != b"\0\0\x08" or len(found) < 4 + 4 * found[3] or len(found) > MOST:
        raise ValueError(f"{str(path)!r} is no IDX file of bytes.")
    axes = found[3]
    shape = [int.from_bytes(found[4 + 4 * i : 8 + 4 * i], "big") for i in range(axes)]
    numbers = np.frombuffer(found, np.uint8, offset=4 + 4 * axes)
    if len(numbers) != np.prod(shape, dtype=object):
        raise ValueError(f"{str(path)!r} says that it has {shape} numbers, and has {len(numbers)}. Fetch it again.")
    return numbers.reshape(shape)
