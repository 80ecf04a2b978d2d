"""Names the backend before Keras is imported, so that a slip in `KERAS_BACKEND` gets one clear answer."""

import difflib
import importlib.util
import json
import os
import pathlib
import sys

# What `import` must find for each Keras backend, and the extra of this project that brings it.
FRAMEWORKS = {
    "tensorflow": ("tensorflow", '"keras-resnet-zoo[tensorflow]"'),
    "jax": ("jax", '"keras-resnet-zoo[jax]"'),
    "torch": ("torch", '"keras-resnet-zoo[torch]"'),
    "numpy": ("numpy", "numpy"),
    "openvino": ("openvino", "openvino"),
}


def configured_backend() -> str:
    """The backend that Keras will choose: `KERAS_BACKEND`, else `keras.json`, else "tensorflow"."""
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"]
    home = pathlib.Path(os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras")
    try:
        settings = json.loads((home / "keras.json").read_text())
    except (OSError, ValueError):
        return "tensorflow"
    name = settings.get("backend") if isinstance(settings, dict) else None
    return name if isinstance(name, str) else "tensorflow"


def check() -> None:
    """Raises if Keras's backend is misspelt (`ValueError`) or not installed (`ImportError`).

    Does nothing when Keras is loaded already: then the backend works, and Keras itself knows which it is.
    """
    if "keras" in sys.modules:
        return
    name = configured_backend()
    if name not in FRAMEWORKS:
        close = difflib.get_close_matches(name.lower(), FRAMEWORKS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"KERAS_BACKEND is {name!r}, which is no Keras backend.{hint} Allowed: {', '.join(map(repr, FRAMEWORKS))}. "
            "Set the environment variable KERAS_BACKEND before importing keras_resnet."
        )
    module, extra = FRAMEWORKS[name]
    if importlib.util.find_spec(module) is None:
        installed = [other for other, (needs, _) in FRAMEWORKS.items() if importlib.util.find_spec(needs)]
        raise ImportError(
            f"Keras's backend is {name!r}, but {module} is not installed. Either `pip install {extra}`, or set "
            f"KERAS_BACKEND to one that is installed here: {', '.join(map(repr, installed))}."
        )
