"""Rules from our variables to each source's keys, and from its layouts to ours."""

import re
from typing import Any

import keras
import numpy as np

# Module paths: ours on the left, timm's and torchvision's on the right. Names in braces take what the pattern found; `{block}` is the
# block's number, which counts from 1 here and from 0 there; `{conv}` and `{norm}` are places in the shortcut, one further with option D,
# where a pool comes first.
MODULES = (
    (r"stem/conv", "conv1"),
    (r"stem/norm", "bn1"),
    (r"stage(?P<s>\d+)_block(?P<b>\d+)/conv(?P<i>\d+)", "layer{s}.{block}.conv{i}"),
    (r"stage(?P<s>\d+)_block(?P<b>\d+)/norm(?P<i>\d+)", "layer{s}.{block}.bn{i}"),
    (r"stage(?P<s>\d+)_block(?P<b>\d+)/shortcut/conv", "layer{s}.{block}.downsample.{conv}"),
    (r"stage(?P<s>\d+)_block(?P<b>\d+)/shortcut/norm", "layer{s}.{block}.downsample.{norm}"),
    (r"head", "fc"),
)
LEAVES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
# In a file, and of no use here: how many batches a norm has seen (its momentum is fixed).
IGNORED = r".*\.num_batches_tracked"
HEAD = r"fc\..*"


def torch_key(path: str, pooled_shortcut: bool = False) -> str | None:
    """timm's key of the variable at `path`, or `None` if there is no rule for it."""
    module, _, leaf = path.rpartition("/")
    place = 1 if pooled_shortcut else 0
    for pattern, target in MODULES:
        found = re.fullmatch(pattern, module)
        if found and leaf in LEAVES:
            parts = found.groupdict()
            return f"{target.format(**parts, block=int(parts.get('b', 1)) - 1, conv=place, norm=place + 1)}.{LEAVES[leaf]}"
    return None


def torch_keys(model: keras.Model) -> dict[str, keras.Variable]:
    """timm's key of every variable of a model; a variable without a rule keeps its own path."""
    keys: dict[str, keras.Variable] = {}
    for layer in model.layers:
        pooled = getattr(layer, "shortcut", None) == "avg_pool"
        for variable in layer.weights:
            path = f"{layer.name}/{variable.path.split(f'{layer.name}/', 1)[-1]}"
            keys[torch_key(path, pooled) or path] = variable
    return keys


def shape_in_torch(variable: Any) -> tuple[int, ...]:
    """The shape in which PyTorch keeps this variable."""
    shape = tuple(variable.shape)
    return tuple(shape[i] for i in _to_torch(len(shape)))


def from_torch(array: np.ndarray) -> np.ndarray:
    """PyTorch's layout to ours: (out, in, height, width) to (height, width, in, out), and (out, in) to (in, out)."""
    return np.transpose(array, np.argsort(_to_torch(array.ndim)))


def _to_torch(ndim: int) -> tuple[int, ...]:
    return {4: (3, 2, 0, 1), 2: (1, 0)}.get(ndim, tuple(range(ndim)))
