"""How much of a picture is left and how much is noise at each step of a diffusion."""

from typing import Any

import keras
import numpy as np

from keras_resnet.layers.configured import check_choice, check_count, check_number

KINDS = ("linear", "cosine")
PREDICTIONS = ("epsilon", "v")
OFFSET = 0.008  # of the cosine: near step 0 there is noise of about the size of a pixel's quantization
LARGEST = 0.999  # of a cosine schedule's betas: the last would be 1 and leave nothing to divide by


@keras.saving.register_keras_serializable("keras_resnet")
class Schedule:
    """Noise by the step: `x_t = sqrt(a_t) x + sqrt(1 - a_t) noise`, with `a_t` the product of `1 - beta` up to step t.

    Args:
        kind: `"linear"`, betas from `beta_start` to `beta_end`; or `"cosine"`, where `a_t` is a squared cosine, which destroys small
            pictures more slowly.
        steps: how many, at least 2; counted from 0.
        beta_start, beta_end: of a linear schedule, above 0 and below 1, the second not the smaller; `None` for `0.1 / steps` and
            `20 / steps` (at most 0.999), which are 1e-4 and 0.02 at 1,000 steps.

    Attributes: `betas` and `alphas_cumprod` (a_t), `(steps,)` arrays in float64.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: linear Ho et al. 2020, arXiv:2006.11239, section 4, its ends for other numbers of steps and the cosine Nichol and Dhariwal
    2021, arXiv:2102.09672, section 3.2.
    """

    def __init__(self, kind: str = "linear", steps: int = 1000, beta_start: float | None = None, beta_end: float | None = None):
        check_choice("kind", kind, KINDS)
        check_count("steps", steps)
        if steps < 2:
            raise ValueError(f"`steps` must be an integer of at least 2. Received: steps={steps!r}.")
        for name, value in (("beta_start", beta_start), ("beta_end", beta_end)):
            if value is not None:
                if kind == "cosine":
                    raise ValueError(f"`{name}` is of a linear schedule; a cosine has none. Received: {name}={value!r}.")
                check_number(name, value, 0, 1)
                if value == 0:
                    raise ValueError(f"`{name}` must be above 0 and below 1. Received: {name}={value!r}.")
        self.kind, self.steps, self.beta_start, self.beta_end = kind, int(steps), beta_start, beta_end
        if kind == "linear":
            first = min(0.1 / steps, LARGEST) if beta_start is None else beta_start
            last = min(20 / steps, LARGEST) if beta_end is None else beta_end
            if first > last:
                raise ValueError(
                    "A linear schedule adds more noise from step to step: `beta_end` must be at least `beta_start`. "
                    f"Received: beta_start={beta_start!r}, beta_end={beta_end!r}, which for {steps} steps are {first:g} and {last:g}."
                )
            self.betas = np.linspace(first, last, self.steps, dtype="float64")
        else:
            left = np.cos((np.arange(self.steps + 1) / self.steps + OFFSET) / (1 + OFFSET) * np.pi / 2) ** 2
            self.betas = np.minimum(1 - left[1:] / left[:-1], LARGEST)
        self.alphas_cumprod = np.cumprod(1 - self.betas)

    def get_config(self) -> dict:
        """The constructor's arguments."""
        return {"kind": self.kind, "steps": self.steps, "beta_start": self.beta_start, "beta_end": self.beta_end}

    @classmethod
    def from_config(cls, config: dict) -> "Schedule":
        """A schedule from what `get_config` gave."""
        return cls(**config)


def check_schedule(schedule: Any) -> Schedule:
    """The schedule that this is, or for `None` the default, or for a word the one of that kind. Raises at anything else."""
    if isinstance(schedule, Schedule):
        return schedule
    if schedule is not None and not isinstance(schedule, str):
        raise ValueError(f"`schedule` must be a diffusion.Schedule, 'linear', 'cosine', or None. Received: {type(schedule).__name__}.")
    return Schedule(schedule or "linear")
