"""segmentation_models.pytorch's U-Nets, feature pyramid and DeepLabV3+ for images of any size, made of its own modules. To be imported
where it is.

Its own networks, `Unet` aside, enlarge by fixed factors, and so refuse an image whose sides 32 (16) does not divide. Here each map is
enlarged to the very size of what it meets; where the sides divide, that is the same.
"""

from typing import Any

import torch
from torch.nn import functional


def _aligned(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(x, like.shape[2:], mode="bilinear", align_corners=True)


def any_size(made: Any, images: torch.Tensor) -> torch.Tensor:
    """The logits of its `Unet`, `UnetPlusPlus`, `FPN` or `DeepLabV3Plus`."""
    decode = {"Unet": _unet, "UnetPlusPlus": _nested, "FPN": _pyramid, "DeepLabV3Plus": _deeplab}[type(made).__name__]
    return _aligned(made.segmentation_head[0](decode(made.decoder, made.encoder(images))), images)


def _unet(decoder: Any, maps: list) -> torch.Tensor:
    return decoder(maps)  # which enlarges to the sizes of the maps by itself


def _nested(decoder: Any, maps: list) -> torch.Tensor:
    """Block `x_i_j` makes a map of the size of the encoder's `rows[j + 1]`, of which all made before at that size are its skips."""
    image, *rows = maps
    rows = [*rows[::-1], image]
    made: dict[tuple[int, int], torch.Tensor] = {}
    for j in range(decoder.depth):
        for i in reversed(range(j + 1)):
            below = rows[j] if i == j else made[i, j - 1]
            skips = [made[k, j] for k in range(i + 1, j + 1)] + [rows[j + 1]]
            made[i, j] = _block(decoder.blocks[f"x_{i}_{j}"], below, rows[j + 1], torch.cat(skips, 1))
    return _block(decoder.blocks[f"x_0_{decoder.depth}"], made[0, decoder.depth - 1], image, None)


def _block(block: Any, x: torch.Tensor, like: torch.Tensor, skips: torch.Tensor | None) -> torch.Tensor:
    x = functional.interpolate(x, like.shape[2:], mode="nearest")
    x = x if skips is None else block.attention1(torch.cat([x, skips], 1))
    return block.attention2(block.conv2(block.conv1(x)))


def _pyramid(decoder: Any, maps: list) -> torch.Tensor:
    *_, c2, c3, c4, c5 = maps
    pyramid = [decoder.p5(c5)]
    for block, skip in ((decoder.p4, c4), (decoder.p3, c3), (decoder.p2, c2)):
        pyramid.append(functional.interpolate(pyramid[-1], skip.shape[2:], mode="nearest") + block.skip_conv(skip))
    total: Any = 0
    for place, (x, steps) in enumerate(zip(pyramid, decoder.seg_blocks, strict=True)):
        for step, like in zip(steps.block, (*pyramid[place + 1 :], None), strict=False):
            x = step.block(x)  # without its enlargement
            x = x if like is None else _aligned(x, like)
        total = total + x
    return total


def _deeplab(decoder: Any, maps: list) -> torch.Tensor:
    early = decoder.block1(maps[2])
    return decoder.block2(torch.cat([_aligned(decoder.aspp(maps[-1]), early), early], 1))
