"""How much arithmetic an operation is: what `keras_resnet.profile` adds up, noted down while somebody records."""

import contextlib
import dataclasses
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any


@dataclasses.dataclass(frozen=True)
class Work:
    """The arithmetic of one call of an operation: multiply-adds of products, how many numbers they put out, and operations of norms."""

    name: str
    macs: int = 0
    outputs: int = 0
    norms: int = 0


@dataclasses.dataclass
class _Recording:
    works: list[Work]
    thread: int


open_recording: _Recording | None = None


@contextlib.contextmanager
def recording() -> Iterator[list[Work]]:
    """Gives a list to which this thread's operations append their work, until the end of the block.

    ```python
    with backend.recording() as works:
        layer(x)
    macs = sum(work.macs for work in works)
    ```

    While it is open no convolution runs with its norm folded in. What is compiled already runs past it.
    """
    global open_recording
    before, open_recording = open_recording, _Recording([], threading.get_ident())
    try:
        yield open_recording.works
    finally:
        open_recording = before


def record(name: str, macs: int = 0, outputs: int = 0, norms: int = 0) -> None:
    """Notes the work of a call while somebody records, else does nothing.

    For layers that multiply by themselves, not through an operation of `keras_resnet.backend` that is counted. The numbers are those of a
    batch of one image.

    Args:
        name: of the operation; `"conv2d"` and `"dense"` are those that count as a network's depth.
        macs: multiply-adds of a convolution, a dense layer or a product of matrices.
        outputs: how many numbers that product puts out, its activations.
        norms: operations as fvcore counts those of norms: 2 a number for batch normalization, 5 for group and layer normalization, 4
            for each number of a kernel that is standardized.
    """
    if open_recording is not None and open_recording.thread == threading.get_ident():
        open_recording.works.append(Work(name, macs, outputs, norms))


def size(x: Any) -> int:
    """How many numbers `x` has, whose shape is known."""
    return math.prod(int(length) for length in x.shape)


def _conv2d(y: Any, x: Any, kernel: Any, *args: Any, **kwargs: Any) -> dict[str, int]:
    return dict(macs=size(y) * math.prod(int(length) for length in kernel.shape[:-1]), outputs=size(y))


def _conv_transpose(y: Any, x: Any, kernel: Any, *args: Any, **kwargs: Any) -> dict[str, int]:
    return dict(macs=size(x) * math.prod(int(length) for length in kernel.shape[:-1]), outputs=size(y))


def _batch_norm(y: Any, x: Any, gamma: Any = None, *args: Any, **kwargs: Any) -> dict[str, int]:
    return dict(norms=size(y) * (1 if gamma is None else 2))


def _mean_norm(y: Any, *args: Any, **kwargs: Any) -> dict[str, int]:
    return dict(norms=5 * size(y))


def _dense(y: Any, x: Any, kernel: Any, *args: Any, **kwargs: Any) -> dict[str, int]:
    return dict(macs=size(y) * int(kernel.shape[0]), outputs=size(y))


def _self_attention(y: Any, qkv: Any, num_heads: int, *args: Any, **kwargs: Any) -> dict[str, int]:
    tokens = int(y.shape[1])
    return dict(macs=2 * size(y) * tokens, outputs=int(y.shape[0]) * num_heads * tokens**2 + size(y))


def _blur(y: Any, x: Any, window: int, *args: Any, **kwargs: Any) -> dict[str, int]:
    return dict(macs=size(y) * window**2, outputs=size(y))


def _standardize(y: Any, kernel: Any, gain: Any = None, *args: Any, **kwargs: Any) -> dict[str, int]:
    return dict(norms=size(y) * (4 if gain is None else 5))


# By the name of the operation; the others are free in both conventions: pools, sums and activations.
COUNTS: dict[str, Callable[..., dict[str, int]]] = {
    "conv2d": _conv2d,
    "conv3d": _conv2d,
    "conv_transpose": _conv_transpose,
    "batch_norm_inference": _batch_norm,
    "batch_norm_training": _batch_norm,
    "blur_pool2d": _blur,
    "dense": _dense,
    "group_norm": _mean_norm,
    "layer_norm": _mean_norm,
    "self_attention": _self_attention,
    "standardize_kernel": _standardize,
}
