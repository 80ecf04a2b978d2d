"""Makes unets.npz: U-Nets written down from their papers in PyTorch's functions, in float64. By hand: `python -m tests.golden.make_unets`.

Nothing of the library is used here but the names of its variables, from which the weights are drawn.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from tests.golden.seeded_unets import CASES, FILE, image, weight

EPSILON = 1e-5
Maps = dict[str, torch.Tensor]


class Weights:
    """Operations with weights, which are drawn as they are asked for; `shapes` keeps which."""

    def __init__(self) -> None:
        self.shapes: dict[str, tuple[int, ...]] = {}

    def tensor(self, key: str, *shape: int) -> torch.Tensor:
        assert key not in self.shapes
        self.shapes[key] = shape
        return torch.from_numpy(np.asarray(weight(key, shape))).double()

    def conv(self, x: torch.Tensor, name: str, filters: int, window: int = 3, stride: int = 1, bias: bool = True, pad: Any = None) -> Any:
        """A convolution whose map keeps its size, divided by the stride; `pad` on each side where it is another."""
        dims = x.ndim - 2
        kernel = self.tensor(f"{name}.weight", filters, x.shape[1], *(window,) * dims)
        shift = self.tensor(f"{name}.bias", filters) if bias else None
        run = {2: functional.conv2d, 3: functional.conv3d}[dims]
        return run(x, kernel, shift, stride=stride, padding=window // 2 if pad is None else pad)

    def transposed(self, x: torch.Tensor, name: str, filters: int, window: int) -> torch.Tensor:
        """A transposed convolution of stride 2, without the last row and column where the window makes one too many."""
        kernel = self.tensor(f"{name}.weight", x.shape[1], filters, window, window)
        y = functional.conv_transpose2d(x, kernel, self.tensor(f"{name}.bias", filters), stride=2)
        return y[:, :, : 2 * x.shape[2], : 2 * x.shape[3]]

    def norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        mean, variance, gamma, beta = (
            self.tensor(f"{name}.{leaf}", x.shape[1]).reshape(-1, *(1,) * (x.ndim - 2))
            for leaf in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / torch.sqrt(variance + EPSILON) * gamma + beta

    def double(
        self, x: torch.Tensor, name: str, filters: tuple[int, ...], normalized: bool, bias: bool = True, pad: int = 1
    ) -> torch.Tensor:
        """Convolutions 3x3, each with its norm, if there are any, and ReLU."""
        for place, count in enumerate(filters, start=1):
            x = self.conv(x, f"{name}.conv{place}", count, bias=bias, pad=pad)
            x = torch.relu(self.norm(x, f"{name}.norm{place}") if normalized else x)
        return x


def halved(x: torch.Tensor, ceil: bool = False) -> torch.Tensor:
    run = functional.max_pool2d if x.ndim == 4 else functional.max_pool3d
    return run(x, 2, 2, ceil_mode=ceil)


def larger(x: torch.Tensor, mode: str, size: Any = None) -> torch.Tensor:
    """Twice as large, or of the size."""
    size = tuple(2 * side for side in x.shape[2:]) if size is None else size
    if mode == "nearest":
        return functional.interpolate(x, size, mode="nearest")
    return functional.interpolate(x, size, mode="bilinear" if x.ndim == 4 else "trilinear", align_corners=False)


def joined(*maps: torch.Tensor) -> torch.Tensor:
    return torch.cat(maps, 1)


def padded(x: torch.Tensor, multiple: int) -> torch.Tensor:
    """The last pixels repeated until every side is a multiple."""
    extra = [amount for side in reversed(x.shape[2:]) for amount in (0, -side % multiple)]
    return functional.pad(x, extra, mode="replicate") if any(extra) else x


def plain_unet(w: Weights, image: torch.Tensor, settings: dict) -> Maps:
    """Ronneberger et al. 2015; without a convolution behind the interpolation the level below hands up as few channels as are wanted."""
    widths, way, window = settings["widths"], settings.get("upsampling", "transpose"), settings.get("up_kernel")
    normalized = "norm" in settings
    bias = settings.get("use_bias", not normalized)
    narrows = way in ("bilinear", "nearest") and window is None
    last = len(widths) - 1
    valid = settings.get("padding") == "valid"
    pad = 0 if valid else 1
    x, skips = image if valid else padded(image, 2**last), []
    for level, width in enumerate(widths):
        width = widths[level - 1] if narrows and level == last else width
        x = w.double(halved(x) if level else x, f"down{level + 1}", (width, width), normalized, bias, pad)
        skips.append(x)
    for level in range(last - 1, -1, -1):
        name, width = f"up{level + 1}", widths[level]
        if way == "transpose":
            x = w.transposed(x, f"{name}_enlarge.conv1", width, 2)
        elif way == "pixel_shuffle":
            x = w.conv(x, f"{name}_enlarge.conv1", 4 * width)
            n, _, high, wide = x.shape
            x = x.reshape(n, 2, 2, width, high, wide).permute(0, 3, 4, 1, 5, 2).reshape(n, width, 2 * high, 2 * wide)
        else:
            x = larger(x, way)
        if window is not None:
            x = w.conv(x, f"{name}_enlarge.conv1", width, window, bias=bias)
            x = torch.relu(w.norm(x, f"{name}_enlarge.norm1") if normalized else x)
        top, left = ((old - new) // 2 for old, new in zip(skips[level].shape[2:], x.shape[2:], strict=True))
        skip = skips[level][:, :, top : top + x.shape[2], left : left + x.shape[3]]  # where nothing is padded, its middle
        if settings.get("attention"):  # the form most people have: both of one size, a norm behind each convolution
            of_skip = w.norm(w.conv(skip, f"{name}_gate.conv_skip", width // 2, 1), f"{name}_gate.norm_skip")
            of_gating = w.norm(w.conv(x, f"{name}_gate.conv_gating", width // 2, 1), f"{name}_gate.norm_gating")
            found = w.conv(torch.relu(of_skip + of_gating), f"{name}_gate.conv_weight", 1, 1)
            skip = skip * torch.sigmoid(w.norm(found, f"{name}_gate.norm_weight"))
        handed = widths[max(level - 1, 0)] if narrows else width
        x = w.double(joined(skip, x), name, (width, handed), normalized, bias, pad)
    return {"out": w.conv(x, "head", 2, 1)}


def nested_unet(w: Weights, image: torch.Tensor, settings: dict) -> Maps:
    """Zhou et al. 2018, equation 1: x[i][j] of x[i][0], ..., x[i][j - 1] and the enlarged x[i + 1][j - 1]."""
    widths = settings["widths"]
    last = len(widths) - 1
    x: dict[tuple[int, int], torch.Tensor] = {}
    for i, width in enumerate(widths):
        x[i, 0] = w.double(halved(x[i - 1, 0]) if i else image, f"x_{i}_0", (width, width), False)
    for j in range(1, last + 1):
        for i in range(last + 1 - j):
            up = w.transposed(x[i + 1, j - 1], f"x_{i}_{j}_enlarge.conv1", widths[i], 2)
            x[i, j] = w.double(joined(*(x[i, k] for k in range(j)), up), f"x_{i}_{j}", (widths[i],) * 2, False)
    if not settings.get("deep_supervision"):
        return {"out": w.conv(x[0, last], "head", 1, 1)}
    heads = {f"aux{j}": torch.sigmoid(w.conv(x[0, last + 1 - j], f"aux{j}", 1, 1)) for j in range(1, last + 1)}
    return {"out": sum(heads.values()) / last, **heads}  # the "accurate" mode


def resunet(w: Weights, image: torch.Tensor, settings: dict) -> Maps:
    """Zhang et al. 2017, figure 2 and equation 1: a unit's output is h(x) + F(x), h a 1x1 convolution of its input where shapes change."""
    widths = settings["widths"]

    def unit(x: torch.Tensor, name: str, filters: int, stride: int = 1) -> torch.Tensor:
        y = torch.relu(w.norm(x, f"{name}_unit.norm1"))
        y = w.conv(y, f"{name}_unit.conv1", filters, stride=stride)
        y = torch.relu(w.norm(y, f"{name}_unit.norm2"))
        return w.conv(y, f"{name}_unit.conv2", filters) + w.conv(x, f"{name}_shortcut", filters, 1, stride)

    image = padded(image, 2 ** (len(widths) - 1))
    x = torch.relu(w.norm(w.conv(image, "stem_conv1", widths[0]), "stem_norm.norm"))
    x = w.conv(x, "stem_conv2", widths[0]) + w.conv(image, "stem_shortcut", widths[0], 1)
    skips = [x]
    for level, width in enumerate(widths[1:], start=2):
        x = unit(x, "bridge" if level == len(widths) else f"down{level}", width, 2)
        skips.append(x)
    for level in range(len(widths) - 1, 0, -1):
        x = unit(joined(larger(x, "nearest"), skips[level - 1]), f"up{level}", widths[level - 1])
    return {"out": w.conv(x, "head", 1, 1)}


def attention_unet(w: Weights, image: torch.Tensor, settings: dict) -> Maps:
    """Oktay et al. 2018, figures 1 and 2: theta 2x2x2 on the skip, phi on the gating signal, psi; no gate at the first level."""
    widths, gates = settings["widths"], settings.get("gates", 1)
    last = len(widths) - 1

    def gated(skip: torch.Tensor, signal: torch.Tensor, name: str) -> torch.Tensor:
        width, found = skip.shape[1], []
        for gate in range(1, gates + 1):
            theta = w.conv(skip, f"{name}.conv{gate}_skip", width, 2, 2, bias=False, pad=0)
            phi = w.conv(signal, f"{name}.conv{gate}_gating", width, 1)
            alpha = torch.sigmoid(w.conv(torch.relu(theta + phi), f"{name}.conv{gate}_weight", 1, 1))
            y = w.conv(larger(alpha, "linear") * skip, f"{name}.conv{gate}_out", width, 1)
            found.append(w.norm(y, f"{name}.norm{gate}_out"))
        return torch.relu(w.norm(w.conv(joined(*found), f"{name}.conv_joined", width, 1), f"{name}.norm_joined"))

    x, skips = image, []
    for level, width in enumerate(widths):
        x = w.double(halved(x) if level else x, f"down{level + 1}", (width, width), True)
        skips.append(x)
    signal = torch.relu(w.norm(w.conv(x, "gating.conv1", widths[-1], 1), "gating.norm1"))
    heads: list = []
    for level in range(last - 1, -1, -1):
        skip = gated(skips[level], signal, f"up{level + 1}_gate") if level else skips[0]
        x = signal = w.double(joined(skip, larger(x, "linear")), f"up{level + 1}", (widths[level],) * 2, True)
        head = w.conv(x, f"aux{level + 1}", 2, 1)
        heads.insert(0, head if level == 0 else larger(head, "linear", image.shape[2:]))
    return {"out": w.conv(joined(*heads), "head", 2, 1)}


def unet3plus(w: Weights, image: torch.Tensor, settings: dict) -> Maps:
    """Huang et al. 2020, figure 2 and equation 1; heads 3x3, and the guidance's product with each output."""
    widths, width = settings["widths"], settings["skip_width"]
    count = len(widths)
    maps: list = []
    for scale, channels in enumerate(widths):
        maps.append(w.double(halved(maps[-1]) if scale else image, f"down{scale + 1}", (channels,) * 2, True))
    for place in range(count - 1, 0, -1):
        parts = []
        for number, x in enumerate(maps, start=1):
            if number < place:  # one maximum over the whole window
                x = functional.max_pool2d(x, 2 ** (place - number))
            elif number > place:
                x = larger(x, "bilinear", maps[place - 1].shape[2:])
            parts.append(w.double(x, f"up{place}.branch{number}", (width,), True))
        maps[place - 1] = w.double(joined(*parts), f"up{place}.fuse", (count * width,), True)
    found = {"out": w.conv(maps[0], "head", 1)}
    if settings.get("deep_supervision"):
        for place in range(1, count):
            found[f"aux{place}"] = larger(w.conv(maps[place], f"aux{place}", 1), "bilinear", image.shape[2:])
    if settings.get("guided"):
        presence = torch.sigmoid(w.conv(maps[-1], "presence_head", 2, 1).amax((2, 3)))
        shows = presence.argmax(1)
        assert sorted(shows.tolist()) == [0, 1], f"one image with and one without, so that both are seen; choose another seed: {presence}"
        found = {label: x * shows.reshape(-1, 1, 1, 1) for label, x in found.items()} | {"presence": presence}
    return found


def fc_densenet(w: Weights, image: torch.Tensor, settings: dict) -> Maps:
    """Jegou et al. 2017, tables 1 and 2: what goes up are the new features of the block below alone, and the last stack as a whole."""
    depths, growth, scales = settings["depths"], settings["growth_rate"], len(settings["depths"]) // 2

    def block(x: torch.Tensor, name: str, depth: int) -> tuple[torch.Tensor, torch.Tensor]:
        new = []
        for place in range(1, depth + 1):
            y = torch.relu(w.norm(x, f"{name}.layer{place}.norm1"))
            new.append(w.conv(y, f"{name}.layer{place}.conv1", growth))
            x = joined(x, new[-1])
        return x, joined(*new)

    x, skips = w.conv(image, "stem", settings.get("stem_width", 48)), []
    for scale in range(1, scales + 1):
        x, _ = block(x, f"down{scale}", depths[scale - 1])
        skips.append(x)
        y = torch.relu(w.norm(x, f"down{scale}_transition.norm"))
        x = halved(w.conv(y, f"down{scale}_transition.conv", x.shape[1], 1))
    x, new = block(x, "middle", depths[scales])
    for scale in range(scales, 0, -1):
        up = w.transposed(new, f"up{scale}_enlarge", new.shape[1], 3)
        x, new = block(joined(up, skips[scale - 1]), f"up{scale}", depths[len(depths) - scale])
    return {"out": w.conv(x, "head", settings.get("classes", 11), 1)}


NETWORKS: dict[str, Callable[[Weights, torch.Tensor, dict], Maps]] = dict(
    plain_unet=plain_unet,
    nested_unet=nested_unet,
    resunet=resunet,
    attention_unet=attention_unet,
    unet3plus=unet3plus,
    fc_densenet=fc_densenet,
)


def main() -> None:
    """Writes the file."""
    found: dict[str, Any] = {}
    for name, case in CASES.items():
        x, weights = torch.from_numpy(np.moveaxis(image(case), -1, 1).copy()).double(), Weights()
        outputs = NETWORKS[case.builder](weights, x, case.settings)
        for label, y in outputs.items():
            y = y[(..., *(slice(side) for side in case.shape[:-1]))] if y.ndim > 2 else y
            found[f"{name}/{label}"] = np.moveaxis(y.numpy(), 1, -1).astype("float32")
        found[f"{name}/tensors"] = "\n".join(f"{key} {' '.join(map(str, shape))}" for key, shape in sorted(weights.shapes.items()))
    np.savez_compressed(FILE, **found)


if __name__ == "__main__":
    main()
