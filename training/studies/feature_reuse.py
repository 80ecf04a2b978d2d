"""Feature reuse: which earlier layers the layers of a trained DenseNet weigh how much.

    python -m training.studies feature_reuse --data digits
    python -m training.studies feature_reuse --data cifar10 --depths 40 --epochs 300

Trains a DenseNet of three blocks without bottlenecks, k = 12, and draws for each block the mean absolute weight between each layer and
what it reads: the block's input and the layers before. The last column is what closes the block: the transition, or the classifier. Writes
feature_reuse.png and feature_reuse.md.

Weights tell what is used once decay has taken what is not. So decay times steps is the paper's, but for a decay of 0.01 at most: on digits,
at the paper's 1e-4 and 20 epochs, the ratios below were 0.97 to 1.01 but for the least, as of random weights.

Measured on digits (22 layers, 20 epochs, decay 0.01, one seed, PyTorch): layers and transitions spread their weights, the least being
about 0.6 of the average; the classifier leaves out its block's input, 0.26; closing layers lean to the last half (1.1, 1.3 and 1.4
times the first). The input of the second and third block is not weighed least: 1.0 and 1.3 of the average, unlike what was published.

Source: Huang et al. 2016, arXiv:1608.06993, section 5 and figure 5, of a DenseNet of 40 layers on CIFAR-10 with augmentation: all layers
spread their weights over many inputs; so do transitions; layers of the second and third block weigh the transition's output least; the
classifier leans to the last layers.
"""

import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from training.data.find import dataset
from training.recipe import Recipe
from training.studies import compared, table

GROWTH = 12
PAPERS_STEPS, PAPERS_DECAY = 300 * 50_000 // 64, 1e-4
MOST_DECAY = 1e-2


def weights(network: keras.Model) -> dict[str, np.ndarray]:
    """For each block a matrix `[source, layer]` of mean absolute weights: sources are the block's input and its layers in order, layers
    the block's and behind them what closes it. Where a layer does not read a source there is NaN.
    """
    layers = {layer.name: layer for layer in network.layers}
    found = {}
    for name in [name for name in layers if name.startswith("stage")]:
        block, number = layers[name], int(name.removeprefix("stage"))
        readers = [_kernel(block, f"layer{i}/conv1/kernel") for i in range(1, block.num_layers + 1)]
        after = layers.get(f"transition{number}")
        readers.append(_kernel(layers["head"], "kernel")[None, None] if after is None else _kernel(after, "conv/kernel"))
        entering = readers[0].shape[-2]
        starts = [0, *range(entering, entering + block.num_layers * block.growth_rate, block.growth_rate)]
        matrix = np.full((len(starts), len(readers)), np.nan)
        for column, kernel in enumerate(readers):
            channels = np.abs(kernel).mean((0, 1, 3))
            for source, start in enumerate(starts[: column + 1] if column < block.num_layers else starts):
                matrix[source, column] = channels[start : start + (entering if source == 0 else block.growth_rate)].mean()
        found[name] = matrix
    return found


def study(
    folder: pathlib.Path, data: str = "digits", seeds: int = 1, epochs: int = 20, quick: bool = False, depths: Sequence[int] = (22,)
) -> dict[str, dict[str, float]]:
    """Trains, writes picture and table into the folder, and gives what is said of each block; matrices are means over seeds.

    Raises:
        ValueError: if the folder exists, at data that cannot be read, and at a depth other than 3n + 4.
    """
    depth = depths[0]
    if len(depths) > 1 or depth < 7 or (depth - 4) % 3:
        raise ValueError(f"One DenseNet of 3n + 4 layers is trained, such as 22 or 40. Received: --depths {' '.join(map(str, depths))}.")
    compared.new(folder, data)
    layers = ((2 if quick else (depth - 4) // 3),) * 3
    made = functools.partial(compared.recipe, "densenet40_k12", data, epochs=epochs, quick=quick, settings={"depths": layers})
    decay = _decay(made(seed=0), data)
    made = functools.partial(made, decay=decay)
    seen: list[dict[str, np.ndarray]] = []
    errors = []
    for seed in range(seeds):
        model, rows = compared.fit(made(seed=seed), data, folder / "runs" / f"densenet{depth}-{seed}.csv")
        seen.append(weights(model))
        errors.append(100 * (1 - rows[-1]["val_accuracy"]))
    matrices = {name: np.mean([one[name] for one in seen], axis=0) for name in seen[0]}
    found = {name: summary(matrix) for name, matrix in matrices.items()}
    _draw(folder / "feature_reuse.png", matrices)
    notes = [
        f"Measured: DenseNet-{depth}, k = {GROWTH}, {data}, {epochs} epochs, weight decay {decay:.2g}, mean of {seeds} seeds, test error "
        f"{np.mean(errors):.2f} %. A ratio of 1: weighed as the average source, as random weights are but for noise.",
        "Published (arXiv:1608.06993, figure 5, in words): weights are spread over all sources; the input of blocks 2 and 3 is weighed "
        "least; the classifier leans to the last layers.",
    ]
    names = ["block", *next(iter(found.values()))]
    print(table.write(folder / "feature_reuse.md", "Feature reuse", names, [[name, *one.values()] for name, one in found.items()], notes))
    return found


def summary(matrix: np.ndarray) -> dict[str, float]:
    """Ratios of mean absolute weights, what the paper's observations are about; NaN where there is nothing to compare."""
    inner = matrix[:, :-1]
    # Of each reader, over its average source; all NaN if the training diverged.
    shares = np.stack([column / _mean(column) for column in matrix.T], axis=1)
    half = len(matrix) // 2
    early = [shares[source, column] for column in range(inner.shape[1]) for source in range(1, column + 1) if source <= column // 2]
    return {
        "block's input / average": _mean(shares[0, 1:-1]),
        "layers far before / average": _mean(np.array(early)),
        "least / average": float(np.fmin.reduce(shares[:, 1:], axis=None)),
        "closing: last half / first half": float(matrix[-half:, -1].mean() / matrix[:half, -1].mean()),
    }


def _mean(values: np.ndarray) -> float:
    """Of those that are numbers; NaN where none is."""
    numbers = values[~np.isnan(values)]
    return float(numbers.mean()) if len(numbers) else float("nan")


def _decay(wanted: Recipe, data: str) -> float:
    """Weight decay that over the steps of this training is what the paper's was over its own."""
    steps = wanted.epochs * max(1, len(dataset(wanted, data).train.labels) // wanted.batch)
    return min(MOST_DECAY, PAPERS_DECAY * PAPERS_STEPS / steps)


def _kernel(layer: Any, end: str) -> np.ndarray:
    return keras.ops.convert_to_numpy(next(one for one in layer.weights if one.path.endswith(end)).value)


def _draw(path: pathlib.Path, matrices: dict[str, np.ndarray]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(matrices), 4.6), layout="constrained", facecolor="white")
    for number, (axes, matrix) in enumerate(zip(figure.subplots(1, len(matrices)), matrices.values()), start=1):
        drawn = axes.imshow(matrix / np.fmax.reduce(matrix, axis=0), cmap="jet", vmin=0, vmax=1)
        layers = matrix.shape[0] - 1
        last = "classifier" if number == len(matrices) else "transition"
        axes.set_xticks(range(layers + 1), [*map(str, range(1, layers + 1)), last], rotation=90 if layers > 9 else 45)
        axes.set_yticks(range(layers + 1), ["input", *map(str, range(1, layers + 1))])
        axes.axvline(layers - 0.5, color="black", linewidth=1.5)
        axes.set_title(f"block {number}", fontsize=11)
        axes.set_xlabel("layer that reads")
        axes.set_ylabel("source")
    figure.colorbar(drawn, ax=figure.axes, shrink=0.8, label="mean absolute weight / the column's largest")
    figure.savefig(path, dpi=110)
