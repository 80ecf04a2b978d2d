"""CIFAR's binary version: records of one byte a label (CIFAR-100: two, the second is the fine one) and 3,072 of a picture."""

import pathlib

import numpy as np

FILES = {
    10: ([f"data_batch_{i}.bin" for i in range(1, 6)], ["test_batch.bin"]),
    100: (["train.bin"], ["test.bin"]),
}


def folder(path: pathlib.Path) -> dict[str, np.ndarray] | None:
    """The four arrays of a folder, or `None` if it has no such files.

    Raises:
        ValueError: if one of them is missing or torn.
    """
    for classes, (train, test) in FILES.items():
        present = [name for name in train + test if (path / name).is_file()]
        if not present:
            continue
        missing = [name for name in train + test if name not in present]
        if missing:
            raise ValueError(f"{str(path)!r} lacks {', '.join(missing)}.")
        found = {}
        for part, names in (("train", train), ("test", test)):
            records = np.concatenate([_records(path / name, 2 if classes == 100 else 1) for name in names])
            found[f"{part}_labels"] = records[:, -3073].copy()
            found[f"{part}_images"] = np.ascontiguousarray(records[:, -3072:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        return found
    return None


def _records(path: pathlib.Path, labels: int) -> np.ndarray:
    numbers = np.fromfile(path, np.uint8)
    if not len(numbers) or len(numbers) % (3072 + labels):
        raise ValueError(f"{str(path)!r} has no whole number of records of {3072 + labels} bytes. Fetch it again.")
    return numbers.reshape(-1, 3072 + labels)
