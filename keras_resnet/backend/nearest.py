"""How far the nearest true pixel of a mask is, squared: one operation, written in `keras.ops` and twice faster. All three are here."""

import functools
from collections.abc import Sequence
from typing import Any

from keras import ops

Tensor = Any

BEYOND = 1e12  # what a pixel gets whose channel has no true one: further than any pixel of any image


def squared_distances(mask: Tensor, lengths: Sequence[float], dtype: str = "float32") -> Tensor:
    """Of each pixel the squared distance to the nearest that is true in `mask`, `(n, *sizes, channels)`; `BEYOND` where none is.

    Exact, on the device, inside whatever graph; without a gradient. `lengths` has that of a pixel along each of the sizes. Plainly it goes
    along one axis after the other, each by a loop over places: as many steps as the sizes' sum, each over the whole mask.

    A `Hausdorff` loss with its gradient, 4x256x256x3, processor seconds on one core, before and after, in one run: PyTorch 1.09 and 0.13,
    TensorFlow 0.63 and 0.14, run eagerly 1.87 and 0.17. JAX has the plain way: 0.12.
    """
    squared = ops.where(mask, ops.cast(0, dtype), ops.cast(BEYOND, dtype))
    for axis, length in enumerate(lengths, start=1):
        lines = ops.moveaxis(squared, axis, 0)
        size = ops.shape(lines)[0]
        places = ops.reshape(ops.cast(ops.arange(size), dtype) * length, (-1,) + (1,) * (len(lines.shape) - 1))
        squared = ops.moveaxis(ops.fori_loop(0, size, _step, (lines, lines, places))[0], 0, axis)
    return ops.stop_gradient(ops.where(squared < BEYOND / 2, squared, ops.cast(BEYOND, dtype)))


def _step(other: Tensor, state: tuple) -> tuple:
    # A function of the module: JAX, run eagerly, compiles a loop anew for each function that it has not met.
    least, lines, places = state
    apart = places - ops.take(places, other, axis=0)
    return ops.minimum(least, ops.take(lines, other, axis=0) + apart * apart), lines, places


def by_shifts(mask: Tensor, lengths: Sequence[float], dtype: str = "float32") -> Tensor:
    """PyTorch: shifted views and sums in place, no further than the furthest pixel is.

    Along the first axis distances just add up, so shifts of 1, 2, 4, ... pixels find them.
    """
    import torch

    def nearer(least: Tensor, values: Tensor, shift: int, price: float) -> None:
        """Of each place the least of its own, and of the value `shift` places before and behind it plus `price`."""
        for here, there in ((least[shift:], values[:-shift]), (least[:-shift], values[shift:])):
            torch.minimum(here, torch.add(there, price, out=room[shift:]), out=here)

    with torch.no_grad():
        kind = getattr(torch, dtype)
        *others, last = range(1, len(lengths) + 1)
        lines = torch.where(mask.movedim(last, 0), 0.0, BEYOND).to(kind).contiguous()
        room = torch.empty_like(lines)
        shift, size = 1, len(lines)
        while shift < size:
            nearer(lines, lines, shift, shift)
            shift *= 2
        lines = torch.where(lines < BEYOND / 2, (lines * lengths[-1]) ** 2, BEYOND)
        squared = lines.movedim(0, last)
        for axis in reversed(others):
            lines, length = squared.movedim(axis, 0).contiguous(), lengths[axis - 1]
            least, room = lines.clone(), torch.empty_like(lines)
            some = (lines < BEYOND / 2).any(0)  # elsewhere no shift will find anything
            for shift in range(1, len(lines)):
                price = (shift * length) ** 2
                if shift % 8 == 1 and not bool(((least.amax(0) > price) & some).any()):
                    break
                nearer(least, lines, shift, price)
            squared = least.movedim(0, axis)
        return torch.where(squared < BEYOND / 2, squared, BEYOND)


def compiled(mask: Tensor, lengths: Sequence[float], dtype: str = "float32") -> Tensor:
    """TensorFlow: the plain way as one XLA computation, whose loops keep nothing; each new shape takes 0.1 s to compile, the first 1 s."""
    return ops.stop_gradient(_xla(tuple(map(float, lengths)), dtype)(mask))


@functools.cache
def _xla(lengths: tuple[float, ...], dtype: str) -> Any:
    import tensorflow as tf

    return tf.function(
        functools.partial(squared_distances, lengths=lengths, dtype=dtype), jit_compile=True, autograph=False, reduce_retracing=True
    )


TWINS = {"torch": by_shifts, "tensorflow": compiled}
