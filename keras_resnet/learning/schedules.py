"""Learning rates that change step by step, where Keras's own, such as `CosineDecay` and `PolynomialDecay`, leave something out."""

import itertools
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_resnet.layers.configured import check_count, check_flag, check_number, is_count


@keras.saving.register_keras_serializable("keras_resnet")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise in front of any schedule: `WarmUp(CosineDecay(0.5, 20_000), steps=1_000)`.

    `start + (after(0) - start) * step / steps` in the first `steps` steps, or `start` where it holds; then `after(step - steps)`.

    Keras's `CosineDecay` has a rise of its own, with the same numbers; its other schedules have none, and a plain rate neither.

    Args:
        after: the schedule behind the rise, or a number for a rate that then stays.
        steps: length of the rise in steps of the optimizer, at least 1. With `gradient_accumulation_steps` Keras counts batches.
        start: rate at step 0, from 0.
        hold: whether the rate is `start` for all those steps, as in the first trainings of 110 layers.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Goyal et al. 2017, arXiv:1706.02677, section 2.2; with `hold` He et al. 2015, arXiv:1512.03385, section 4.2.
    """

    def __init__(self, after: Any, steps: int, start: float = 0.0, hold: bool = False):
        super().__init__()
        if isinstance(after, dict):
            after = keras.saving.deserialize_keras_object(after)
        if not isinstance(after, keras.optimizers.schedules.LearningRateSchedule):
            check_number("after", after, 0)  # whose message a wrong schedule also gets
        check_count("steps", steps)
        check_number("start", start, 0)
        check_flag("hold", hold)
        self.after, self.steps, self.start, self.hold = after, int(steps), float(start), bool(hold)

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        later = ops.maximum(step - self.steps, 0)
        after = self.after(later) if callable(self.after) else ops.cast(self.after, "float32")
        # In the rise `after` stands at its first step, so that it gives the peak.
        rise = 0.0 if self.hold else step / self.steps
        return ops.where(step < self.steps, self.start + (after - self.start) * rise, after)

    def get_config(self) -> dict:
        after = keras.saving.serialize_keras_object(self.after) if callable(self.after) else float(self.after)
        return {"after": after, "steps": self.steps, "start": self.start, "hold": self.hold}


@keras.saving.register_keras_serializable("keras_resnet")
class StepDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that falls by a factor at each milestone: `StepDecay(0.1, milestones=(30_000, 60_000))`.

    `rate * factor**k` at step `s`, where `k` is the number of milestones `m <= s`. Keras's `PiecewiseConstantDecay` changes one step
    later, behind its boundary; PyTorch's `MultiStepLR`, and so the published recipes, change at the milestone, as here.

    Args:
        rate: of the first steps, from 0.
        milestones: steps at which the rate falls, integers from 1, rising. With `gradient_accumulation_steps` Keras counts batches.
        factor: of the rate at each, from 0.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: He et al. 2016, arXiv:1512.03385, section 4.2, for tenths at 32,000 and 48,000 of 64,000 steps.
    """

    def __init__(self, rate: float, milestones: Sequence[int], factor: float = 0.1):
        super().__init__()
        check_number("rate", rate, 0)
        check_number("factor", factor, 0)
        right = isinstance(milestones, (tuple, list)) and all(map(is_count, milestones))
        if not right or any(one >= other for one, other in itertools.pairwise(milestones)):
            raise ValueError(f"`milestones` must be steps from 1, each above the one before. Received: milestones={milestones!r}.")
        self.rate, self.milestones, self.factor = float(rate), tuple(map(int, milestones)), float(factor)

    def __call__(self, step: Any) -> Any:
        rates = [self.rate * self.factor**k for k in range(len(self.milestones) + 1)]
        step, rate = ops.cast(step, "float32"), ops.cast(rates[0], "float32")
        for milestone, lower in zip(self.milestones, rates[1:], strict=True):
            rate = ops.where(step >= milestone, lower, rate)
        return rate

    def get_config(self) -> dict:
        return {"rate": self.rate, "milestones": list(self.milestones), "factor": self.factor}
