"""Makes `layers.npz`: what timm's layers give, in float64. Run by hand, where timm is installed: `python -m tests.golden.make_layers`.

For each case the input, timm's parameters under its own names and in its own layout, and the output.
"""

from unittest import mock

import numpy as np
import torch

from benchmarks.peers import import_torchvision
from tests.golden import layers

import_torchvision()
from timm.layers import (  # noqa: E402  (it imports torchvision, which must have been brought in the way above)
    BlurPool2d,
    EcaModule,
    ScaledStdConv2d,
    SEModule,
    StdConv2d,
    drop_block_2d,
)
from timm.layers.std_conv import ScaledStdConv2dSame, StdConv2dSame  # noqa: E402

RELU_GAMMA = 1.7139588594436646
#   channels, height, width, module
CASES = {
    "squeeze_excite":          (40, 5, 4, lambda: SEModule(40)),
    "squeeze_excite_quarter":  (40, 4, 5, lambda: SEModule(40, rd_ratio=0.25)),
    "squeeze_excite_1":        (44, 4, 5, lambda: SEModule(44, rd_ratio=0.5, rd_divisor=1)),
    "eca":                     (32, 5, 4, lambda: EcaModule(32)),
    "eca_wide":                (300, 1, 2, lambda: EcaModule(300)),
    "blur":                    (3, 8, 8, lambda: BlurPool2d(3)),
    "blur_odd":                (3, 9, 7, lambda: BlurPool2d(3)),
    "blur_1":                  (3, 6, 7, lambda: BlurPool2d(3, stride=1)),
    "blur_5":                  (3, 8, 9, lambda: BlurPool2d(3, filt_size=5)),
    "blur_4":                  (3, 8, 9, lambda: BlurPool2d(3, filt_size=4)),
    "blur_2_1":                (3, 5, 4, lambda: BlurPool2d(3, filt_size=2, stride=1)),
    "standardized":            (6, 8, 7, lambda: StdConv2d(6, 4, 3, stride=2, bias=True, eps=1e-8)),
    "standardized_grouped":    (6, 5, 6, lambda: StdConv2d(6, 4, 3, groups=2, eps=1e-3)),
    "standardized_same":       (6, 8, 7, lambda: StdConv2dSame(6, 4, 3, stride=2, eps=1e-8)),
    "standardized_same_7":     (3, 16, 15, lambda: StdConv2dSame(3, 4, 7, stride=2, eps=1e-8)),
    "scaled":                  (6, 8, 7, lambda: ScaledStdConv2d(6, 4, 3, stride=2, gamma=RELU_GAMMA, eps=1e-5)),
    "scaled_grouped":          (6, 5, 6, lambda: ScaledStdConv2d(6, 4, 3, groups=2, bias=False, eps=1e-2)),
    "scaled_same":             (6, 8, 7, lambda: ScaledStdConv2dSame(6, 4, 3, stride=2, gamma=RELU_GAMMA, eps=1e-5)),
    "group_norm":              (12, 5, 6, lambda: torch.nn.GroupNorm(4, 12, eps=1e-5)),
    "instance_norm":           (6, 5, 6, lambda: torch.nn.GroupNorm(6, 6, eps=1e-3)),
}  # fmt: skip
#  height, width, block size, share dropped
DROPS = {"drop": (12, 11, 5, 0.15), "drop_even": (12, 11, 4, 0.2), "drop_clipped": (5, 11, 7, 0.1)}


def main() -> None:
    """Writes the file."""
    random = np.random.RandomState(0)
    found = {}
    for case, (channels, height, width, make) in CASES.items():
        module = make().double()
        x = random.normal(0.3, 1.0, (2, channels, height, width)).astype("float32")
        found[f"{case}.x"] = x
        for key, parameter in module.named_parameters():
            value = (random.normal(0.2, 0.5, tuple(parameter.shape))).astype("float32")
            parameter.data = torch.from_numpy(value).double()
            found[f"{case}.{key}"] = value
        found[f"{case}.y"] = module(torch.from_numpy(x).double()).detach().numpy().astype("float32")
    for case, (height, width, size, rate) in DROPS.items():
        x = random.normal(0.0, 1.0, (3, 2, height, width)).astype("float32")
        seeds: list = []

        def bernoulli(tensor: torch.Tensor, gamma: float, seeds: list = seeds) -> torch.Tensor:
            value = (random.random_sample(tuple(tensor.shape)) < gamma).astype("float32")
            seeds.extend([gamma, value])
            return tensor.copy_(torch.from_numpy(value))

        with mock.patch.object(torch.Tensor, "bernoulli_", bernoulli):
            y = drop_block_2d(torch.from_numpy(x).double(), rate, size)
        assert 0 < seeds[1].sum() < 9
        found.update({f"{case}.x": x, f"{case}.y": y.numpy().astype("float32"), f"{case}.gamma": seeds[0], f"{case}.centres": seeds[1]})
    np.savez_compressed(layers.FILE, **found)


if __name__ == "__main__":
    main()
