"""Averages of a network's weights over its training, which are often the better network."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_resnet.backend.blending import blended
from keras_resnet.layers.configured import check_count, check_flag, check_number
from keras_resnet.learning.built import check_built
from keras_resnet.learning.training_state import synchronized
from keras_resnet.vision.host_arrays import as_host_array


class AveragedWeights(keras.callbacks.Callback):
    """Keeps an exponential moving average of weights and statistics during `fit`, and validates with it.

    ```python
    averages = keras_resnet.learning.AveragedWeights(0.9999)
    model.fit(x, y, validation_data=held_back, callbacks=[averages])
    with averages.applied():
        model.save("model.keras")
    ```

    `average = m * average + (1 - m) * weights`, `m = min(momentum, (1 + n) / (10 + n))` at update `n`, for all numbers of the network that
    are no integers. The network itself trains on with its own. Where Keras runs several batches at once, by `steps_per_execution`, the
    update of each is made with the weights behind the last. Keras's `use_ema` of an optimizer averages what is trained and not the
    statistics of batch normalization, validates with the weights themselves, averages each batch even where gradients are accumulated over
    several, puts the averages in place of the weights when `fit` ends, and on JAX does not let such a model be fitted twice.

    It is a part of checkpoints: `Checkpoint(folder, parts={"averages": averages})`.

    Args:
        momentum: share of the average that stays each step, from 0 to below 1; 0.9999 for trainings of 100,000 steps, less for shorter.
        every: batches between two updates, at least 1; the momentum is then raised to this power.
        warm_up: whether the momentum grows from 0.1 on, so that the random start is forgotten.
        validate: whether `fit` validates with the averages.

    Raises:
        ValueError: at an argument outside what is listed; from `applied`, before there are averages; from `fit`, for a model that has no
            weights yet or not all of them, as on TensorFlow one that is not built, and for several batches at once of data without a
            length.

    Source: Polyak and Juditsky 1992; Tarvainen and Valpola 2017, arXiv:1703.01780; the growing momentum as in TensorFlow and timm.
    """

    def __init__(self, momentum: float = 0.9999, every: int = 1, warm_up: bool = True, validate: bool = True):
        super().__init__()
        check_number("momentum", momentum, 0, 1)
        check_count("every", every)
        check_flag("warm_up", warm_up)
        check_flag("validate", validate)
        self.momentum, self.every, self.warm_up, self.validate = float(momentum), int(every), bool(warm_up), bool(validate)
        self.batches, self.updates = 0, 0
        self._at_once = 1  # batches
        self._averages: list | None = None
        self._own: list | None = None
        self._training = False
        self._begun: int | None = None  # a batch that is not averaged yet

    def on_train_begin(self, logs: Any = None) -> None:
        self._at_once = self.model.steps_per_execution
        if self._at_once > 1 and self._steps is None:
            raise ValueError(
                "How many batches are run at once at the end of data without a length is not known. Pass `fit` steps_per_epoch=, or "
                f"compile with steps_per_execution=1. Received: steps_per_execution={self._at_once}."
            )
        variables = _averaged(self.model)
        shapes = [tuple(variable.shape) for variable in variables]
        if self._averages is None:
            self._averages = [_copied(variable.value) for variable in variables]
        elif [tuple(average.shape) for average in self._averages] != shapes:
            raise ValueError(f"These averages are of another model than {self.model.name!r}. Make new ones.")
        self._training, self._begun = True, None

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        # Not behind the batch itself, as Keras would wait for the device each time for the sake of that.
        self.catch_up(batch)
        self._begun = batch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.catch_up()

    def catch_up(self, before: int | None = None) -> None:
        """Takes in the last batch, or the one before `before`, that is over: for what saves the averages and stands in front of them."""
        if self._begun is None or self._begun == before:
            return
        end = self._begun + self._at_once
        batches = min(end, self._steps or end) - self._begun
        updates = (self.batches + batches) // self.every - self.batches // self.every
        self._begun = None
        self.batches += batches
        if not updates:
            return
        momentum = math.prod(self._momentum_at(self.updates + i) for i in range(updates))
        averages, values = self._averages or [], [variable.value for variable in _averaged(self.model)]
        if len(averages) != len(values):
            raise ValueError(
                f"The model {self.model.name!r} had {len(averages)} weights to average before its first step, and has {len(values)} now. "
                "Build all of it first, by calling it on a batch: `model(images[:1])`."
            )
        self._averages = blended(averages, values, 1 - momentum)
        self.updates += updates

    @property
    def _steps(self) -> int | None:
        """Batches of an epoch, where Keras knows."""
        return (self.params or {}).get("steps")

    def _momentum_at(self, update: int) -> float:
        momentum = self.momentum**self.every
        return min(momentum, (1 + update) / (10 + update)) if self.warm_up else momentum

    def on_test_begin(self, logs: Any = None) -> None:
        self.catch_up()
        if self.validate and self._training:
            self._enter()

    def on_test_end(self, logs: Any = None) -> None:
        if self._own is not None:
            self._leave()

    def on_train_end(self, logs: Any = None) -> None:
        self._training = False

    @contextlib.contextmanager
    def applied(self, model: keras.Model | None = None) -> Iterator[keras.Model]:
        """Within it the model has the averages for its weights."""
        if model is not None:
            self.set_model(model)
        if self._averages is None:
            raise ValueError("There are no averages yet. Pass these to the callbacks of `fit`, or restore them from a checkpoint.")
        self._enter()
        try:
            yield self.model
        finally:
            self._leave()

    def _enter(self) -> None:
        variables = _averaged(self.model)
        self._own = [_copied(variable.value) for variable in variables]
        for variable, average in zip(variables, self._averages or [], strict=True):
            variable.assign(_copied(average))

    def _leave(self) -> None:
        for variable, value in zip(_averaged(self.model), self._own or [], strict=True):
            variable.assign(value)
        self._own = None

    def state(self) -> dict:
        """The averages, and how many updates they had."""
        averages = {f"{i:05d}": as_host_array(average) for i, average in enumerate(self._averages or [])}
        return {"batches": self.batches, "updates": self.updates, **averages}

    def set_state(self, state: dict) -> None:
        """Goes on from a state."""
        state, self._begun = dict(state), None
        self.batches, self.updates = int(state.pop("batches")), int(state.pop("updates"))
        arrays = [np.array(state[name]) for name in sorted(state)]
        self._averages = [keras.ops.convert_to_tensor(array) for array in arrays] if arrays or self.updates else None


def _averaged(model: keras.Model) -> list[keras.Variable]:
    check_built(model)
    return [variable for variable in synchronized(model).weights if "float" in keras.backend.standardize_dtype(variable.dtype)]


def _copied(value: Any) -> Any:
    """A tensor of its own: on JAX a training step gives the memory of variables away."""
    return keras.ops.stop_gradient(keras.ops.copy(value))
