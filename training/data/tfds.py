"""Sets of tensorflow-datasets by name, and its ImageFolder. The package is imported when one is asked for, and not before."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import filelock
import numpy as np

from keras_resnet_cli.pictures import read_picture
from training.data.dataset import Dataset, Part, of_arrays
from training.data.picture_folders import check_classes, cut
from training.recipe import Recipe

MOST = 2**32  # bytes of a set that is held in memory
TEST = ("test", "validation", "val")


def dataset(name: str, recipe: Recipe, stop: bool = False) -> Dataset:
    """A set by its name, downloaded once, by TFDS: as arrays where its pictures are alike in size and few, else opened one by one.

    For the latter it has to be prepared as array_record, in which every picture can be got at by its number; a set that is downloaded here
    is. `TFDS_DATA_DIR` says where sets lie.

    Raises:
        ValueError: without TFDS, at a name that it does not have, and at a set without pictures and labels.
    """
    tfds = _imported(name)
    try:
        builder = _prepared(tfds, name)
        shape = tuple(builder.info.features["image"].shape)
        names = list(builder.info.features["label"].names)
        counts = {part: int(split.num_examples) for part, split in builder.info.splits.items()}
        whole = None not in shape and sum(counts.values()) * int(np.prod(shape)) <= MOST
        if whole:
            parts = tfds.as_numpy(builder.as_dataset(batch_size=-1))
    except Exception as error:  # TFDS raises all kinds: unknown names, no network, features of other shapes
        raise _refused(name, error) from error
    if not whole:
        return _streamed(builder, names, counts, recipe, stop, f"tfds:{name}")
    test = next((part for part in TEST if part in parts), None)
    found: dict[str, Any] = {}
    for part, source in (("train", "train"), ("test", test)):
        if source in parts:
            found |= {f"{part}_images": np.asarray(parts[source]["image"]), f"{part}_labels": np.asarray(parts[source]["label"])}
    return of_arrays(found, recipe.data, f"tfds:{name}", names)


def folder(path: str, recipe: Recipe, stop: bool = False) -> Dataset:
    """A folder `path/SPLIT/CLASS/*.jpg` as TFDS's ImageFolder reads it. Each file is read once for it; `--data PATH` reads none.

    Raises:
        ValueError: without TFDS, and at a folder that it cannot read.
    """
    tfds, where = _imported(path), f"tfds_folder:{path}"
    try:
        builder = tfds.folder_dataset.ImageFolder(path)
        names = list(builder.info.features["label"].names)
        test = next((part for part in TEST if part in builder.info.splits), None)
        if test is None or "train" not in builder.info.splits:
            raise ValueError(f"it must have the folders train and one of {', '.join(TEST)}; it has {sorted(builder.info.splits)}")
        decoders = {"image": tfds.decode.SkipDecoding()}
        files: list[list[str]] = []
        labels: list[np.ndarray] = []
        for part in ("train", test):
            rows = [(row["image/filename"], row["label"]) for row in tfds.as_numpy(builder.as_dataset(split=part, decoders=decoders))]
            rows = sorted((bytes(file).decode(), int(label)) for file, label in rows)
            files.append([file for file, _ in rows])
            labels.append(np.array([label for _, label in rows], "int32"))
    except Exception as error:
        raise _refused(path, error) from error
    check_classes(where, names, recipe.data)
    learnt, tested = cut(files[0], files[1], recipe.data, recipe.augmentation, recipe.seed, stop)
    return Dataset(Part(learnt, labels[0]), Part(tested, labels[1]), names)


def _prepared(tfds: Any, name: str) -> Any:
    """The builder of a set that is prepared: by this process, or by another on this machine, for which this one waits."""
    builder = tfds.builder(name)
    if builder.info.splits:
        return builder
    root = str(builder.data_path.parents[builder.info.full_name.count("/")])
    lock = filelock.FileLock(os.path.join(root, f".{builder.info.full_name.replace('/', '-')}.lock"))
    with contextlib.nullcontext() if "://" in root else _held(lock, name):
        builder = tfds.builder(name)  # which another may have prepared by now
        if not builder.info.splits:
            builder.download_and_prepare(file_format="array_record")
    return builder


@contextlib.contextmanager
def _held(lock: filelock.BaseFileLock, name: str) -> Iterator[None]:
    os.makedirs(os.path.dirname(lock.lock_file), exist_ok=True)
    try:
        lock.acquire(timeout=1)
    except filelock.Timeout:
        print(f"Waiting for another process that prepares {name!r}.", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


class _Numbered(Sequence):
    """Names of pictures that are no files."""

    def __init__(self, name: str, count: int):
        self.name, self.length = name, count

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < self.length:  # by which a loop over them ends
            raise IndexError(f"There are {self.length}. Received: {index}.")
        return f"{self.name}[{index}]"


class _Records:
    """Pictures of a source by their numbers; the label of each is known when it was opened."""

    def __init__(self, source: Any, names: Sequence[str], classes: int):
        self.source, self.names, self.classes = source, names, classes
        self.labels = np.full(len(source), -1, "int32")

    def __call__(self, index: int) -> Any:
        record = self.source[index]
        label = int(record["label"])
        if not 0 <= label < self.classes:
            raise ValueError(
                f"{self.names[index]} has the label {label}; those of {self.classes} classes are from 0 to {self.classes - 1}."
            )
        self.labels[index] = label
        return read_picture(self.names[index], io.BytesIO(record["image"]))


def _streamed(builder: Any, names: list[str], counts: dict[str, int], recipe: Recipe, stop: bool, where: str) -> Dataset:
    import tensorflow_datasets

    check_classes(where, names, recipe.data)
    test = next((part for part in TEST if counts.get(part)), None)
    if test is None or not counts.get("train"):
        raise ValueError(f"{where} must have the parts train and one of {', '.join(TEST)}. It has {sorted(counts)}.")
    records = []
    for part in ("train", test):
        try:
            source = builder.as_data_source(part, decoders={"image": tensorflow_datasets.decode.SkipDecoding()})
        except Exception as error:
            raise ValueError(
                f"{where} is prepared in a format without access by number ({_line(error)}). Prepare it anew, beside the other: "
                f"tfds.builder({builder.name!r}).download_and_prepare(file_format='array_record')."
            ) from error
        records.append(_Records(source, _Numbered(f"{where}/{part}", len(source)), len(names)))
    learnt, tested = cut(records[0].names, records[1].names, recipe.data, recipe.augmentation, recipe.seed, stop, (records[0], records[1]))
    return Dataset(Part(learnt, records[0].labels), Part(tested, records[1].labels), names)


def _imported(name: str) -> Any:
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise ValueError(
            f"The data set {name!r} comes by tensorflow-datasets, which is not installed: `pip install tensorflow-datasets tensorflow`; "
            f"or pass --data with a folder that holds it ({error})."
        ) from error
    return tensorflow_datasets


def _refused(name: str, error: Exception) -> ValueError:
    return ValueError(f"tensorflow-datasets cannot give {name!r} as pictures and labels ({_line(error)}).")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
