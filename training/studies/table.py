"""Tables of studies, in Markdown, with what they were measured on."""

import pathlib
import platform
from collections.abc import Sequence
from typing import Any

import keras


def write(path: pathlib.Path, title: str, names: Sequence[str], rows: Sequence[Sequence[Any]], notes: Sequence[str]) -> str:
    """Writes `path` and gives its text. Numbers get four digits."""

    def said(value: Any) -> str:
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    lines = [f"# {title}", "", "| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    lines += ["| " + " | ".join(map(said, row)) + " |" for row in rows]
    machine = f"Keras {keras.__version__} on {keras.backend.backend()}, {platform.machine()}, {platform.system()}."
    text = "\n".join([*lines, "", *notes, machine]) + "\n"
    path.write_text(text, encoding="utf-8")
    return text
