"""`python -m training.studies NAME`: the studies by name."""

import argparse
import datetime
import importlib
import os
import pathlib
import sys
from collections.abc import Sequence

from training.fields import nearest
from training.told import exit_code

STUDIES = {
    "degradation": "plain and residual networks by depth: training error",
    "gradient_norm": "how much of the gradient reaches each block, with and without shortcuts",
    "shortcuts": "identity, projections, and shortcuts that are scaled, gated or dropped: training and test error",
    "preactivation": "original and pre-activation networks by depth: training and test error",
    "lesion": "blocks of a trained residual network removed or swapped: test error",
    "paths": "how much of the gradient comes through paths of each length",
    "landscape": "the loss around trained plain and residual networks, along filter-normalized directions",
    "zero_init": "branches that start at zero or are scaled, with and without normalization, by depth: which train",
    "feature_reuse": "which earlier layers the layers of a trained DenseNet weigh how much",
}


def main(words: Sequence[str] | None = None) -> int:
    """Runs the program; 0 if all went well, 1 at a mistake of the user's, 130 at Ctrl-C."""
    said = "; ".join(f"{name}: {what}" for name, what in STUDIES.items())
    parser = argparse.ArgumentParser(prog="python -m training.studies", description=said)
    parser.add_argument("study", nargs="?", help=", ".join(STUDIES))
    parser.add_argument("--data", default="digits", help="digits, fashion, cifar10, cifar100, or files in the form of Fashion-MNIST's")
    parser.add_argument("--seeds", type=int, help="how many; else the study's own number")
    parser.add_argument("--epochs", type=int, help="else the study's own number")
    parser.add_argument("--depths", type=int, nargs="+", help="layers of the networks; else the study's own, for a laptop")
    parser.add_argument("--quick", action="store_true", help="seconds, small networks, and nothing to be seen")
    parser.add_argument("--backend", choices=("jax", "tensorflow", "torch"))
    parser.add_argument("--out", type=pathlib.Path, help="folder; else runs/DATE-study-NAME")
    arguments = parser.parse_args(words)
    if arguments.backend:
        os.environ["KERAS_BACKEND"] = arguments.backend
    folder = arguments.out or pathlib.Path("runs", f"{datetime.date.today()}-study-{arguments.study}")
    try:
        if arguments.study is None:
            raise ValueError(f"Which study? One of {', '.join(STUDIES)}.")
        if arguments.study not in STUDIES:
            raise ValueError(f"There is no study {arguments.study!r}. {nearest(arguments.study, STUDIES)}")
        given = {name: value for name in ("seeds", "epochs", "depths") if (value := getattr(arguments, name)) is not None}
        if min(given.get("seeds", 1), given.get("epochs", 1)) < 1:
            raise ValueError(f"Seeds and epochs are 1 or more. Received: {given}.")
        study = importlib.import_module(f"training.studies.{arguments.study}").study
        study(folder, arguments.data, quick=arguments.quick, **given)
        if arguments.quick:
            page = folder / f"{arguments.study}.md"
            page.write_text(
                "**By --quick, with networks of a few filters: nothing here is a result.**\n\n" + page.read_text("utf-8"), "utf-8"
            )
    except BaseException as error:
        code = exit_code(error, "Stopped. A study cannot be resumed: its folder has the curves so far.")
        if code is None:
            raise
        return code
    print(
        f"{folder}/{arguments.study}.png, {arguments.study}.md" + (": by --quick, so nothing in it is a result" if arguments.quick else "")
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
