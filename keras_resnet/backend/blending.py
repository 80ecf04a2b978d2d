"""Many tensors moved towards others, in as few kernels as the backend allows."""

import functools
from typing import Any

import keras
from keras import ops

from keras_resnet.backend.compiled import compiled


def blended(ones: list, others: list, share: float) -> list:
    """`one + share * (other - one)` of each pair. The first ones may be overwritten."""
    if keras.backend.backend() == "torch":
        import torch

        ends = [other.to(one.dtype) for one, other in zip(ones, others, strict=True)]
        if ones:  # which PyTorch asks for
            with torch.no_grad():
                torch._foreach_lerp_(ones, ends, share)
        return ones
    return _together()(ones, others, ops.convert_to_tensor(share, dtype="float32"))


@functools.lru_cache(maxsize=1)
def _together() -> Any:
    def blend(ones: list, others: list, share: Any) -> list:
        return [one + ops.cast(share, one.dtype) * (other - one) for one, other in zip(ones, others, strict=True)]

    return compiled(blend)
