"""What the golden files of the diffusion U-Nets share with those that read them, and where each of our variables is in diffusers' names."""

import dataclasses
import re
from typing import Any

import numpy as np

from tests.golden import seeded

SIZE = (16, 24)  # height and width, both of which diffusers' network needs to be even at every stride
TIMESTEPS = (3, 987)
LABELS = (4, 0)
IMAGES_SEED = 5


@dataclasses.dataclass(frozen=True)
class Case:
    """Settings of `diffusion_unet`, and those of diffusers' `UNet2DModel` for the same network."""

    ours: dict[str, Any]
    theirs: dict[str, Any]


CASES = {
    # as google/ddpm-cifar10-32, narrower
    "diffusion_ddpm": Case(
        dict(width=32, multipliers=(1, 2, 2), attention_strides=(2,)),
        dict(
            out_channels=3,
            block_out_channels=(32, 64, 64),
            layers_per_block=2,
            down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
            downsample_padding=0,
            freq_shift=1,
            flip_sin_to_cos=False,
            norm_eps=1e-6,
            attention_head_dim=None,
        ),
    ),
    # ADM: scale and shift, several heads at two resolutions, residual resampling, classes, a learned variance
    "diffusion_adm": Case(
        dict(
            width=32,
            multipliers=(1, 2, 3),
            depth=1,
            attention_strides=(2, 4),
            head_channels=16,
            scale_shift=True,
            resampling="residual",
            embedding="adm",
            learn_sigma=True,
            norm_epsilon=1e-5,
            classes=5,
        ),
        dict(
            out_channels=6,
            block_out_channels=(32, 64, 96),
            layers_per_block=1,
            down_block_types=("ResnetDownsampleBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D"),
            downsample_type="resnet",
            upsample_type="resnet",
            freq_shift=0,
            flip_sin_to_cos=True,
            norm_eps=1e-5,
            attention_head_dim=16,
            attn_norm_num_groups=32,
            resnet_time_scale_shift="scale_shift",
            num_class_embeds=5,
        ),
    ),
    # ADM's strided convolutions, padded on both sides, and several heads by their number
    "diffusion_symmetric": Case(
        dict(width=32, multipliers=(1, 2), depth=1, attention_strides=(1,), num_heads=2, padding="symmetric", norm_epsilon=1e-5),
        dict(
            out_channels=3,
            block_out_channels=(32, 64),
            layers_per_block=1,
            down_block_types=("AttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "AttnUpBlock2D"),
            downsample_padding=1,
            freq_shift=1,
            flip_sin_to_cos=False,
            norm_eps=1e-5,
            attention_head_dim=16,  # of the level with attention; the middle, twice as wide, has heads of 32 below
        ),
    ),
}


def weight(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """As `seeded.weight`, with less variance: the sums along the shortcuts grow with every block."""
    return seeded.weight(key, shape) * np.float32(0.5 if len(shape) > 1 else 1)


def images() -> np.ndarray:
    """Two pictures of `SIZE`, channels last."""
    return seeded.images(IMAGES_SEED, 2, max(SIZE))[:, : SIZE[0], : SIZE[1]]


PARTS = {"dense": "time_emb_proj", "shortcut": "conv_shortcut", "norm": "group_norm", "projection": "to_out.0"}
NAMES = {"kernel": "weight", "gamma": "weight", "table": "weight", "beta": "bias", "bias": "bias"}
WHOLE = {
    "stem": "conv_in",
    "head": "conv_out",
    "norm/norm": "conv_norm_out",
    "label": "class_embedding",
    "time/dense1": "time_embedding.linear_1",
    "time/dense2": "time_embedding.linear_2",
}


def keys(path: str, levels: int) -> list[str]:
    """diffusers' names of what our variable of this path holds: three for queries, keys and values, else one."""
    layer, _, name = path.rpartition("/")
    if layer in WHOLE:
        return [f"{WHOLE[layer]}.{NAMES[name]}"]
    block, *part = layer.split("/")
    found = re.fullmatch(r"(down|middle|up)(\d*)_(block|attention|resample)(\d*)", block)
    assert found, path
    way, level, kind, place = found.groups()
    where = {"down": f"down_blocks.{int(level or 1) - 1}", "up": f"up_blocks.{levels - int(level or 0)}", "middle": "mid_block"}[way]
    if kind == "resample":
        inner = f"{where}.{way}samplers.0"
        inner = f"{inner}.conv" if part in ([], ["conv"]) else f"{inner}.{PARTS.get(part[0], part[0])}"
    else:
        place = str(int(place or 1) - 1)
        inner = f"{where}.{'resnets' if kind == 'block' else 'attentions'}.{place}"
        if part == ["qkv"]:
            return [f"{inner}.to_{letter}.{NAMES[name]}" for letter in "qkv"]
        inner = f"{inner}.{PARTS.get(part[0], part[0])}"
    return [f"{inner}.{NAMES[name]}"]


def value(path: str, shape: tuple[int, ...], levels: int) -> tuple[np.ndarray, dict[str, tuple[int, ...]]]:
    """The numbers of our variable of this path and shape, and the shapes that diffusers' tensors have."""
    found = keys(path, levels)
    kernel = path.endswith("kernel")
    theirs = (shape[-1] // len(found), shape[-2], *shape[:-2]) if kernel else (shape[0] // len(found), *shape[1:])
    parts = [weight(key, theirs) for key in found]
    if kernel:
        parts = [np.moveaxis(part, (0, 1), (-1, -2)) for part in parts]
    return np.concatenate(parts, -1 if kernel else 0), dict.fromkeys(found, theirs)
