"""Makes nnunet.npz. Run by hand where torch and dynamic-network-architectures 0.4.4 are installed: `python -m tests.golden.make_nnunet`."""

import numpy as np
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from torch import nn

from tests.golden.seeded import weight
from tests.golden.seeded_nnunet import CASES, FILE, WIDTHS, image


def network(settings: dict, dims: int) -> nn.Module:
    """The network of these settings, with weights from the names of its parameters."""
    count = len(WIDTHS)
    strides, windows = settings["strides"], settings.get("kernel_sizes", 3)
    strides = [1, *(strides if isinstance(strides, tuple) else [strides] * (count - 1))]
    windows = list(windows) if isinstance(windows, tuple) else [windows] * count
    every = lambda value: tuple(value) if isinstance(value, tuple) else (value,) * dims  # noqa: E731
    residual = settings.get("residual", False)
    depths = settings["depths"] if isinstance(settings["depths"], tuple) else (settings["depths"],) * count
    made = (ResidualEncoderUNet if residual else PlainConvUNet)(
        1,
        count,
        WIDTHS,
        {2: nn.Conv2d, 3: nn.Conv3d}[dims],
        [every(window) for window in windows],
        [every(stride) for stride in strides],
        depths,
        2,
        settings["decoder_depths"],
        conv_bias=True,
        norm_op={2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}[dims],
        norm_op_kwargs=dict(eps=1e-5, affine=True),
        nonlin=nn.LeakyReLU,
        nonlin_kwargs=dict(inplace=True),
        deep_supervision=True,
    ).double()
    with torch.no_grad():
        for key, parameter in made.named_parameters():
            parameter.copy_(torch.from_numpy(weight(key, tuple(parameter.shape))))
    return made.eval()


def main() -> None:
    found = {}
    for name, (settings, size) in CASES.items():
        x = torch.from_numpy(np.moveaxis(image(name), -1, 1).copy()).double()
        with torch.no_grad():
            outputs = network(settings, len(size))(x)
        mode = {2: "bilinear", 3: "trilinear"}[len(size)]
        for label, y in zip(("out", "aux1"), outputs, strict=True):
            y = nn.functional.interpolate(y, size, mode=mode)  # as our heads put it out; the first has that size already
            found[f"{name}/{label}"] = np.moveaxis(y.numpy(), 1, -1).astype("float32")
    np.savez_compressed(FILE, **found)


if __name__ == "__main__":
    main()
