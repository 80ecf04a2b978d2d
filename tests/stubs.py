"""Writes `keras_resnet/__init__.pyi`, where editors and type checkers find the constructors that are made from rows.

python -m tests.stubs --write        or `make stubs`
"""

import argparse
import ast
import inspect
import pathlib
import sys

import keras_resnet
from keras_resnet.constructors import CONSTRUCTORS

PATH = pathlib.Path(keras_resnet.__file__).with_name("__init__.pyi")


def imported() -> list[str]:
    """What the package's page imports, as stubs say it: each name again behind `as`, since it is for others."""
    page = ast.parse(PATH.with_suffix(".py").read_text(encoding="utf-8"))
    lines = [(node.module, alias.name) for node in page.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    return [f"from {module} import {name} as {name}" for module, name in lines if name != "CONSTRUCTORS"]


def render() -> str:
    """The stub file as it should be."""
    lines = [
        '"""Signatures of the constructors that are made from rows. Written by `make stubs`; a test holds it up to date."""',
        "",
        "from collections.abc import Sequence",
        "from typing import Any",
        "",
        "import keras",
        "",
        *imported(),
        "",
        "__version__: str",
    ]
    for name, function in CONSTRUCTORS.items():
        lines += ["", f"def {name}("]
        keywords = False
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind == parameter.KEYWORD_ONLY and not keywords:
                lines.append("    *,")
                keywords = True
            annotation = inspect.formatannotation(parameter.annotation).replace("typing.", "").replace("collections.abc.", "")
            default = "..." if callable(parameter.default) else repr(parameter.default).replace("'", '"')
            lines.append(f"    {parameter.name}: {annotation} = {default},")
        lines.append(") -> keras.Model: ...")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the file; without it only say whether it is up to date")
    if parser.parse_args().write:
        PATH.write_text(render())
    elif PATH.read_text() != render():
        sys.exit(f"{PATH} is out of date: run `make stubs`.")


if __name__ == "__main__":
    main()
