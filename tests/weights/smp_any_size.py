"""segmentation_models.pytorch's feature pyramid and DeepLabV3+ for images of any size, made of its own modules. To be imported where it is.

Its own networks enlarge by fixed factors, and so refuse an image whose sides 32 (16) does not divide. Here each map is enlarged to the very
size of what it meets; where the sides divide, that is the same.
"""

from typing import Any

import torch
from torch.nn import functional


def _aligned(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(x, like.shape[2:], mode="bilinear", align_corners=True)


def any_size(made: Any, images: torch.Tensor) -> torch.Tensor:
    """The logits of its `FPN` or `DeepLabV3Plus`."""
    maps, decoder = made.encoder(images), made.decoder
    decode = _pyramid if type(made).__name__ == "FPN" else _deeplab
    return _aligned(made.segmentation_head[0](decode(decoder, maps)), images)


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
