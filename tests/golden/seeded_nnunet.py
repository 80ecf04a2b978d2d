"""Small networks of nnU-Net's, in our words and in those of dynamic-network-architectures, and what their tensors are called there."""

import pathlib
import re
from typing import Any

import numpy as np

FILE = pathlib.Path(__file__).parent / "nnunet.npz"
WIDTHS = (4, 6, 6)
# The settings of `nnunet`, and the size of the image.
CASES: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "plain_2d": (dict(depths=(1, 2, 2), decoder_depths=(2, 1), strides=2), (16, 24)),
    "plain_3d": (dict(depths=2, decoder_depths=1, strides=((1, 2, 2), 2), kernel_sizes=((1, 3, 3), 3, 3)), (4, 8, 12)),
    "residual_3d": (dict(residual=True, depths=(1, 2, 2), decoder_depths=1, strides=2), (4, 8, 8)),
}


def image(name: str) -> np.ndarray:
    """Two pictures, channels last, of patches and noise."""
    *_, size = CASES[name]
    random = np.random.RandomState(7)
    coarse = random.random_sample((2, *(side // 4 for side in size), 1))
    for axis, side in enumerate(size, start=1):
        coarse = np.repeat(coarse, side // coarse.shape[axis], axis)
    return (4 * coarse + random.random_sample((2, *size, 1)) - 2).astype("float32")


def torch_key(path: str, count: int) -> str:
    """What our variable is called there; `count` is the number of stages."""
    path = path.split("/", 1)[1] if path.startswith("nnunet/") else path
    leaf = {"kernel": "weight", "gamma": "weight", "bias": "bias", "beta": "bias"}[path.rsplit("/", 1)[1]]
    kind = "norm" if "/norm" in path else "conv"
    if found := re.match(r"(head|aux(\d))/", path):
        return f"decoder.seg_layers.{count - 2 - int(found[2] or 0)}.{leaf}"
    if found := re.match(r"up(\d)_enlarge/", path):
        return f"decoder.transpconvs.{count - 1 - int(found[1])}.{leaf}"
    if found := re.match(r"up(\d)/\w+?(\d)/", path):
        return f"decoder.stages.{count - 1 - int(found[1])}.convs.{int(found[2]) - 1}.{kind}.{leaf}"
    if path.startswith("stem/"):
        return f"encoder.stem.convs.0.{kind}.{leaf}"
    if found := re.match(r"stage(\d)_block(\d)/\w+shortcut/", path):
        return f"encoder.stages.{int(found[1]) - 1}.blocks.{int(found[2]) - 1}.skip.1.{kind}.{leaf}"
    if found := re.match(r"stage(\d)_block(\d)/\w+?(\d)/", path):
        return f"encoder.stages.{int(found[1]) - 1}.blocks.{int(found[2]) - 1}.conv{found[3]}.{kind}.{leaf}"
    found = re.match(r"stage(\d)/\w+?(\d)/", path)
    assert found, path
    return f"encoder.stages.{int(found[1]) - 1}.0.convs.{int(found[2]) - 1}.{kind}.{leaf}"
