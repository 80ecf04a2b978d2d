"""timm's arguments of a network, as a hub's configuration holds them, in our words."""

from collections.abc import Callable, Mapping
from typing import Any

# Those of training alone, whose value changes nothing in a network that is loaded; classes and channels are looked at elsewhere.
OF_TRAINING = {
    *("drop_rate", "drop_path_rate", "drop_block_rate", "proj_drop_rate", "attn_drop_rate", "pos_drop_rate", "patch_drop_rate"),
    *("pretrained", "zero_init_last", "memory_efficient", "weight_init", "num_classes", "in_chans", "global_pool"),
}
NAMES = {
    **{
        "layers": "depths",
        "channels": "widths",
        "cardinality": "groups",
        "base_width": "group_width",
        "block_reduce_first": "reduce_first",
    },
    **{"output_stride": "output_stride", "growth_rate": "growth_rate", "block_config": "depths", "bn_size": "bottleneck"},
    **{"embed_dim": "dim", "num_heads": "num_heads", "patch_size": "patch_size", "mlp_ratio": "mlp_ratio", "qkv_bias": "qkv_bias"},
    **{"init_values": "layer_scale"},
}
STEMS = {"": "7x7", "deep": "deep", "deep_tiered": "tiered"}
ACTIVATIONS = {"relu": "relu", "silu": "silu", "swish": "silu", "gelu": "gelu", "elu": "elu", "selu": "selu"}
NORMS = {"batchnorm": "batch", "batchnorm2d": "batch", "groupnorm": "group"}
ANTI_ALIASES = {"avg": "average", "avgpool": "average", "blur": "blur", "blurpool": "blur"}


def translated(arguments: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Our builder's settings for timm's `model_args`.

    Args:
        arguments: timm's.
        base: our settings of the network that they change, its row's.

    Raises:
        ValueError: at an argument, or a value of one, that has no counterpart here.
    """
    settings: dict[str, Any] = {}
    rules: dict[str, Callable[[Any], dict[str, Any]]] = {
        **{theirs: lambda value, ours=ours: {ours: value} for theirs, ours in NAMES.items()},
        "act_layer": lambda value: {"activation": ACTIVATIONS[value]},
        "norm_layer": lambda value: {"norm": NORMS[value]},
        "aa_layer": lambda value: {"anti_alias": ANTI_ALIASES[value] if value else None},
        "avg_down": lambda value: {"shortcut": "avg_pool" if _flag(value) else _plain_shortcut(arguments)},
        "down_kernel_size": lambda value: {"shortcut": "avg_pool" if arguments.get("avg_down") else _plain_shortcut(arguments)},
        "replace_stem_pool": lambda value: {"stem_pool": "conv" if _flag(value) else "max"},
        "block_args": _block_settings,
        "stem_type": lambda value: _stem(arguments, base),
        "stem_width": lambda value: _stem(arguments, base),
        "depth": _stages,
        "img_size": lambda value: {},  # the size of its images is in pretrained_cfg too
        "class_token": lambda value: {} if _flag(value) else {}[value],
    }
    for name, value in arguments.items():
        if name in OF_TRAINING:
            continue
        try:
            settings |= rules[name](value)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it has timm's setting {name}={value!r}, which is not known here") from error
    return settings


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("no flag")
    return value


def _plain_shortcut(arguments: Mapping[str, Any]) -> str:
    return {1: "projection", 3: "projection_3x3"}[arguments.get("down_kernel_size", 1)]


def _stem(arguments: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """timm counts the channels of a deep stem's first convolutions, half of those that leave it."""
    before = base.get("stem", "7x7")
    stem = STEMS[arguments["stem_type"]] if "stem_type" in arguments else before
    width = arguments.get("stem_width", base.get("stem_width", 64) // (1 if before == "7x7" else 2))
    return {"stem": stem, "stem_width": width * (1 if stem == "7x7" else 2)}


def _block_settings(values: Any) -> dict[str, Any]:
    values = dict(values or {})
    attention = {"se": "se", "eca": "eca", None: None}[values.pop("attn_layer", None)]
    if values:
        raise KeyError(*values)
    return {"attention": attention}


def _stages(depth: Any) -> dict[str, Any]:
    """A transformer's blocks in four equal stages."""
    if not isinstance(depth, int) or depth % 4:
        raise TypeError("no multiple of 4")
    return {"depths": (depth // 4,) * 4}
