"""`python -m training.studies NAME`: the studies by name."""

import argparse
import datetime
import importlib
import os
import pathlib
import sys
from collections.abc import Sequence

from training.fields import nearest

STUDIES = {
    "degradation": "plain and residual networks of 20 and 56 layers: training error",
    "lesion": "blocks of a trained residual network removed or swapped: test error",
    "gradient_norm": "how much of the gradient reaches each block, with and without shortcuts",
}


def main(words: Sequence[str] | None = None) -> int:
    """Runs the program; 0 if all went well, 1 at a mistake of the user's."""
    said = "; ".join(f"{name}: {what}" for name, what in STUDIES.items())
    parser = argparse.ArgumentParser(prog="python -m training.studies", description=said)
    parser.add_argument("study")
    parser.add_argument("--data", default="digits", help="as for `python -m training`")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="seconds, small networks, and nothing to be seen")
    parser.add_argument("--backend", choices=("jax", "tensorflow", "torch"))
    parser.add_argument("--out", type=pathlib.Path, help="folder; else runs/DATE-study-NAME")
    arguments = parser.parse_args(words)
    if arguments.backend:
        os.environ["KERAS_BACKEND"] = arguments.backend
    folder = arguments.out or pathlib.Path("runs", f"{datetime.date.today()}-study-{arguments.study}")
    try:
        if arguments.study not in STUDIES:
            raise ValueError(f"There is no study {arguments.study!r}. {nearest(arguments.study, STUDIES)}")
        if arguments.seeds < 1 or arguments.epochs < 1:
            raise ValueError(f"Seeds and epochs are 1 or more. Received: --seeds {arguments.seeds} --epochs {arguments.epochs}.")
        study = importlib.import_module(f"training.studies.{arguments.study}").study
        study(folder, arguments.data, arguments.seeds, arguments.epochs, arguments.quick)
    except (ValueError, ImportError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{folder}/{arguments.study}.png, {arguments.study}.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
