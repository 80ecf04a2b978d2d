"""How well a network names pictures that were held back: accuracy, confusion matrix and worst mistakes, as values and as a picture."""

import pathlib
import textwrap
from typing import Any

import numpy as np

from applications.labelled_pictures import Labelled
from keras_resnet_cli.pictures import open_picture

try:
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
except ImportError as error:
    raise SystemExit(f"This report needs matplotlib: `pip install matplotlib` ({error}).") from error

WORST = 12  # mistakes that are shown
BLUE, GREY = "#1f5fa8", "#8a8f98"


def judge(probabilities: np.ndarray, held: Labelled) -> dict[str, Any]:
    """Accuracy, confusion matrix and worst mistakes, in plain values."""
    read = probabilities.argmax(axis=1)
    confusion = np.zeros((len(held.classes),) * 2, int)
    np.add.at(confusion, (held.labels, read), 1)
    loss = -np.log(np.maximum(probabilities[np.arange(len(read)), held.labels], 1e-12))
    wrong = [int(i) for i in np.argsort(-loss, kind="stable") if read[i] != held.labels[i]]
    mistakes = [
        {
            "picture": held.paths[i],
            "is": held.classes[held.labels[i]],
            "read": held.classes[read[i]],
            "probability": float(probabilities[i, read[i]]),
            "loss": float(loss[i]),
        }
        for i in wrong
    ]
    return {"accuracy": float(np.mean(read == held.labels)), "confusion": confusion.tolist(), "mistakes": mistakes}


def draw(path: pathlib.Path, report: dict[str, Any]) -> None:
    """The picture of a report."""
    # A figure without pyplot: no window, no screen needed, no state left behind.
    figure = Figure(figsize=(14, 9), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1), facecolor="white")
    top, bottom = figure.subfigures(2, 1, height_ratios=(5, 4))
    curve, matrix = top.subplots(1, 2)
    for key, label, colour in (("accuracy", "learnt from (changed at random)", GREY), ("val_accuracy", "held back", BLUE)):
        values = 100 * np.asarray(report["history"][key])
        curve.plot(np.arange(1, len(values) + 1), values, color=colour, linewidth=2, marker="o", label=f"{label}: {values[-1]:.1f} %")
    curve.set(xlabel="epoch", ylabel="accuracy (%)", ylim=(0, 102), title="Learning curve")
    curve.legend(loc="lower right", frameon=False)
    confusion, classes = np.asarray(report["confusion"]), report["classes"]
    matrix.imshow(confusion / confusion.sum(axis=1, keepdims=True), cmap="Blues", vmin=0, vmax=1)
    matrix.set(title="Confusion: pictures held back", xlabel="read as", ylabel="is")
    if len(classes) <= 30:
        matrix.set_xticks(range(len(classes)), classes, rotation=60, ha="right", parse_math=False)
        matrix.set_yticks(range(len(classes)), classes, parse_math=False)
        for (row, column), count in np.ndenumerate(confusion):
            if count:
                matrix.text(column, row, str(count), ha="center", va="center", fontsize=9)
    shown = report["mistakes"][:WORST]
    bottom.suptitle(f"Worst mistakes, {len(shown)} of {len(report['mistakes'])}" if shown else "No mistakes on the pictures held back")
    for axes, mistake in zip(np.atleast_1d(bottom.subplots(2, WORST // 2)).flat, [*shown, *[None] * (WORST - len(shown))], strict=True):
        axes.set_axis_off()
        if mistake is not None:
            picture = open_picture(mistake["picture"])
            picture.thumbnail((200, 200))
            axes.imshow(np.asarray(picture))
            text = f"{_short(mistake['read'])} {100 * mistake['probability']:.0f} %\nis {_short(mistake['is'])}"
            axes.set_title(text, fontsize=9, parse_math=False)
    heading = f"{report['model']}: {100 * report['accuracy']:.1f} % of {int(confusion.sum())} pictures held back"
    figure.suptitle(heading, fontsize=15, fontweight="bold", parse_math=False)
    figure.savefig(path, dpi=100)


def _short(name: str) -> str:
    return textwrap.shorten(name, 20, placeholder="...") or name[:20]
