"""report.png: the curves of a run, what its classes were taken for, and how fast it was."""

import datetime
import importlib.util
import pathlib
import warnings
from typing import Any

import numpy as np

from training.recipe import Recipe

GREY, BLUE, GREEN = "#8a8f98", "#1f5fa8", "#2e7d32"
NAMED = 20  # classes whose names fit beside a matrix
LONGEST = 16  # letters of them that are shown


def check() -> None:
    """Raises `ImportError` without matplotlib, with what to install."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ImportError("The report is drawn by matplotlib, which is not installed: `pip install matplotlib`.")


def measured(found: dict[str, Any]) -> str:
    """What a run reached on its test pictures: the share of them, or how their masks overlap."""
    if "accuracy" in found:
        return f"{100 * found['accuracy']:.2f} %"
    return f"Mean IoU {100 * found['iou']:.2f} %" if found.get("iou") is not None else "nothing"


def draw(path: pathlib.Path, recipe: Recipe, log: list[dict[str, float]], found: dict[str, Any]) -> None:
    """Writes the picture."""
    from matplotlib.figure import Figure

    shares = (("accuracy", "accuracy (%)"), ("iou", "mean IoU (%)"), ("out_iou", "mean IoU (%)"))
    curves = [("loss", "loss"), *((name, label) for name, label in shares if any(name in row for row in log))]
    matrix = np.array(found.get("confusion", []))
    # A figure without pyplot: no window and no screen needed.
    figure = Figure(figsize=(5 * (len(curves) + 1 + bool(matrix.size)), 4.5), layout="constrained", facecolor="white")
    axes = list(np.atleast_1d(figure.subplots(1, len(curves) + 1 + bool(matrix.size))))
    for (name, label), place in zip(curves, axes):
        _draw_curve(place, log, name, label)
    _draw_speed(axes[len(curves)], log)
    if matrix.size:
        _draw_confusion(figure, axes[-1], matrix, found.get("classes", []), "pixels" if "iou" in found else "pictures")
    published = f"   published {recipe.published}" if recipe.published else ""
    figure.suptitle(f"{recipe.name}   {measured(found)} measured, {found['backend']}{published}", fontsize=12)
    count = f"{found['replicas']} replicas, " if found["replicas"] > 1 else ""
    made = f"{count}{found['device']}   {found['framework']}, Keras {found['keras']}   commit {found['commit']}"
    figure.supxlabel(f"{datetime.timedelta(seconds=round(found['seconds']))} on {made}", fontsize=8, color=GREY)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # of names in scripts that matplotlib's font has not
        figure.savefig(path, dpi=110)


def _draw_curve(axes: Any, log: list[dict[str, float]], name: str, label: str) -> None:
    factor = 1 if name == "loss" else 100
    for key, colour, said in ((name, GREY, "training"), (f"val_{name}", BLUE, "test")):
        points = [(row["epoch"], factor * row[key]) for row in log if key in row]
        if points:
            axes.plot(*zip(*points), color=colour, label=f"{said}: {points[-1][1]:.4g}", marker="o" if len(points) < 5 else "")
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_title(label, fontsize=11)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)


def _draw_speed(axes: Any, log: list[dict[str, float]]) -> None:
    points = [(row["epoch"], row["images_per_second"], 100 * row.get("data_wait", np.nan)) for row in log if "images_per_second" in row]
    if points:
        epochs, speeds, waits = zip(*points)
        axes.plot(epochs, speeds, color=GREEN, marker="o" if len(points) < 5 else "", label=f"median {np.median(speeds):.4g}")
        axes.set_ylim(0, 1.15 * max(speeds))
        waited = "" if np.isnan(waits).any() else f" (waited for data: {np.median(waits):.0f} % of the time)"
        axes.set_title(f"images per second{waited}", fontsize=11)
        axes.legend(frameon=False, loc="lower right")
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.25)


def _draw_confusion(figure: Any, axes: Any, matrix: np.ndarray, names: list[str], counted: str) -> None:
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    drawn = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(matrix) <= NAMED:
        ticks = range(len(matrix))
        shown = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in (" ".join(name.split()) for name in names)]
        axes.set_xticks(ticks, shown, rotation=90, fontsize=8, parse_math=False)
        axes.set_yticks(ticks, shown, fontsize=8, parse_math=False)
        for row, column in np.ndindex(*matrix.shape):
            if matrix[row, column]:
                colour = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, matrix[row, column], ha="center", va="center", fontsize=6, color=colour)
    axes.set_xlabel("read as")
    axes.set_ylabel("is")
    axes.set_title(f"test {counted} by class", fontsize=11)
    figure.colorbar(drawn, ax=axes, shrink=0.8)
