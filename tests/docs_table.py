"""Writes `docs/models.md`, the table of all networks, from the rows and from the networks built of them.

KERAS_BACKEND=torch python -m tests.docs_table        or `make docs`
"""

import contextlib
import pathlib
from collections.abc import Iterator
from unittest import mock

import keras

import keras_resnet
from keras_resnet.layers import HeNormal
from keras_resnet.models.profile import Profile
from keras_resnet.zoo import ZOO

PATH = pathlib.Path(__file__).parents[1] / "docs" / "models.md"
HEAD = """# The networks

Written by `make docs`; a test holds it up to date. `keras_resnet.create_model(name)` builds any of them, `keras_resnet.profile(model)`
counts what stands here for any image size, layer by layer.

* Depth: convolutions and dense layers one after the other on the longest path, without shortcuts, gates and blurs.
* Parameters: the trainable ones, with as many classes as the paper has.
* MACs: multiply-adds of convolutions, dense layers and products of matrices for one image of the size given, norms not counted.
* Paper: who published the network first.
"""
COLUMNS = "| name | depth | parameters | MACs | image | paper |\n|:--|--:|--:|--:|--:|:--|"


@contextlib.contextmanager
def without_values() -> Iterator[None]:
    """Networks built in here have variables of the right shapes, and on PyTorch no memory: what counting them needs."""
    device = keras.device("meta") if keras.backend.backend() == "torch" else contextlib.nullcontext()
    zeros = mock.patch.object(HeNormal, "__call__", lambda self, shape, dtype=None: keras.ops.zeros(shape, dtype))
    with device, zeros:
        yield


def families() -> dict[str, list[str]]:
    """Names of the networks by their builder's."""
    found: dict[str, list[str]] = {}
    for name in keras_resnet.list_models(task="classification"):
        found.setdefault(ZOO[name].builder.__name__, []).append(name)
    return found


def paper_of(name: str) -> str:
    """The arXiv id of a network's paper."""
    return ZOO[name].paper


def line(name: str, profile: Profile) -> str:
    """A network's line of the table."""
    height, width = profile.input_shape[:2]
    paper = paper_of(name)
    cells = (
        f"`{name}`",
        str(profile.depth),
        f"{profile.params:,}",
        f"{profile.macs / 1e9:.3f} G",
        f"{height} x {width}",
        f"[{paper}](https://arxiv.org/abs/{paper})",
    )
    return f"| {' | '.join(cells)} |"


def render() -> str:
    """The file as it should be; builds every network."""
    parts = [HEAD]
    for builder, names in families().items():
        lines = []
        for name in names:
            with without_values():
                model = keras_resnet.create_model(name)
            lines.append(line(name, keras_resnet.profile(model)))
        parts.append("\n".join([f"## `keras_resnet.models.{builder}`", "", COLUMNS, *lines, ""]))
    return "\n".join(parts)


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(render())
