"""What stands in a run's config.json, read before Keras is imported, since its backend is said there."""

import json
import pathlib
from typing import Any

CONFIG = "config.json"
BACKENDS = ("jax", "tensorflow", "torch")
TRACKERS = ("tensorboard", "wandb")  # what else a run is written to, see trackers.py
MOST = 2**20  # bytes: ours have some 2,000


def config(folder: pathlib.Path) -> dict[str, Any]:
    """The objects "recipe" and "where", and the name "backend". What is in the objects is not checked here.

    Raises:
        ValueError: if there is no run in the folder, or this was not written by one.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise ValueError(f"There is no run in {str(folder)!r}: it has no {CONFIG}.")
    try:
        with path.open("rb") as file:
            text = file.read(MOST + 1)
        if len(text) > MOST:
            raise ValueError(f"more than {MOST:,} bytes")
        found = json.loads(text)
        if not isinstance(found, dict) or not all(isinstance(found.get(name), dict) for name in ("recipe", "where")):
            raise ValueError("it lacks the objects recipe and where")
        if found.get("backend") not in BACKENDS:
            raise ValueError(f"its backend is {found.get('backend')!r}, and none of {', '.join(BACKENDS)}")
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"There is no run in {str(folder)!r}: its {CONFIG} cannot be read ({error}).") from error
    return found
