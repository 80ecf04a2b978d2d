"""Pre-activation: norm and activation before each convolution, so that the sum passes on unchanged, against the original order, by depth.

    python -m training.studies preactivation --data digits
    python -m training.studies preactivation --data cifar10 --depths 110 164 1001 --epochs 164

Trains both kinds alike at each depth, and writes preactivation.png and preactivation.md: training loss and test error by epoch. Networks
below 164 layers have basic blocks, from there on bottlenecks, as in the paper.

Measured on digits (8 epochs, one seed, PyTorch): training losses, original and pre-activation, of 0.006 and 0.010 at 20 layers, 0.040 and
0.012 at 56, 2.2 and 0.011 at 110. So the gap grows with the depth as published; in so few steps the original order of 110 layers does not
start at all, which in the paper it did.

Source: He et al. 2016, arXiv:1603.05027, table 3 and figure 6: on CIFAR-10 the gap grows with the depth.
"""

import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from training.studies import compared, table

KINDS = ("original", "pre-activation")
PUBLISHED = {110: ("6.61", "6.37"), 164: ("5.93", "5.46"), 1001: ("7.61", "4.92")}  # test error on CIFAR-10 in percent
BOTTLENECKS = 164  # layers from which on blocks are bottlenecks


def settings(depth: int, kind: str, quick: bool = False) -> dict[str, Any]:
    """Arguments of the zoo's builder for a network of so many layers.

    Raises:
        ValueError: unless there is such a network.
    """
    preactivation = kind == "pre-activation"
    if depth < BOTTLENECKS:
        shape: dict[str, Any] = dict(depths=compared.basic_depths(depth), preactivation=preactivation)
    elif (depth - 2) % 9:
        raise ValueError(f"Networks of bottlenecks have 9n + 2 layers, such as 164, 1001. Received: --depths {depth}.")
    else:
        blocks = ((depth - 2) // 9,) * 3
        shape = dict(depths=blocks, preactivation=preactivation, block="bottleneck", strides_in="1x1", shortcut="projection")
    return {**shape, **compared.TINY} if quick else shape


def study(
    folder: pathlib.Path, data: str = "digits", seeds: int = 1, epochs: int = 8, quick: bool = False, depths: Sequence[int] = (20, 56, 110)
) -> dict[str, dict[str, float]]:
    """Trains, writes picture and table into the folder, and gives the means over seeds by kind and depth.

    Raises:
        ValueError: if the folder exists, at data that cannot be read, and at depths that there are not.
    """
    networks = {f"{kind}, {depth} layers": settings(depth, kind, quick) for depth in depths for kind in KINDS}
    compared.new(folder, data)
    made = functools.partial(compared.recipe, "resnet20", data, epochs=epochs, quick=quick)
    recipes = {name: functools.partial(made, settings=one) for name, one in networks.items()}
    curves = compared.trained(folder, recipes, data, seeds)
    found = {name: compared.end(logs) for name, logs in curves.items()}
    shades = dict(zip(depths, np.linspace(0.45, 1, len(depths))))
    styles = {
        f"{kind}, {depth} layers": dict(
            color=(0.7, 0.09, 0.17, shade) if kind == KINDS[0] else (0.1, 0.35, 0.6, shade), linewidth=1 + 1.5 * shade
        )
        for depth, shade in shades.items()
        for kind in KINDS
    }
    title = "Original (red) and pre-activation (blue), deeper networks darker"
    compared.draw(folder / "preactivation.png", title, curves, styles, "val_accuracy")
    published = {f"{kind}, {depth} layers": PUBLISHED[depth][KINDS.index(kind)] for depth in depths if depth in PUBLISHED for kind in KINDS}
    rows = [[*compared.row(name, one), published.get(name, "")] for name, one in found.items()]
    notes = [
        f"Measured: {data}, {epochs} epochs, mean of {seeds} seeds and of the last {compared.last(epochs)} epochs. {said(found, depths)}",
        "Published: test error on CIFAR-10 (arXiv:1603.05027, table 3).",
    ]
    names = ["network", *compared.ENDS, "published test error (%)"]
    print(table.write(folder / "preactivation.md", "Original and pre-activation", names, rows, notes))
    return found


def said(found: dict[str, dict[str, float]], depths: Sequence[int]) -> str:
    """Which kind trains to the lower loss at each depth."""
    lower = {}
    for depth in depths:
        one, other = (compared.finite(found[f"{kind}, {depth} layers"]["loss"]) for kind in KINDS)
        lower[depth] = "neither" if one == other else KINDS[int(other < one)]
    return f"Lower training loss: {', '.join(f'{kind} at {depth} layers' for depth, kind in lower.items())}."
