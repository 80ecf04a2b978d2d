"""Shortcuts: identity, projections, and shortcuts that are scaled, gated or dropped.

    python -m training.studies shortcuts --data digits
    python -m training.studies shortcuts --data cifar10 --depths 110 --epochs 164

Trains the same network with each kind of shortcut. Options A, B and C of He et al. 2015 differ where the map is halved (A: zeros for new
channels, B: projection) and everywhere (C: projections only), the latter being also the 1x1 convolution of He et al. 2016; here a norm
stands behind each projection. The others multiply what the shortcut passes on, which the second paper says hampers it. Writes
shortcuts.png and shortcuts.md.

Measured on digits (20 layers, 12 epochs, one seed, PyTorch): training losses of 0.003 to 0.006 with A, B, C and the gate that starts open,
0.01 to 0.02 with scales and other gates, 0.05 without shortcuts; dropout on the shortcut does not train. So the order of the second paper
is seen at 20 layers already, but scaling by 0.5 does not fail, and C is no worse than others, with 9 projections in a row and not 54. The
errors of 450 test pictures, 1 to 3 %, say nothing.

Of the second paper's table 1 two lines are left out: biases of the exclusive gate other than -6.

Source: He et al. 2015, arXiv:1512.03385, table 3 (ImageNet, 10 crops, top 1: 28.54, 25.03, 24.52 and 24.19 % for plain-34 and ResNet-34
A, B and C); He et al. 2016, arXiv:1603.05027, table 1 (CIFAR-10, 110 layers).
"""

import functools
import pathlib
from collections.abc import Sequence
from typing import Any

from training.studies import compared, table
from training.studies.varied_shortcut import varied

#                                     settings of the zoo's network      published on ImageNet, on CIFAR-10 (%)
ZOO: dict[str, tuple[Any, str, str]] = {
    "plain": (None, "28.54", "fails"),
    "A: identity": ("identity", "25.03", "6.61"),
    "B: projections where shapes change": ("projection", "24.52", ""),
    "C: projections": ("projection_all", "24.19", "12.22"),
}
#                                     settings of the block              published on CIFAR-10 (%)
VARIED: dict[str, tuple[dict[str, Any], str]] = {
    "shortcut x 0.5": (dict(kind="scaled", shortcut_scale=0.5), "fails"),
    "shortcut and branch x 0.5": (dict(kind="scaled", scale=0.5, shortcut_scale=0.5), "12.35"),
    "exclusive gate, bias -6": (dict(kind="exclusive", gate_bias=-6.0), "8.70"),
    "gate on the shortcut, bias 0": (dict(kind="gated", gate_bias=0.0), "12.86"),
    "gate on the shortcut, bias -6": (dict(kind="gated", gate_bias=-6.0), "6.91"),
    "dropout 0.5 on the shortcut": (dict(kind="dropout"), "fails"),
}
COLOURS = ["#8a8f98", "#1f5fa8", "#4393c3", "#92c5de", "#b2182b", "#ef8a62", "#1b7837", "#762a83", "#c2a5cf", "#b8860b"]


def study(
    folder: pathlib.Path, data: str = "digits", seeds: int = 1, epochs: int = 12, quick: bool = False, depths: Sequence[int] = (20,)
) -> dict[str, dict[str, float]]:
    """Trains, writes picture and table into the folder, and gives the means over seeds by shortcut; of more depths by depth, too.

    Raises:
        ValueError: if the folder exists, at data that cannot be read, and at depths other than 6n + 2.
    """
    sizes = {depth: compared.basic_depths(depth) for depth in depths}
    layers = ", ".join(map(str, sizes))
    compared.new(folder, data)
    recipes, builds, published = {}, {}, {}
    for depth, size in sizes.items():
        behind = "" if len(sizes) == 1 else f", {depth} layers"
        made = functools.partial(compared.recipe, "resnet20", data, epochs=epochs, quick=quick)
        shape = compared.TINY if quick else {"depths": size}
        for name, (shortcut, imagenet, cifar) in ZOO.items():
            recipes[name + behind] = functools.partial(made, settings={**shape, "shortcut": shortcut})
            published[name + behind] = (imagenet, cifar)
        for name, (settings, cifar) in VARIED.items():
            recipes[name + behind] = functools.partial(made, settings=shape)
            builds[name + behind] = varied(**settings)
            published[name + behind] = ("", cifar)
    curves = compared.trained(folder, recipes, data, seeds, builds)
    found = {name: compared.end(logs) for name, logs in curves.items()}
    lines = ("-", "--", ":", "-.")
    styles = {name: dict(color=COLOURS[i % len(COLOURS)], linestyle=lines[i // len(COLOURS) % len(lines)]) for i, name in enumerate(curves)}
    compared.draw(folder / "shortcuts.png", f"Shortcuts in networks of {layers} layers", curves, styles, "val_accuracy")
    names = ["shortcut", *compared.ENDS, "published, ImageNet, 34 layers", "published, CIFAR-10, 110 layers"]
    rows = [[*compared.row(name, one), *published[name]] for name, one in found.items()]
    notes = [
        f"Measured: {data}, {layers} layers, {epochs} epochs, mean of {seeds} seeds and of the last {compared.last(epochs)} epochs.",
        f"{said(found)} Published: test errors in percent (arXiv:1512.03385, table 3, 10 crops; arXiv:1603.05027, table 1).",
    ]
    print(table.write(folder / "shortcuts.md", "Shortcuts", names, rows, notes))
    return found


def said(found: dict[str, dict[str, float]]) -> str:
    """Which shortcuts train to a lower loss than the identity in a network of as many layers."""
    losses = {name: compared.finite(one["loss"]) for name, one in found.items()}
    identities = {name.removeprefix("A: identity"): loss for name, loss in losses.items() if name.startswith("A: identity")}
    better = [name for name, loss in losses.items() if any(name.endswith(end) and loss < than for end, than in identities.items())]
    return f"Lower training loss than the identity: {', '.join(better) or 'none'}."
