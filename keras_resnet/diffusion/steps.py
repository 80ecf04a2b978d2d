"""The arithmetic of samplers: which steps of a schedule they take, and what each makes of a noisy picture."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from keras_resnet.diffusion.schedule import Schedule

SAMPLERS = ("ddpm", "ddim")
VARIANCES = ("small", "large")


@dataclasses.dataclass(frozen=True)
class Path:
    """A sampler's way through a schedule: `walk` goes from noise to pictures."""

    schedule: Schedule
    steps: int
    sampler: str
    eta: float
    variance: str
    prediction: str
    clip: bool
    channel_axis: int

    def times(self) -> list[int]:
        """The steps taken, from the last of the schedule to the first; a single one is the last."""
        return [round(t) for t in np.linspace(self.schedule.steps - 1, 0, self.steps)]

    def walk(
        self,
        run: Callable[[np.ndarray, np.ndarray], np.ndarray],
        streams: Sequence[np.random.Generator],
        shape: tuple[int, ...],
        tick: Callable[[], object] = lambda: None,
    ) -> np.ndarray:
        """Pictures of one shape, one for each stream of random numbers; `run` is the network."""

        def noise() -> np.ndarray:
            return np.stack([stream.standard_normal(shape, "float32") for stream in streams])

        x = noise()
        left = [float(self.schedule.alphas_cumprod[t]) for t in self.times()] + [1.0]
        for place, t in enumerate(self.times()):
            output = run(x, np.full(len(x), t, "int32"))
            if output.shape[0] != len(x) or not np.isfinite(output).all():
                what = "NaN or infinity" if output.shape[0] == len(x) else f"the shape {output.shape}"
                raise ValueError(f"At step {t} the network gave {what}, for {len(x)} images of the shape {shape}.")
            mean, deviation = self._step(x, output, left[place], left[place + 1])
            x = mean + deviation * noise() if place + 1 < self.steps and np.any(deviation) else mean
            tick()
        return x

    def _step(self, x: np.ndarray, output: np.ndarray, now: float, then: float) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the picture at `then` from that at `now`, both as products of alphas."""
        signal, sigma = math.sqrt(now), math.sqrt(1 - now)
        spread = None
        if output.shape != x.shape:
            output, spread = np.split(output, 2, self.channel_axis)
        picture = (x - sigma * output) / signal if self.prediction == "epsilon" else signal * x - sigma * output
        picture = np.clip(picture, -1, 1) if self.clip else picture
        beta = 1 - now / then
        small = (1 - then) / (1 - now) * beta
        if self.sampler == "ddim":
            deviation = self.eta * math.sqrt(small)
            noise = (x - signal * picture) / sigma  # again from the picture, which may have been cut
            return math.sqrt(then) * picture + math.sqrt(max(1 - then - deviation**2, 0)) * noise, np.asarray(deviation, "float32")
        mean = math.sqrt(then) * beta / (1 - now) * picture + math.sqrt(now / then) * (1 - then) / (1 - now) * x
        if spread is None or small == 0:
            return mean, np.asarray(math.sqrt(beta if self.variance == "large" and small else small), "float32")
        share = (spread + 1) / 2  # between the logarithms of the two
        return mean, np.exp((share * math.log(beta) + (1 - share) * math.log(small)) / 2).astype("float32")
