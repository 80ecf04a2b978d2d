"""Writes `docs/models.md`, the table of all networks, from the rows and from the networks built of them.

KERAS_BACKEND=torch python -m tests.docs_table        or `make docs`
"""

import contextlib
import pathlib
from collections.abc import Iterator
from unittest import mock

import keras

import keras_resnet
from keras_resnet.constructors import constructor_name
from keras_resnet.layers import HeNormal
from keras_resnet.models.profile import Profile
from keras_resnet.zoo import NETWORKS, SEGMENTERS

PATH = pathlib.Path(__file__).parents[1] / "docs" / "models.md"
HEAD = """# The networks

Written by `make docs`; a test holds it up to date. `keras_resnet.create_model(name)` and `keras_resnet.Constructor()` build any of them,
`keras_resnet.profile(model)` counts what stands here for any image size, layer by layer.

* Depth: convolutions and dense layers one after the other on the longest path, without shortcuts, gates and blurs.
* Parameters: the trainable ones, with as many classes as the paper has.
* MACs: multiply-adds of convolutions, dense layers and products of matrices for one image of the size given, norms not counted.
* Image: height, width and channels, of a volume depth, too. Networks for dense prediction take any size: here it is one that their authors
  train with, for all 2-D forms of the original U-Net its tile; nnU-Net fits sizes to the data, here they are round.
* Paper: who published the network first.
"""
COLUMNS = "| name | constructor | depth | parameters | MACs | image | paper |\n|:--|:--|--:|--:|--:|--:|:--|"
HEADINGS = {"classification": "Classification", "segmentation": "Dense prediction", "diffusion": "Diffusion"}
# By the start of a name, the longest that fits.
SIZES = {
    "unet": (572, 572),
    "attention_unet": (572, 572),
    "unet3d": (116, 132, 132),
    "attention_unet3d": (96, 160, 160),
    "nested_unet": (96, 96),
    "resunet": (224, 224),
    "nnunet2d": (256, 256),
    "nnunet2d_deep": (512, 512),
    "nnunet3d": (128, 128, 128),
    "unet3plus": (320, 320),
    "fc_densenet": (360, 480),
}
ON_ENCODERS = """## On an encoder

These functions put a decoder on any network for classification, with or without published weights, or on a network of yours. For two of
them: parameters with one class, and MACs of one image of 256 x 256 x 3.

| function | parameters | MACs | paper |
|:--|--:|--:|:--|
"""
DECODERS = {"UNet": "1505.04597", "UNetPlusPlus": "1807.10165", "FPN": "1612.03144", "DeepLabV3Plus": "1802.02611"}
ENCODERS = ("resnet34", "resnet50")


@contextlib.contextmanager
def without_values() -> Iterator[None]:
    """Networks built in here have variables of the right shapes, and on PyTorch no memory: what counting them needs."""
    device = keras.device("meta") if keras.backend.backend() == "torch" else contextlib.nullcontext()
    zeros = mock.patch.object(HeNormal, "__call__", lambda self, shape, dtype=None: keras.ops.zeros(shape, dtype))
    with device, zeros:
        yield


def families(task: str) -> dict[str, list[str]]:
    """Names of a task's networks by their builder's."""
    found: dict[str, list[str]] = {}
    for name in keras_resnet.list_models(task=task):
        found.setdefault(NETWORKS[name].builder.__name__, []).append(name)
    return found


def paper_of(name: str) -> str:
    """The arXiv id of a network's paper."""
    return NETWORKS[name].paper


def counted(name: str) -> Profile:
    """The profile of a network for the image of the table."""
    with without_values():
        model = keras_resnet.create_model(name)
    if name not in SEGMENTERS:
        return keras_resnet.profile(model)
    size = SIZES[max((start for start in SIZES if name.startswith(start)), key=len)]
    return keras_resnet.profile(model, (*size, model.inputs[0].shape[-1]))


def line(name: str, profile: Profile) -> str:
    """A network's line of the table."""
    cells = (
        f"`{name}`",
        f"`{constructor_name(name)}`",
        str(profile.depth),
        f"{profile.params:,}",
        f"{profile.macs / 1e9:.3f} G",
        " x ".join(map(str, profile.input_shape)),
        _link(paper_of(name)),
    )
    return f"| {' | '.join(cells)} |"


def line_on_encoder(decoder: str, encoder: str) -> str:
    """The line of a decoder on an encoder."""
    with without_values():
        model = getattr(keras_resnet, decoder)(encoder)
    found = keras_resnet.profile(model, (256, 256, 3))
    assert all(layer.counted for layer in found.layers)
    return f'| `{decoder}("{encoder}")` | {found.params:,} | {found.macs / 1e9:.3f} G | {_link(DECODERS[decoder])} |'


def _link(paper: str) -> str:
    return f"[{paper}](https://arxiv.org/abs/{paper})"


def render() -> str:
    """The file as it should be; builds every network."""
    parts = [HEAD]
    for task, heading in HEADINGS.items():
        parts.append(f"## {heading}\n")
        for builder, names in families(task).items():
            lines = [line(name, counted(name)) for name in names]
            parts.append("\n".join([f"### `keras_resnet.models.{builder}`", "", COLUMNS, *lines, ""]))
    parts.append(ON_ENCODERS + "\n".join(line_on_encoder(decoder, encoder) for decoder in DECODERS for encoder in ENCODERS) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(render())
