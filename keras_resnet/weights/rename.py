"""Rules from our variables to the keys of timm and torchvision, and from their layouts to ours: one table a family."""

import dataclasses
import re
from typing import Any

import keras
import numpy as np

from keras_resnet.layers import DenseBlock, NormFreeBottleneck, Residual, Stem, TransformerBlock


@dataclasses.dataclass(frozen=True)
class Family:
    """How PyTorch names one family's variables.

    Args:
        modules: our module paths on the left, theirs on the right. Names in braces take what the pattern found, and what `_places` adds.
        head: the pattern of the classifier's keys.
        trailing: patterns of keys, and how many axes of length 1 stand behind ours there.
    """

    modules: tuple[tuple[str, str], ...]
    head: str
    trailing: tuple[tuple[str, int], ...] = ()


_BLOCK = r"stage(?P<s>\d+)_block(?P<b>\d+)"

RESNET = Family(
    modules=(
        (r"stem/conv", "conv1{deep}"),
        (r"stem/norm", "bn1"),
        (r"stem/conv(?P<i>\d)", "conv1.{step}"),
        (r"stem/norm(?P<i>\d)", "conv1.{behind}"),
        (r"stem_pool/conv", "maxpool.0"),
        (r"stem_pool/norm", "maxpool.1"),
        (rf"{_BLOCK}/conv(?P<i>\d+)", "layer{s}.{block}.conv{i}"),
        (rf"{_BLOCK}/norm(?P<i>\d+)", "layer{s}.{block}.bn{i}"),
        (rf"{_BLOCK}/shortcut/conv", "layer{s}.{block}.downsample.{conv}"),
        (rf"{_BLOCK}/shortcut/norm", "layer{s}.{block}.downsample.{norm}"),
        (rf"{_BLOCK}/attention/(?P<child>\w+)", "layer{s}.{block}.se.{child}"),
        (r"head", "fc"),
    ),
    head=r"fc\..*",
)
PREACTIVATION = Family(
    modules=(
        (r"stem/conv", "stem.conv{last}"),
        (r"stem/(?P<child>(conv|norm)\d)", "stem.{child}"),
        (rf"{_BLOCK}/shortcut/conv", "stages.{stage}.blocks.{block}.downsample.conv"),
        (rf"{_BLOCK}/(?P<child>\w+)", "stages.{stage}.blocks.{block}.{child}"),
        (r"post_norm/norm", "norm"),
        (r"head", "head.fc"),
    ),
    head=r"head\.fc\..*",
    trailing=((r"head\.fc\.weight", 2),),
)
NORM_FREE = Family(
    modules=(
        (r"stem/conv", "stem.conv{last}"),
        (r"stem/(?P<child>conv\d)", "stem.{child}"),
        (rf"{_BLOCK}/shortcut/conv", "stages.{stage}.{block}.downsample.conv"),
        (rf"{_BLOCK}/attention/(?P<child>\w+)", "stages.{stage}.{block}.attn_last.{child}"),
        (rf"{_BLOCK}/(?P<child>\w+)", "stages.{stage}.{block}.{child}"),
        (_BLOCK, "stages.{stage}.{block}"),
        (r"head", "head.fc"),
    ),
    head=r"head\.fc\..*",
    trailing=((r".*\.gain", 3),),
)
DENSE = Family(
    modules=(
        (r"stem/(?P<kind>conv|norm)", "features.{kind}{deepest}"),
        (r"stem/(?P<kind>conv|norm)(?P<i>\d)", "features.{kind}{index}"),
        (r"stage(?P<s>\d+)/layer(?P<l>\d+)/(?P<child>\w+)", "features.denseblock{s}.denselayer{l}.{child}"),
        (r"transition(?P<s>\d+)/(?P<child>\w+)", "features.transition{s}.{child}"),
        (r"post_norm/norm", "features.norm5"),
        (r"head", "classifier"),
    ),
    head=r"classifier\..*",
)
TRANSFORMER = Family(
    modules=(
        (r"stem/conv", "{patches}"),
        (r"stem/norm", "patch_embed.backbone.stem.norm"),
        (r"patches/conv", "patch_embed.proj"),
        (rf"{_BLOCK}/(?P<child>(conv|norm)\d)", "{inside}.{child}"),
        (rf"{_BLOCK}/shortcut/(?P<child>\w+)", "{resnet}.downsample.{child}"),
        (rf"{_BLOCK}/attention/qkv", "{transformer}.attn.qkv"),
        (rf"{_BLOCK}/attention/projection", "{transformer}.attn.proj"),
        (rf"{_BLOCK}/mlp(?P<i>\d)", "{transformer}.mlp.fc{i}"),
        (_BLOCK, "{transformer}"),
        (r"norm", "norm"),
        (r"head", "head"),
        (r"tokens", ""),
    ),
    head=r"head\..*",
)
LEAVES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "gain": "gain",
    "residual_gain": "skipinit_gain",
    "layer_scale1": "ls1.gamma",
    "layer_scale2": "ls2.gamma",
    "class_token": "cls_token",
    "position": "pos_embed",
}
# In a file, and of no use here: how many batches a norm has seen (its momentum is fixed).
IGNORED = r".*\.num_batches_tracked"


def family_of(model: keras.Model) -> Family:
    """The family whose names a model's variables have."""
    kinds = [type(layer) for layer in model.layers]
    if TransformerBlock in kinds:
        return TRANSFORMER
    if DenseBlock in kinds:
        return DENSE
    if NormFreeBottleneck in kinds:
        return NORM_FREE
    return PREACTIVATION if any(issubclass(kind, Residual) and kind.preactivation for kind in kinds) else RESNET


def torch_keys(model: keras.Model) -> dict[str, keras.Variable]:
    """The key of every variable of a model; a variable without a rule keeps its own path."""
    family, keys, transformers = family_of(model), {}, 0
    for layer in model.layers:
        for variable in layer.weights:
            path = f"{layer.name}/{variable.path.split(f'{layer.name}/', 1)[-1]}"
            keys[_torch_key(path, family, layer, transformers) or path] = variable
        transformers += isinstance(layer, TransformerBlock)
    return keys


def _torch_key(path: str, family: Family, layer: Any, transformers: int) -> str | None:
    module, _, leaf = path.rpartition("/")
    for pattern, target in family.modules:
        found = re.fullmatch(pattern, module)
        if found and leaf in LEAVES:
            parts = found.groupdict()
            return f"{target.format(**parts, **_places(parts, layer, transformers))}.{LEAVES[leaf]}".removeprefix(".")
    return None


def _places(found: dict, layer: Any, transformers: int) -> dict[str, Any]:
    """What a target may ask for beside what its pattern found: numbers that count from 0 there, or depend on the layer."""
    deep = getattr(layer, "deep", None)
    step = 3 * (int(found.get("i") or 1) - 1)  # convolution, norm, activation
    conv = 1 if getattr(layer, "shortcut", None) == "avg_pool" else 0  # a pool comes first
    stage, block = int(found.get("s") or 1) - 1, int(found.get("b") or 1) - 1
    transformer, resnet = f"blocks.{transformers}", f"patch_embed.backbone.stages.{stage}.blocks.{block}"
    return dict(
        stage=stage,
        block=block,
        conv=conv,
        norm=conv + 1,
        step=step,
        behind=step + 1,
        index=step // 3,
        deep=f".{3 * len(deep)}" if deep else "",
        deepest=len(deep) if deep else 0,
        last=len(deep) + 1 if deep else "",
        patches="patch_embed.backbone.stem.conv" if isinstance(layer, Stem) else "patch_embed.proj",
        transformer=transformer,
        resnet=resnet,
        inside=transformer if isinstance(layer, TransformerBlock) else resnet,
    )


def shape_in_torch(key: str, variable: Any, family: Family) -> tuple[int, ...]:
    """The shape in which PyTorch keeps this variable under that key."""
    ones = next((count for pattern, count in family.trailing if re.fullmatch(pattern, key)), 0)
    return (*(variable.shape[i] for i in _to_torch(variable)), *(1,) * ones)


def from_torch(array: np.ndarray, variable: Any) -> np.ndarray:
    """PyTorch's layout to ours: (out, in, height, width) to (height, width, in, out), (out, in) to (in, out)."""
    ndim = len(variable.shape)
    return np.transpose(array.reshape(array.shape[:ndim]), np.argsort(_to_torch(variable)))


def _to_torch(variable: Any) -> tuple[int, ...]:
    """Our axes in PyTorch's order, where this is a kernel."""
    ndim = len(variable.shape)
    order = {4: (3, 2, 0, 1), 3: (2, 1, 0), 2: (1, 0)} if variable.path.endswith("kernel") else {}
    return order.get(ndim, tuple(range(ndim)))
