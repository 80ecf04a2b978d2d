"""Files of Big Transfer, made from timm's state dicts. Their names are written down here a second time."""

import re

import numpy as np

LETTERS = {"1": "a", "2": "b", "3": "c"}


def key_of(key: str) -> str:
    """Big Transfer's name of what timm calls `key`."""
    leaf = "kernel" if "conv" in key or key == "head.fc.weight" else {"weight": "gamma", "bias": "beta"}[key.rpartition(".")[2]]
    if key == "stem.conv.weight":
        return "resnet/root_block/standardized_conv2d/kernel"
    if key.startswith("head.fc"):
        return f"resnet/head/conv2d/{'kernel' if key.endswith('weight') else 'bias'}"
    if key.startswith("norm."):
        return f"resnet/group_norm/{leaf}"
    stage, block, rest = re.fullmatch(r"stages\.(\d)\.blocks\.(\d+)\.(.*)", key).groups()
    unit = f"resnet/block{int(stage) + 1}/unit{int(block) + 1:02d}"
    if rest == "downsample.conv.weight":
        return f"{unit}/a/proj/standardized_conv2d/kernel"
    kind, number = re.fullmatch(r"(conv|norm)(\d)\..*", rest).groups()
    return f"{unit}/{LETTERS[number]}/{'standardized_conv2d' if kind == 'conv' else 'group_norm'}/{leaf}"


def arrays(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What Big Transfer's file would hold with these numbers, in TensorFlow's layout; its head is a 1x1 convolution."""
    whole = {key: value[..., None, None] if value.ndim == 2 else value for key, value in state.items()}
    return {key_of(key): value.transpose(2, 3, 1, 0) if value.ndim == 4 else value for key, value in whole.items()}
