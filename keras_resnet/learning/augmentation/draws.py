"""Random numbers on the device that are the same on every backend: hashes of a seed and a place, in 32-bit integers."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

_MASK = 0xFFFFFFFF


class Draws:
    """Numbers of one call: `Draws(seed).uniform(n)`; each further call of a method gives others.

    Keras's own random functions give other numbers on each backend. These are hashes, by two rounds of a mixing function of Wellons
    ("lowbias32"), exact in 32-bit integers that wrap around.

    Args:
        seed: two integers, a tensor or not, as `keras.random.SeedGenerator.next()` gives them.
    """

    def __init__(self, seed: Any):
        first, second = (ops.cast(seed[i], "int32") for i in range(2))
        self._key = _mixed(ops.bitwise_xor(_mixed(first), second + _signed(0x9E3779B9)))
        self._calls = 0

    def bits(self, *shape: Any) -> Any:
        """32 random bits each, as int32."""
        self._calls += 1
        key = _mixed(self._key + _signed(self._calls * 0x85EBCA6B))
        places = ops.arange(functools.reduce(lambda a, b: a * b, shape, 1), dtype="int32")
        return ops.reshape(_mixed(_mixed(ops.bitwise_xor(places, key)) + key), shape)

    def uniform(self, *shape: Any, low: float = 0.0, high: float = 1.0) -> Any:
        """From `low` to below `high`, float32: multiples of `2**-24` of the range."""
        return low + ops.cast(_right(self.bits(*shape), 8), "float32") * ((high - low) * 2.0**-24)

    def happens(self, chance: float, *shape: Any) -> Any:
        """`True` with this probability."""
        return self.uniform(*shape) < chance

    def below(self, count: Any, *shape: Any) -> Any:
        """Whole numbers from 0 to `count - 1`, int32; `count` may be a tensor that broadcasts to the shape."""
        count = ops.cast(count, "float32")
        return ops.cast(ops.minimum(ops.floor(self.uniform(*shape) * count), count - 1), "int32")

    def normal(self, *shape: Any) -> Any:
        """Standard normal, float32."""
        radius = ops.sqrt(-2 * ops.log(1 - self.uniform(*shape)))
        return radius * ops.cos(2 * math.pi * self.uniform(*shape))

    def beta(self, alpha: float, *shape: Any) -> Any:
        """Beta(alpha, alpha), from a table of its quantiles."""
        table = ops.convert_to_tensor(quantiles(alpha))
        place = self.uniform(*shape) * (len(quantiles(alpha)) - 1)
        lower = ops.cast(ops.floor(place), "int32")
        left, right = ops.take(table, lower, axis=0), ops.take(table, lower + 1, axis=0)
        return left + (right - left) * (place - ops.cast(lower, "float32"))


def seed_of(numbers: Sequence[int]) -> tuple[int, int]:
    """Two integers from any number of them, such as a seed, an epoch and a batch."""
    state = np.random.SeedSequence([int(number) for number in numbers]).generate_state(2)
    return _signed(int(state[0])), _signed(int(state[1]))


@functools.lru_cache(maxsize=16)
def quantiles(alpha: float, cells: int = 4096) -> np.ndarray:
    """Of Beta(alpha, alpha) at `cells + 1` equal steps of probability, float32.

    Its integral from 0 to `x <= 1/2` is, up to an alpha of 1, that of `(1 - s**(1 / alpha))**(alpha - 1)` over `s` up to `x**alpha`, which
    has no pole. Below an alpha of 1e-6 nearly all are 0 or 1 already; above 1 it is the density's own where there is some.
    """
    power = max(alpha, 1e-6) if alpha <= 1 else 1.0
    deviation = 0.5 / math.sqrt(2 * alpha + 1)
    s = np.linspace(0 if alpha <= 1 else max(0.0, 0.5 - 4.5 * deviation), 0.5**power, 1 << 16)
    density = (1 - s ** (1 / power)) ** (power - 1) if alpha <= 1 else (4 * s * (1 - s)) ** (alpha - 1)
    mass = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)])
    half = np.interp(np.linspace(0, 0.5, cells // 2 + 1), mass / mass[-1] / 2, s) ** (1 / power)
    return np.concatenate([half, 1 - half[-2::-1]]).astype("float32")


def _signed(number: int) -> int:
    """The same 32 bits as a signed integer."""
    number &= _MASK
    return number - (1 << 32) if number >> 31 else number


def _right(x: Any, places: int) -> Any:
    """Shifted right, zeros coming in."""
    return ops.bitwise_and(ops.right_shift(x, places), (1 << (32 - places)) - 1)


def _mixed(x: Any) -> Any:
    for places, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = ops.bitwise_xor(x, _right(x, places)) * _signed(factor)
    return ops.bitwise_xor(x, _right(x, 16))
