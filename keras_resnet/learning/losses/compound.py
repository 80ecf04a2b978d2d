"""A weighted sum of any losses."""

from typing import Any

import keras
import numpy as np

from keras_resnet.layers.configured import check_number


@keras.saving.register_keras_serializable("keras_resnet")
class Compound(keras.losses.Loss):
    """`sum(weight * loss(y_true, y_pred))`: `Compound([Dice(), Boundary()], weights=[1.0, 0.01])`.

    Args:
        losses: Keras losses, ours or Keras's own; each reduces over samples by itself.
        weights: a number a loss, at least 0, and one of them above; `None` for ones.
        name, reduction, dtype: as in `keras.losses.Loss`, but reductions are those of the `losses`.

    Raises:
        ValueError: at what is no loss, and unless there is a weight for each.
    """

    def __init__(self, losses: Any, weights: Any = None, **kwargs: Any):
        kwargs["dtype"] = kwargs.get("dtype") or "float32"
        super().__init__(**kwargs)
        losses = list(losses) if isinstance(losses, (list, tuple)) else [losses]
        if not losses or not all(isinstance(loss, keras.losses.Loss) for loss in losses):
            raise ValueError(f"`losses` must be a list of Keras losses, such as [Dice(), Focal()]. Received: losses={losses!r}.")
        weights = [1.0] * len(losses) if weights is None else weights
        if not isinstance(weights, (list, tuple, np.ndarray)) or np.ndim(weights) != 1 or len(weights) != len(losses):
            raise ValueError(f"`weights` must hold a number for each of {len(losses)} losses, in a list. Received: weights={weights!r}.")
        for i, weight in enumerate(weights):
            check_number(f"weights[{i}]", weight, 0)
        if not any(weights):
            raise ValueError(f"One of `weights` must be above 0. Received: weights={weights!r}.")
        self.losses = losses
        self.weights = [float(weight) for weight in weights]

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        total: Any = 0
        for loss, weight in zip(self.losses, self.weights):
            total = total + weight * keras.ops.cast(loss(y_true, y_pred, sample_weight), self.dtype)
        return total

    def get_config(self) -> dict:
        losses = [keras.saving.serialize_keras_object(loss) for loss in self.losses]
        return {**super().get_config(), "losses": losses, "weights": self.weights}

    @classmethod
    def from_config(cls, config: dict) -> "Compound":
        config = dict(config)
        if "losses" in config:
            config["losses"] = [keras.saving.deserialize_keras_object(loss) for loss in config["losses"]]
        return cls(**config)
