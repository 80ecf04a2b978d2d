"""What a training is made of, by what is learnt: classes, masks, or noise."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import keras

from training.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Task:
    """All that `run` needs to know of what is learnt.

    Args:
        model: not compiled yet.
        batches: `learning.Batches` or `learning.Pairs` to learn from.
        whole: full batches of them.
        validation: batches to test on, or `None`.
        compiling: arguments of `compile` but for the optimizer.
        monitor: the name in the logs by which the best checkpoint is kept.
        finish: writes what is to be seen of the trained model into the folder, and gives numbers to report.
        saved: the model that is written in the end.
    """

    model: keras.Model
    batches: Any
    whole: int
    validation: Any
    compiling: dict[str, Any]
    monitor: str | None
    finish: Callable[[pathlib.Path], dict[str, Any]]
    saved: Callable[[], keras.Model]


def from_pixels(recipe: Recipe, model: keras.Model, size: int | None, activation: str) -> keras.Model:
    """The model from values as pictures have them to probabilities, in float32; `size` is `None` for any."""
    data = recipe.data
    images = keras.Input((size, size, data.channels), name="pixels")
    normalized = keras.layers.Normalization(mean=data.mean, variance=[one**2 for one in data.deviation], name="normalization")(images)
    scores = keras.layers.Activation(activation, dtype="float32", name="probabilities")(model(normalized))
    return keras.Model(images, scores, name=recipe.name)
