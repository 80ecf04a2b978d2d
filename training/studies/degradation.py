"""Degradation: plain networks train worse the deeper they are, and residual ones do not.

    python -m training.studies degradation --data digits
    python -m training.studies degradation --data cifar10 --depths 20 32 44 56 110 --epochs 164

Trains plain and residual networks of 20 and 56 layers alike (plain ones of 56 at most, as in the paper's figure), by its recipe made
shorter (rate 0.1, a tenth at a half and at three quarters, weight decay 1e-4; here batches of 32 and no augmentation), and writes
degradation.png and degradation.md: training loss and error by epoch.

Measured on digits, 20 epochs, seed 0, PyTorch, 3 minutes on one of two busy CPU cores: training losses of 0.012 (plain-20), 1.26
(plain-56), 0.0006 (ResNet-20) and 0.0020 (ResNet-56): the published order but for the two residual ones, since digits need no 56 layers.
With batches of 64, padded crops and 40 epochs ResNet-56 had not caught up with plain-20 when the rate fell, behind 420 steps: 0.059 to
0.020; with batches of 64, a constant rate, no decay and 20 epochs it had 0.0077 to 0.0031. So this is the third setting tried.

Source: He et al. 2015, arXiv:1512.03385, section 4.2 and figure 6. There, on CIFAR-10, plain-56 ends with a higher training error than
plain-20, and ResNet-56 with a lower one than ResNet-20.
"""

import functools
import pathlib
from collections.abc import Sequence

import numpy as np

from training.studies import compared, table

SHORTCUTS = {"plain": None, "resnet": "identity"}
PLAIN_DEPTH = 56  # layers, at most


def study(
    folder: pathlib.Path, data: str = "digits", seeds: int = 1, epochs: int = 20, quick: bool = False, depths: Sequence[int] = (20, 56)
) -> dict[str, dict[str, float]]:
    """Trains, writes picture and table into the folder, and gives the means over seeds by network.

    Raises:
        ValueError: if the folder exists, at data that cannot be read, and at depths other than 6n + 2.
    """
    sizes = {depth: compared.basic_depths(depth) for depth in sorted(depths)}
    compared.new(folder, data)
    made = functools.partial(compared.recipe, "resnet20", data, epochs=epochs, quick=quick)
    recipes, styles = {}, {}
    for kind, shortcut in SHORTCUTS.items():
        for (depth, size), shade in zip(sizes.items(), np.linspace(0.45, 1, len(sizes))):
            if kind == "resnet" or depth <= PLAIN_DEPTH:
                shape = compared.TINY if quick else {"depths": size}
                recipes[f"{kind}{depth}"] = functools.partial(made, settings={**shape, "shortcut": shortcut})
                colour = (0.7, 0.09, 0.17, shade) if kind == "plain" else (0.1, 0.35, 0.6, shade)
                styles[f"{kind}{depth}"] = dict(color=colour, linestyle="--" if kind == "plain" else "-")
    curves = compared.trained(folder, recipes, data, seeds)
    found = {network: compared.end(logs) for network, logs in curves.items()}
    title = "Degradation: the training of plain networks (dashed) and of residual ones"
    compared.draw(folder / "degradation.png", title, curves, styles)
    rows = [compared.row(network, one) for network, one in found.items()]
    notes = [
        f"Measured: {data}, {epochs} epochs, mean of {seeds} seeds and of the last {compared.last(epochs)} epochs. {said(found)}",
        "Published (arXiv:1512.03385, figure 6, CIFAR-10): plain-56 above plain-20, ResNet-56 below ResNet-20.",
    ]
    print(table.write(folder / "degradation.md", "Degradation", ["network", *compared.ENDS], rows, notes))
    return found


def said(found: dict[str, dict[str, float]]) -> str:
    """Whether the order of the training losses is the published one, as far as there is one; the networks come by depth."""
    losses = {name: compared.finite(end["loss"]) for name, end in found.items()}
    plain, residual = ([name for name in losses if name.startswith(kind)] for kind in SHORTCUTS)
    if not plain:
        return f"No plain network to compare with, as these have {PLAIN_DEPTH} layers at most."
    least, most, deepest = plain[0], plain[-1], residual[-1]
    better = "better" if losses[deepest] < min(losses[name] for name in plain) else "no better"
    if len(plain) == 1:
        return f"{deepest} trains {better} than {most}."
    worse = "worse" if losses[most] > losses[least] else "no worse"
    return f"{most} trains {worse} than {least}; {deepest} {better} than all plain ones."
