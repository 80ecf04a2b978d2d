"""What is known of networks and their published weights without starting a backend."""

import csv
import dataclasses
import functools
import importlib.util
import pathlib
import sys
from collections.abc import Callable
from types import ModuleType


@dataclasses.dataclass(frozen=True)
class Network:
    """A line of `docs/models.md`.

    Args:
        name: one of `keras_resnet.list_models()`.
        task: `"classification"`, `"segmentation"` or `"diffusion"`.
        constructor: the function of `keras_resnet` that builds it.
        builder: the function of `keras_resnet.models` behind that.
        depth: convolutions and dense layers one after the other.
        params: trainable parameters, with as many classes as the paper has.
        gmacs: thousand million multiply-adds for one image.
        shape: of that image: depth, where it is a volume, height and width in pixels, and channels.
        paper: arXiv id.
    """

    name: str
    task: str
    constructor: str
    builder: str
    depth: int
    params: int
    gmacs: float
    shape: tuple[int, ...]
    paper: str


@functools.cache
def networks() -> dict[str, Network]:
    """All networks by name, task by task in the order of `keras_resnet.list_models()`."""
    with pathlib.Path(__file__).with_name("networks.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    read: dict[str, Callable] = {"depth": int, "params": int, "gmacs": float, "shape": lambda cell: tuple(map(int, cell.split("x")))}
    return {row["name"]: Network(**{name: read.get(name, str)(cell) for name, cell in row.items()}) for row in rows}


def tasks() -> list[str]:
    """What networks are for."""
    return list(dict.fromkeys(network.task for network in networks().values()))


@functools.cache
def catalogue() -> ModuleType:
    """The module `keras_resnet.weights.catalogue`, read from its file: its import by that name would import the library."""
    name = "keras_resnet.weights.catalogue"
    if name in sys.modules:
        return sys.modules[name]
    library = importlib.util.find_spec("keras_resnet")
    if library is None or not library.submodule_search_locations:
        raise ImportError("The package keras_resnet is not installed beside keras_resnet_cli: pip install keras-resnet-zoo.")
    path = pathlib.Path(library.submodule_search_locations[0], "weights", "catalogue.py")
    spec = importlib.util.spec_from_file_location("keras_resnet_cli.catalogue", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
