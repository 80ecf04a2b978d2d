"""What changes the values of an augmented picture and leaves its pixels where they are: `PairAugmentation`'s options from brightness on."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_resnet.layers.configured import check_flag, check_number
from keras_resnet.learning.pair_geometry import blurred, coarsened


@dataclasses.dataclass(frozen=True)
class Colours:
    """How values change; `PairAugmentation` says what each option means."""

    brightness: Any
    contrast: float
    gamma: Any
    noise: Any
    blur: Any
    low_resolution: Any
    inverted_gamma: Any
    keep_statistics: bool
    per_channel: bool
    channel_chance: float

    def __post_init__(self) -> None:
        for name in ("brightness", "noise", "blur"):
            value = getattr(self, name)
            if isinstance(value, (tuple, list)):
                check_span(name, value, "a number from 0", above=False)
            else:
                check_number(name, value, 0)
        for name, most in (("gamma", np.inf), ("inverted_gamma", np.inf), ("low_resolution", 1.0)):
            check_span(name, getattr(self, name), most=most)
        check_number("contrast", self.contrast, 0, 1)
        check_number("channel_chance", self.channel_chance, 0, most=1)
        check_flag("keep_statistics", self.keep_statistics)
        check_flag("per_channel", self.per_channel)

    def changed(self, random: np.random.Generator, x: np.ndarray, low: float, high: float, chosen: Sequence[str]) -> np.ndarray:
        """A float32 picture, changed in place, whose values range from `low` to `high`, by those that are `chosen`."""
        size = np.float32(high - low)
        for part in self._parts(random, x, self.channel_chance) if "blur" in chosen else ():
            deviation = _drawn(random, self.blur)
            if deviation > 0.1:  # a kernel of less is one pixel
                part[...] = blurred(part, deviation)
        for part in self._parts(random, x, self.channel_chance) if "low_resolution" in chosen else ():
            part[...] = coarsened(part, _drawn(random, self.low_resolution))
        for name in ("inverted_gamma", "gamma"):
            for part in self._parts(random, x) if name in chosen else ():
                ends = (float(part.min()), float(part.max())) if self.per_channel else (low, high)
                if ends[0] < ends[1]:
                    part[...] = self._raised(part, np.float32(_drawn(random, getattr(self, name))), *ends, name == "inverted_gamma")
        for part in self._parts(random, x) if "contrast" in chosen else ():
            axes = tuple(range(x.ndim - 1))
            mean = part.mean(axis=axes, keepdims=True)
            new = (part - mean) * np.float32(1 + random.uniform(-self.contrast, self.contrast)) + mean
            part[...] = np.clip(new, part.min(axis=axes), part.max(axis=axes)) if self.keep_statistics else new
        for part in self._parts(random, x) if "brightness" in chosen else ():
            if isinstance(self.brightness, (tuple, list)):
                part *= np.float32(_drawn(random, self.brightness))
            else:
                part += np.float32(random.uniform(-self.brightness, self.brightness)) * size
        if "noise" in chosen:
            normal = random.standard_normal(x.shape, "float32")
            unit = np.float32(1) if isinstance(self.noise, (tuple, list)) else size
            x += normal * (np.float32(_drawn(random, self.noise)) * unit)
        return x

    def _parts(self, random: np.random.Generator, x: np.ndarray, chance: float = 1.0) -> list[np.ndarray]:
        """Views of what gets a number of its own."""
        if not self.per_channel:
            return [x]
        return [x[..., channel : channel + 1] for channel in range(x.shape[-1]) if chance == 1 or random.random() < chance]

    def _raised(self, x: np.ndarray, exponent: np.float32, low: float, high: float, inverted: bool) -> np.ndarray:
        if inverted:
            return -self._raised(-x, exponent, -high, -low, False)
        size = np.float32(high - low)
        new = np.clip((x - low) / size, 0, 1) ** exponent * size + low
        return (new - new.mean()) / (new.std() + 1e-8) * x.std() + x.mean() if self.keep_statistics else new


def check_span(name: str, value: Any, instead: str = "None", above: bool = True, most: float = np.inf) -> None:
    """Raises unless `value` is `None`, or a tuple or list of two numbers `above` 0, or from it, to `most`, the smaller one first."""
    if value is None and instead == "None":
        return
    right = isinstance(value, (tuple, list)) and len(value) == 2
    for one in value if right else ():
        check_number(name, one)
    if not right or not 0 <= value[0] <= value[1] <= most or (above and value[0] == 0):
        where = ("above 0" if above else "from 0") + (f" and up to {most:g}" if most < np.inf else "")
        raise ValueError(f"`{name}` must be {instead}, or two numbers {where}, the smaller one first. Received: {name}={value!r}.")


def _drawn(random: np.random.Generator, span: Any) -> float:
    least, most = span if isinstance(span, (tuple, list)) else (0, span)
    return float(random.uniform(least, most))
