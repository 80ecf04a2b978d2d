"""Branches that start at zero or are scaled, with and without normalization: which networks train at which depth.

    python -m training.studies zero_init --data digits
    python -m training.studies zero_init --data cifar10 --depths 110 1202 --epochs 50

Trains pre-activation networks whose branches are as they are, divided by the root of their number, multiplied by a learned number that
starts at 0 (SkipInit), or closed by a kernel that starts at 0, all without normalization; and with batch normalization as they are and
closed by zeros. Writes zero_init.png and zero_init.md: the training error by depth, and where the loss was not finite.

Published, without figures here: branches that start at zero ease the start of a training (Goyal et al. 2017, there by the last gamma of a
branch of the original order; in this one no norm ends a branch, so it is the kernel). Without normalization the sum's variance grows with
each block unless branches are small: then depths fail that branches scaled by 1/sqrt(depth) or SkipInit train, up to a thousand layers
(De and Smith 2020).

Measured on digits (4 epochs, rate 0.1, one seed, PyTorch), training errors at 8, 20, 56 and 110 layers: with branches by 1/sqrt(N) 2 to 3 %
at all depths; with branches as they are 2 %, 90 %, 90 % and divergence; SkipInit 3, 5, 3 and 56 %; last kernels at 0 give 2, 3, 82 and
90 %, so they alone are no Fixup; batch norm 1 to 2 % at all depths, a little less with last kernels at 0 from 20 layers on.

Source: Goyal et al. 2017, arXiv:1706.02677, section 5.1; Zhang et al. 2019 (Fixup), arXiv:1901.09321, of which only the closing zeros are
here, not its scaled kernels and biases; De and Smith 2020, arXiv:2002.10444.
"""

import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from training.studies import compared, table

KINDS: dict[str, dict[str, Any]] = {
    "no norm, branch x 1": dict(norm=None),
    "no norm, branch x 1/sqrt(N)": dict(norm=None, residual_scale="1/sqrt(N)"),
    "no norm, SkipInit": dict(norm=None, residual_scale="learned"),
    "no norm, last kernel 0": dict(norm=None, zero_init_residual=True),
    "batch norm": dict(),
    "batch norm, last kernel 0": dict(zero_init_residual=True),
}


def study(
    folder: pathlib.Path,
    data: str = "digits",
    seeds: int = 1,
    epochs: int = 4,
    quick: bool = False,
    depths: Sequence[int] = (8, 20, 56, 110),
) -> dict[str, dict[int, float]]:
    """Trains, writes picture and table into the folder, and gives training errors in percent by kind and depth, NaN where one diverged.

    Raises:
        ValueError: if the folder exists, at data that cannot be read, and at depths other than 6n + 2.
    """
    sizes = {depth: compared.basic_depths(depth) for depth in (depths[:1] if quick else depths)}
    compared.new(folder, data)
    names, recipes = {}, {}
    for kind, settings in KINDS.items():
        for depth, size in sizes.items():
            names[kind, depth] = f"{kind}, {depth} layers"
            made = functools.partial(compared.recipe, "preresnet20", data, epochs=epochs, quick=quick)
            recipes[names[kind, depth]] = functools.partial(made, settings={"depths": size, **settings})
    curves = compared.trained(folder, recipes, data, seeds)
    ends = {name: compared.end(logs) for name, logs in curves.items()}
    found = {kind: {depth: ends[names[kind, depth]]["error"] for depth in sizes} for kind in KINDS}
    _draw(folder / "zero_init.png", found)
    rows = [[kind, *(error if np.isfinite(error) else "diverged" for error in errors.values())] for kind, errors in found.items()]
    notes = [
        f"Measured: training error in percent, {data}, {epochs} epochs, rate 0.1 for all, mean of {seeds} seeds and of the last "
        f"{compared.last(epochs)} epochs; diverged: a loss that is not finite.",
        "Published, in words: without normalization, deep networks train only with small branches (arXiv:2002.10444).",
    ]
    print(
        table.write(
            folder / "zero_init.md", "Zero init and residual scale", ["branch", *(f"{depth} layers" for depth in sizes)], rows, notes
        )
    )
    return found


def _draw(path: pathlib.Path, found: dict[str, dict[int, float]]) -> None:
    from matplotlib.figure import Figure

    errors = np.array([list(one.values()) for one in found.values()])
    figure = Figure(figsize=(2.6 + 1.3 * errors.shape[1], 4.5), layout="constrained", facecolor="white")
    axes = figure.subplots()
    axes.set_facecolor("#2b2b2b")  # of what diverged
    drawn = axes.imshow(np.ma.masked_invalid(errors), cmap="YlOrRd", vmin=0, vmax=100, aspect="auto")
    for row, column in np.ndindex(*errors.shape):
        value = errors[row, column]
        colour = "white" if not value < 60 else "black"
        axes.text(column, row, f"{value:.1f}" if np.isfinite(value) else "diverged", ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(errors.shape[1]), [f"{depth} layers" for depth in next(iter(found.values()))])
    axes.set_yticks(range(errors.shape[0]), list(found))
    axes.set_title("training error (%)", fontsize=11)
    figure.colorbar(drawn, ax=axes, shrink=0.8)
    figure.savefig(path, dpi=110)
