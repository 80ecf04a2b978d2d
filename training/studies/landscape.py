"""Landscape: the loss around trained plain and residual networks, along filter-normalized random directions.

    python -m training.studies landscape --data digits
    python -m training.studies landscape --data cifar10 --depths 20 56 110 --epochs 164

Trains a plain and a residual network of each depth alike, draws two directions of normal numbers, brings each filter of them to the norm
of the network's own filter, and measures the training loss of some pictures on a grid along them, from -1 to 1. Biases and norms stay as
they are, and the statistics of batch norms, too. Writes landscape.png, the sections and the maps, and landscape.md.

Measured on digits (12 epochs, one seed, PyTorch): half a direction away from the trained network losses of 0.19 (plain-20), 0.13
(ResNet-20), 60 (plain-56, which had not trained: 1.6 in the middle) and 0.19 (ResNet-56): steep without shortcuts as
published, but not chaotic.

Source: Li et al. 2018, arXiv:1712.09913, sections 4 and 6: nearly convex around residual networks and shallow plain ones, and
chaotic around deep plain ones.
"""

import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from training.data.find import dataset
from training.studies import compared, table

PICTURES = 256  # whose mean loss is drawn
SIDE = 17  # points on each axis, odd: the middle is the trained network


def directions(network: keras.Model, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """For each kernel by its path normal numbers, each filter of which has the norm of the network's."""
    found = {}
    for variable in network.trainable_variables:
        if variable.path.endswith("kernel"):
            kernel = keras.ops.convert_to_numpy(variable.value)
            drawn = rng.normal(size=kernel.shape)
            axes = tuple(range(kernel.ndim - 1))
            norms = np.sqrt((drawn**2).sum(axes)) + 1e-10
            found[variable.path] = (drawn * np.sqrt((kernel**2).sum(axes)) / norms).astype("float32")
    return found


def losses(network: keras.Model, images: np.ndarray, labels: np.ndarray, one: dict, other: dict, at: np.ndarray) -> np.ndarray:
    """Mean loss at each place `(along one, along other)` of `at`; the network is as before then."""
    variables = [variable for variable in network.trainable_variables if variable.path in one]
    before = [keras.ops.convert_to_numpy(variable.value) for variable in variables]
    found = []
    try:
        for first, second in at:
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value + np.float32(first) * one[variable.path] + np.float32(second) * other[variable.path])
            found.append(_loss(network.predict(images, batch_size=len(images), verbose=0), labels))
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
    return np.array(found)


def study(
    folder: pathlib.Path, data: str = "digits", seeds: int = 1, epochs: int = 12, quick: bool = False, depths: Sequence[int] = (20, 56)
) -> dict[str, dict[str, float]]:
    """Trains, writes picture and table into the folder, and gives what is said of each landscape; the directions are of seed 0.

    Of several seeds the last one's networks are drawn, and the figures are means.

    Raises:
        ValueError: if the folder exists, at data that cannot be read, and at depths other than 6n + 2.
    """
    sizes = {depth: compared.basic_depths(depth) for depth in depths}
    compared.new(folder, data)
    side = 5 if quick else SIDE
    line = np.linspace(-1, 1, side)
    grid = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    maps: dict[str, np.ndarray] = {}
    summaries: dict[str, list[dict[str, float]]] = {}
    for depth, size in sizes.items():
        for kind, shortcut in (("plain", None), ("residual", "identity")):
            settings = {**(compared.TINY if quick else {"depths": size}), "shortcut": shortcut}
            made = functools.partial(compared.recipe, "resnet20", data, epochs=epochs, quick=quick, settings=settings)
            for seed in range(seeds):
                name, wanted = f"{kind}, {depth} layers", made(seed=seed)
                network, _ = compared.fit(wanted, data, folder / "runs" / f"{kind}{depth}-{seed}.csv")
                train = dataset(wanted, data).train
                chosen = np.sort(np.random.default_rng(0).permutation(len(train.labels))[:PICTURES])
                rng = np.random.default_rng(0)
                images = compared.prepared(wanted, train.images[chosen])
                one, other = directions(network, rng), directions(network, rng)
                maps[name] = losses(network, images, train.labels[chosen], one, other, grid).reshape(side, side)
                summaries.setdefault(name, []).append(summary(maps[name]))
                print(f"{name}, seed {seed}: loss {maps[name][side // 2, side // 2]:.4f}", flush=True)
    found = {name: {key: float(np.mean([one[key] for one in all_of])) for key in all_of[0]} for name, all_of in summaries.items()}
    _draw(folder / "landscape.png", line, maps)
    notes = [
        f"Measured: {data}, {epochs} epochs, {PICTURES} training pictures, {side} x {side} points, mean of {seeds} seeds. Flat: below a "
        "loss of 1. Not convex: points between neighbours, in rows and columns, that lie above their mean.",
        "Published (arXiv:1712.09913, in words): nearly convex around residual networks, chaotic around deep plain ones.",
    ]
    rows = [[name, *one.values()] for name, one in found.items()]
    print(table.write(folder / "landscape.md", "Loss landscapes", ["network", *next(iter(found.values()))], rows, notes))
    return found


def summary(values: np.ndarray) -> dict[str, float]:
    """What is said of a landscape with the trained network in its middle."""
    middle, half = len(values) // 2, len(values) // 4
    around = [values[middle - half, middle], values[middle + half, middle], values[middle, middle - half], values[middle, middle + half]]
    bent = np.concatenate([(one[:-2] + one[2:] - 2 * one[1:-1]).reshape(-1) for one in (values, values.T)])
    return {
        "loss in the middle": float(values[middle, middle]),
        "half a direction away": float(np.mean(around)),
        "flat (%)": float(100 * (values < 1).mean()),
        "not convex (%)": float(100 * (bent < -1e-3).mean()),
    }


def _loss(scores: np.ndarray, labels: np.ndarray) -> float:
    scores = scores.astype("float64") - scores.max(-1, keepdims=True)
    return float(np.mean(np.log(np.exp(scores).sum(-1)) - scores[np.arange(len(labels)), labels]))


def _draw(path: pathlib.Path, line: np.ndarray, maps: dict[str, np.ndarray]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(maps), 7.6), layout="constrained", facecolor="white")
    upper, lower = figure.subplots(2, len(maps), squeeze=False)
    middle, top = len(line) // 2, 30.0
    levels = np.geomspace(1e-2, top, 22)
    drawn: Any = None
    for above, below, (name, values) in zip(upper, lower, maps.items()):
        above.plot(line, np.clip(values[:, middle], 1e-4, None), color="#2166ac", label="first direction")
        above.plot(line, np.clip(values[middle], 1e-4, None), color="#e08214", label="second")
        above.set_yscale("log")
        above.set_ylim(1e-4, 1e3)
        above.grid(alpha=0.25)
        above.set_title(name, fontsize=11)
        drawn = below.contourf(line, line, np.clip(values.T, levels[0], top), levels=levels, norm="log", cmap="viridis")
        below.contour(line, line, np.clip(values.T, levels[0], top), levels=levels, norm="log", colors="white", linewidths=0.4)
        below.plot(0, 0, marker="+", color="#b2182b", markersize=10)
        below.set_aspect("equal")
        below.set_xlabel("first direction")
    upper[0].set_ylabel("training loss")
    upper[0].legend(frameon=False, fontsize=8)
    lower[0].set_ylabel("second direction")
    figure.colorbar(drawn, ax=lower.tolist(), shrink=0.8, label="training loss", format="%.2g")
    figure.savefig(path, dpi=100)
