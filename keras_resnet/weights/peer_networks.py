"""Which networks torchvision, keras.applications, timm and segmentation_models.pytorch have, and how ours differ though variables fit."""

import functools
from collections.abc import Mapping
from typing import Any

import keras

from keras_resnet.layers import AtrousPyramid, ClimbingConvs, DecoderBlock, DeepLabDecoder, Residual, Stem
from keras_resnet.models.densenet import DENSENETS
from keras_resnet.models.preresnet import PRERESNETS
from keras_resnet.models.resnet import RESNETS
from keras_resnet.models.row import Row

ROWS: dict[str, Row] = {**RESNETS, **PRERESNETS, **DENSENETS}
NETWORKS = {
    "torchvision": (
        *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d"),
        *("wide_resnet50_2", "wide_resnet101_2", "densenet121", "densenet161", "densenet169", "densenet201"),
    ),
    "keras": (
        *("resnet50v1", "resnet101v1", "resnet152v1", "resnet50v2", "resnet101v2", "resnet152v2"),
        *("densenet121", "densenet169", "densenet201", "resnext50_32x4d", "resnext101_32x4d"),
    ),
}
# What no trained number depends on, or where what differs is made up for: biases are folded, a variance takes up its epsilon.
NEUTRAL = {
    *("name", "trainable", "dtype", "data_format", "minimum_size", "num_blocks", "adapts_statistics", "remat"),
    *("norm_momentum", "norm_epsilon", "use_bias", "zero_init_residual"),
    *("dropout", "drop_block", "drop_block_size", "drop_block_scale", "stochastic_depth"),
}
PLACES = ("strides", "dilation_rate", "first_dilation_rate")  # which dilation changes, and no number with it

# The settings that segmentation_models.pytorch's decoders have, each with its values there.
DECODERS: dict[type, dict[str, tuple]] = {
    DecoderBlock: dict(norm=("batch", None), merge=("concat",), upsampling=("nearest", "bilinear")),
    ClimbingConvs: dict(norm=("group",), upsampling=("aligned",)),
    AtrousPyramid: dict(norm=("batch",)),
    DeepLabDecoder: dict(norm=("batch",), upsampling=("aligned",), early_filters=(48,)),
}


def difference(model: keras.Model, library: str) -> str:
    """In what a network is none of the library's, in words; "" where it is one."""
    if library == "timm":
        return _unknown_to_timm(model) or _unknown_decoder(model)
    dilated = any(getattr(layer, "dilation_rate", 1) not in (1, (1, 1)) for layer in model.layers)
    left_out = NEUTRAL.union(PLACES) if dilated else NEUTRAL
    own = _without(left_out, _settings(model))
    found: list[tuple[int, str]] = []
    for name in sorted(NETWORKS[library], key=lambda name: name != model.name):  # the one of its name first: each is built once
        if _of_kind(name, own):
            differing = _differences(own, _without(left_out, _row_settings(name)))
            if not differing:
                return ""
            found.append((len(differing), f"this network has {differing[0]}, unlike {name}"))
    return min(found)[1] if found else "none of its networks has such stages of such blocks"


def _unknown_to_timm(model: keras.Model) -> str:
    for layer in model.layers:
        if isinstance(layer, Stem) and layer.name == "stem" and layer.kernel_size == 3 and not layer.deep:
            return "a network for small pictures, whose stem is one 3x3 convolution"
        if isinstance(layer, Residual) and layer.get_config().get("shortcut") in (None, "identity"):
            return f"a block without projections, {layer.name}"
    return ""


def _unknown_decoder(model: keras.Model) -> str:
    """In what a network's decoder is none of segmentation_models.pytorch's, in words; "" where it is one, or there is none."""
    climbs, decodes, halved = 0, False, None
    for layer in model.layers:
        for name, values in DECODERS.get(type(layer), {}).items():
            if getattr(layer, name) not in values:
                allowed = " or ".join(map(repr, values))
                return f"segmentation_models.pytorch's decoders have {name}={allowed}, this network has {getattr(layer, name)!r}"
        if type(layer) in DECODERS and layer.activation is not keras.activations.relu:
            return f"segmentation_models.pytorch's decoders have activation='relu', {layer.name!r} of this network has {layer.activation!r}"
        if isinstance(layer, ClimbingConvs) and layer.norm_epsilon != 1e-5:  # no statistic in the file takes it up
            return f"segmentation_models.pytorch's group norms have norm_epsilon=1e-05, {layer.name!r} has {layer.norm_epsilon}"
        if isinstance(layer, AtrousPyramid) and len(layer.rates) != 3:
            return f"segmentation_models.pytorch's pyramids have three rates, this network has {len(layer.rates)}"
        climbs += isinstance(layer, ClimbingConvs)
        decodes = decodes or type(layer) in DECODERS
        if isinstance(layer, Residual) and layer.first_dilation_rate not in (None, layer.dilation_rate):
            halved = layer.name
    if decodes and halved:
        return f"segmentation_models.pytorch dilates the first block of a stage as the others (dilates_first=True), unlike {halved!r}"
    return "" if climbs in (0, 4) else f"segmentation_models.pytorch's feature pyramids have four maps, this network has {climbs}"


def _settings(model: keras.Model) -> dict[str, dict[str, Any]]:
    """Settings of every layer in front of the head by its name, its kind among them."""
    parts = ("stem", "stage", "transition", "post_norm")
    return {layer.name: {"kind": type(layer).__name__, **layer.get_config()} for layer in model.layers if layer.name.startswith(parts)}


@functools.cache
def _row_settings(name: str) -> dict[str, dict[str, Any]]:
    """Those of a row's network."""
    row = ROWS[name]
    return _settings(row.builder(**{**row.settings, "include_top": False, "data_format": "channels_last", "dtype": "float32"}))


def _without(left_out: set, settings: Mapping[str, Mapping]) -> dict[str, dict[str, Any]]:
    return {name: {key: value for key, value in own.items() if key not in left_out} for name, own in settings.items()}


def _of_kind(name: str, own: Mapping[str, Mapping]) -> bool:
    """Whether a row has as many blocks as this network, of the same class in the first stage."""
    depths = ROWS[name].settings["depths"]
    if f"stage{len(depths)}" in own:  # dense blocks, one layer a stage
        return tuple(own[f"stage{i}"].get("num_layers") for i in range(1, len(depths) + 1)) == tuple(depths)
    blocks = [key for key in own if key.startswith("stage")]
    return blocks == [f"stage{stage}_block{block}" for stage, depth in enumerate(depths, 1) for block in range(1, depth + 1)]


def _differences(own: Mapping[str, Mapping], other: Mapping[str, Mapping]) -> list[str]:
    """All settings that differ, in words."""
    found = []
    for name in {**own, **other}:
        ours, theirs = own.get(name), other.get(name)
        if ours is None or theirs is None:
            found.append(f"{'no' if ours is None else 'a'} layer {name!r}")
        else:
            found += [f"{key}={ours[key]!r} in {name!r}" for key in ours if key not in theirs or ours[key] != theirs[key]]
    return found
