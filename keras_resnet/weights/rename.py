"""From our variables to what a source calls them, and from its layout to ours: one `Slot` a variable, for every source alike."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from keras_resnet.layers import (
    ClimbingConvs,
    DecoderBlock,
    DeepLabDecoder,
    DenseBlock,
    NormFreeBottleneck,
    Residual,
    Stem,
    TransformerBlock,
)
from keras_resnet.weights import keras_names, peer_networks, torch_names
from keras_resnet.weights.family import Family


@dataclasses.dataclass(frozen=True)
class Slot:
    """Where a file keeps one variable.

    Args:
        variable: ours.
        shape: its shape in the file.
        axes: our axes in the file's order.
        to_ours, to_theirs: turn an array of the one layout into the other.
        part: `"head"`, `"first"` for the convolution that sees the image, or `""`.
    """

    variable: keras.Variable
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    to_ours: Callable[[np.ndarray], np.ndarray]
    to_theirs: Callable[[np.ndarray], np.ndarray]
    part: str = ""

    def of_channels(self, count: int) -> "Slot":
        """The same of a file whose first convolution sees images of `count` channels, which are cycled or summed to ours."""
        if len(self.variable.shape) != 4:
            return self
        shape = tuple(count if axis == 2 else size for axis, size in zip(self.axes, self.shape))
        return dataclasses.replace(self, shape=shape, to_ours=lambda array: of_channels(self.to_ours(array), self.variable.shape[2]))


def of_channels(kernel: np.ndarray, count: int) -> np.ndarray:
    """A kernel (height, width, channels, filters) for `count` channels: the sum of all for one; else all in turn, of the same sum."""
    channels = kernel.shape[2]
    if count == 1:
        return kernel.sum(axis=2, keepdims=True)
    return kernel[:, :, np.arange(count) % channels] * np.asarray(channels / count, kernel.dtype)


@dataclasses.dataclass(frozen=True)
class Layout:
    """All of a model's variables as one source keeps them.

    Args:
        slots: by the source's key.
        head: the pattern of the classifier's keys.
        ignored: the pattern of keys that are no weights.
        spellings: what to replace in a file's keys, one after the other.
        biases: keys of biases that the source has and the model has not, and the key of the moving mean behind each, which takes them:
            `norm(x + bias)` is the norm of x with a mean that is smaller by the bias.
    """

    slots: Mapping[str, Slot]
    head: str
    ignored: str
    spellings: tuple[tuple[str, str], ...] = ()
    biases: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def spelled(self, key: str) -> str:
        for pattern, replacement in self.spellings:
            key = re.sub(pattern, replacement, key)
        return key


def torch_layout(model: keras.Model) -> Layout:
    """As timm and torchvision keep it: `.safetensors`, `.pth`."""
    family, first = family_of(model), _first(model)
    slots = {key: _slot(first, variable, family, key, _torch_axes(variable)) for key, variable in torch_keys(model).items()}
    last = next((layer.name for layer in _decoder(model) if not layer.joins), None)
    unused = "" if last is None else rf"|decoder\.blocks\.({last}|{len(_decoder(model)) - 1})\.attention1\..*"  # there, it is never called
    return Layout(slots, family.head, torch_names.IGNORED + unused, torch_names.SPELLINGS)


def keras_layout(model: keras.Model) -> Layout:
    """As keras.applications keeps it: `.h5`. Raises where it has no such network."""
    kind = family_of(model)
    families = {
        torch_names.RESNET: keras_names.KERAS_RESNET,
        torch_names.PREACTIVATION: keras_names.KERAS_PREACTIVATION,
        torch_names.DENSE: keras_names.KERAS_DENSE,
    }
    family = families.get(kind)
    problem = "none of its networks is of this family" if family is None else peer_networks.difference(model, "keras")
    if family is None or problem:
        names = ", ".join(peer_networks.NETWORKS["keras"])
        raise ValueError(
            f"{model.name!r} cannot share weights with a network of keras.applications: {problem}. Its networks are here {names}."
        )
    named = _named(model, family, keras_names.LEAVES, "/")
    first, grouped = _first(model), _grouped(model)
    slots = {key: _keras_slot(first, grouped, variable, family, key) for key, variable in named.items()}
    epsilon = next((layer.norm_epsilon for layer in model.layers if hasattr(layer, "norm_epsilon")), keras_names.EPSILON)
    if epsilon < keras_names.EPSILON:  # a larger one is its builder's own, and would make variances negative
        slots = {
            key: _of_epsilon(slot, keras_names.EPSILON - epsilon) if key.endswith("moving_variance") else slot
            for key, slot in slots.items()
        }
    biases = {}
    if kind is torch_names.RESNET and not grouped:  # its plain ResNets have a bias before each norm
        for key in slots:
            if key.endswith("_conv/kernel") and key.replace("kernel", "bias") not in slots:
                biases[key.replace("kernel", "bias")] = key.replace("_conv/kernel", "_bn/moving_mean")
    return Layout(slots, family.head, keras_names.IGNORED, keras_names.SPELLINGS, biases)


def own_layout(model: keras.Model, variables: Mapping[str, keras.Variable], head: str, ignored: str) -> Layout:
    """As Keras keeps it: `.weights.h5`, `.keras`; `variables` by their keys there."""
    family, first = Family((), head), _first(model)
    slots = {key: _slot(first, variable, family, key, tuple(range(len(variable.shape)))) for key, variable in variables.items()}
    return Layout(slots, head, ignored)


def bit_layout(model: keras.Model) -> Layout:
    """As Big Transfer's own `.npz` files keep it. Raises where the model is none of its networks."""
    family = keras_names.BIT
    if family_of(model) is not torch_names.PREACTIVATION or any("moving_mean" in v.path for v in model.weights):
        raise ValueError(f"Big Transfer has no network such as {model.name!r}. Its networks are {', '.join(BIT_NETWORKS)}.")
    slots, first = {}, _first(model)
    for key, variable in _named(model, family, keras_names.LEAVES, "/").items():
        slot = _slot(first, variable, family, key, tuple(range(len(variable.shape))))
        if slot.part == "head" and len(variable.shape) == 2:  # a 1x1 convolution there
            shape = tuple(variable.shape)
            slot = dataclasses.replace(
                slot,
                shape=(1, 1, *shape),
                to_ours=lambda array: array.reshape(array.shape[-2:]),
                to_theirs=lambda array: array[None, None],
            )
        slots[key] = slot
    return Layout(slots, family.head, keras_names.BIT_IGNORED, keras_names.BIT_SPELLINGS)


BIT_NETWORKS = (
    "resnetv2_50x1_bit",
    "resnetv2_50x3_bit",
    "resnetv2_101x1_bit",
    "resnetv2_101x3_bit",
    "resnetv2_152x2_bit",
    "resnetv2_152x4_bit",
)


DECODERS = {DecoderBlock, ClimbingConvs, DeepLabDecoder}


def family_of(model: keras.Model) -> Family:
    """The family whose names a model's variables have at timm."""
    kinds = [type(layer) for layer in model.layers]
    encoder = _encoder_family(kinds)
    return encoder if DECODERS.isdisjoint(kinds) else torch_names.with_decoder(encoder)


def _encoder_family(kinds: list[type]) -> Family:
    if TransformerBlock in kinds:
        return torch_names.TRANSFORMER
    if DenseBlock in kinds:
        return torch_names.DENSE
    if NormFreeBottleneck in kinds:
        return torch_names.NORM_FREE
    preactivation = any(issubclass(kind, Residual) and kind.preactivation for kind in kinds)
    return torch_names.PREACTIVATION if preactivation else torch_names.RESNET


def torch_keys(model: keras.Model) -> dict[str, keras.Variable]:
    """timm's key of every variable of a model; a variable without a rule keeps its own path."""
    return _named(model, family_of(model), torch_names.LEAVES, ".")


def _named(model: keras.Model, family: Family, leaves: Mapping[str, str], separator: str) -> dict[str, keras.Variable]:
    keys: dict[str, keras.Variable] = {}
    transformers = 0
    for layer in model.layers:
        for variable in layer.weights:
            path = f"{layer.name}/{variable.path.split(f'{layer.name}/', 1)[-1]}"
            keys[_key(path, family, leaves, separator, layer, transformers) or path] = variable
        transformers += isinstance(layer, TransformerBlock)
    return keys


def _key(path: str, family: Family, leaves: Mapping[str, str], separator: str, layer: Any, transformers: int) -> str | None:
    module, _, leaf = path.rpartition("/")
    for pattern, target in family.modules:
        found = re.fullmatch(pattern, module)
        if found and leaf in leaves:
            parts = found.groupdict()
            return f"{target.format(**parts, **_places(parts, layer, transformers))}{separator}{leaves[leaf]}".removeprefix(separator)
    return None


def _places(found: dict, layer: Any, transformers: int) -> dict[str, Any]:
    """What a target may ask for beside what its pattern found: numbers that count from 0 there, or depend on the layer."""
    deep = layer.deep if isinstance(layer, Stem) else None
    number = int(found.get("i") or 1)
    step = 3 * (number - 1)  # convolution, norm, activation
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
        before=number - 1,
        after=stage + 2,
        unit=f"{block + 1:02d}",
        letter="abc"[number - 1] if number <= 3 else number,
        deep=f".{3 * len(deep)}" if deep else "",
        deepest=len(deep) if deep else 0,
        last=len(deep) + 1 if deep else "",
        patches="patch_embed.backbone.stem.conv" if isinstance(layer, Stem) else "patch_embed.proj",
        transformer=transformer,
        resnet=resnet,
        inside=transformer if isinstance(layer, TransformerBlock) else resnet,
    )


def _slot(first: Any, variable: keras.Variable, family: Family, key: str, axes: tuple[int, ...]) -> Slot:
    """A variable that its source keeps with its axes in the order `axes`, and axes of length 1 behind where the family says so."""
    ones = next((count for pattern, count in family.trailing if re.fullmatch(pattern, key)), 0)
    return Slot(
        variable,
        (*(variable.shape[i] for i in axes), *(1,) * ones),
        axes,
        lambda array: np.transpose(array.reshape(array.shape[: len(axes)]), np.argsort(axes)),
        lambda array: np.transpose(array, axes).reshape((*(array.shape[i] for i in axes), *(1,) * ones)),
        _part(first, variable, family, key),
    )


def _decoder(model: keras.Model) -> list:
    return [layer for layer in model.layers if isinstance(layer, DecoderBlock)]


def _first(model: keras.Model) -> Any:
    """The kernel of the convolution that sees the image; None where there is none."""
    return next((v for v in model.weights if v.path.endswith("kernel") and len(v.shape) == 4), None)


def _part(first: Any, variable: keras.Variable, family: Family, key: str) -> str:
    if re.fullmatch(family.head, key):
        return "head"
    return "first" if variable is first else ""


def _torch_axes(variable: Any) -> tuple[int, ...]:
    """Our axes in PyTorch's order, where this is a kernel: (out, in, height, width), (out, in)."""
    ndim = len(variable.shape)
    order = {4: (3, 2, 0, 1), 3: (2, 1, 0), 2: (1, 0)} if variable.path.endswith("kernel") else {}
    return order.get(ndim, tuple(range(ndim)))


def _grouped(model: keras.Model) -> bool:
    return any(getattr(layer, "groups", 1) > 1 for layer in model.layers)


def _keras_slot(first: Any, grouped: bool, variable: keras.Variable, family: Family, key: str) -> Slot:
    """As it is; but the ResNeXts' grouped kernels stand there as depthwise ones, whose outputs it sums (see `_from_depthwise`)."""
    slot = _slot(first, variable, family, key, tuple(range(len(variable.shape))))
    if not (grouped and key.endswith("_2_conv/kernel")):
        return slot
    height, width, inner, channels = variable.shape
    groups = channels // inner
    return dataclasses.replace(
        slot,
        shape=(height, width, channels, inner),
        to_ours=lambda array: _from_depthwise(array, groups),
        to_theirs=lambda array: _to_depthwise(array, groups),
    )


def _of_epsilon(slot: Slot, more: float) -> Slot:
    """A variance that stands in a file for norms with `more` epsilon: the sum of both is what counts, and stays."""
    return dataclasses.replace(slot, to_ours=lambda array: array + more, to_theirs=lambda array: array - more)


def _from_depthwise(array: np.ndarray, groups: int) -> np.ndarray:
    """(height, width, groups * inner, outputs in the group) to a grouped kernel (height, width, inner, groups * outputs)."""
    height, width, channels, outputs = array.shape
    split = array.reshape(height, width, groups, channels // groups, outputs)
    return split.transpose(0, 1, 3, 2, 4).reshape(height, width, channels // groups, groups * outputs)


def _to_depthwise(array: np.ndarray, groups: int) -> np.ndarray:
    height, width, inner, channels = array.shape
    split = array.reshape(height, width, inner, groups, channels // groups)
    return split.transpose(0, 1, 3, 2, 4).reshape(height, width, groups * inner, channels // groups)
