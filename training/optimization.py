"""Optimizer, learning rate and loss of a recipe, as Keras takes them."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np

import keras_resnet
from keras_resnet import learning, zoo
from training.recipe import Recipe


def rate(recipe: Recipe, steps: int) -> Any:
    """The learning rate, a number or a schedule, where an epoch has `steps` batches."""
    wanted, peak = recipe.schedule, recipe.optimizer.rate
    rise = round(wanted.warm_up * steps)
    rest = max(1, recipe.epochs * steps - rise)
    after: Any = peak
    if wanted.kind == "step":
        milestones = sorted({round(one * steps) - rise for one in wanted.milestones})
        after = learning.StepDecay(peak, [one for one in milestones if one > 0], wanted.factor)
    elif wanted.kind == "cosine":
        after = keras.optimizers.schedules.CosineDecay(peak, rest)
    elif wanted.kind == "polynomial":
        after = keras.optimizers.schedules.PolynomialDecay(peak, rest, 0.0, wanted.power)
    return learning.WarmUp(after, rise, wanted.start * peak, wanted.hold) if rise else after


def optimizer(recipe: Recipe, steps: int, model: keras.Model) -> keras.optimizers.Optimizer:
    """The recipe's optimizer for a model that it has not touched yet."""
    wanted = recipe.optimizer
    shared: dict[str, Any] = dict(
        learning_rate=rate(recipe, steps),
        global_clipnorm=wanted.clip_norm,
        gradient_accumulation_steps=wanted.accumulate if wanted.accumulate > 1 else None,
    )
    decay = wanted.weight_decay
    if wanted.kind == "sgd":
        made = learning.SGD(momentum=wanted.momentum, nesterov=wanted.nesterov, weight_decay=decay, **shared)
    elif wanted.kind == "lamb":
        made = learning.Lamb(weight_decay=decay, **shared)
    elif wanted.kind == "adamw":
        made = keras.optimizers.AdamW(weight_decay=decay, **shared)
    else:
        made = keras.optimizers.Adam(**shared)
    if decay and wanted.kind != "adam" and not wanted.decay_all:
        learning.exclude_from_weight_decay(made, model)
    return made


def class_loss(recipe: Recipe) -> keras.losses.Loss:
    """The loss of logits and of targets that are smooth already."""
    if recipe.loss.kind == "binary":
        return learning.BinaryCrossentropy(recipe.data.classes, threshold=recipe.loss.threshold)
    if recipe.loss.kind != "cross_entropy":
        raise ValueError(f"`loss.kind` of a classification is 'cross_entropy' or 'binary'. Received: {recipe.loss.kind!r}.")
    return keras.losses.CategoricalCrossentropy(from_logits=True)


def check_network(recipe: Recipe) -> None:
    """Builds nothing, and raises as `network` at a name or an argument that there is not: before pictures are opened."""
    wanted = recipe.network
    with _of_settings():
        zoo.named(wanted.name, wanted.weights, wanted.settings)


@contextlib.contextmanager
def _of_settings() -> Iterator[None]:
    try:
        yield
    except TypeError as error:
        raise ValueError(f"`network.settings`: {error}") from error


def network(recipe: Recipe, **settings: Any) -> keras.Model:
    """The recipe's network of the zoo.

    Raises:
        ValueError: at a name or an argument that there is not, with the nearest.
    """
    wanted = recipe.network
    with _of_settings():
        model = keras_resnet.create_model(wanted.name, weights=wanted.weights, **{**settings, **wanted.settings})
    head: Any = next((layer for layer in model.layers if layer.name == "head"), None)
    if (wanted.zero_head or wanted.dropout) and not isinstance(head, keras.layers.Dense):
        raise ValueError(f"`network.zero_head` and `network.dropout` are for classifiers. Received: network.name={wanted.name!r}.")
    if wanted.zero_head:
        head.set_weights([np.zeros(variable.shape, "float32") for variable in head.weights])
    if wanted.dropout:
        features = keras.layers.Dropout(wanted.dropout, name="dropout")(head.input)
        model = type(model)(model.inputs[0], head(features), name=model.name)
    return model


def check_shapes(model: keras.Model, sizes: Iterable[int], channels: int, output: Callable[[int], tuple]) -> None:
    """Asks a network of pictures of any size whether it takes those that are coming, before anything is written.

    Args:
        model: the network.
        sizes: heights and widths in pixels.
        channels: of the pictures.
        output: the shape, but for the batch, that is wanted of what it gives first for a size.

    Raises:
        ValueError: if it does not, or gives something else, or could not be trained on them: instance normalization takes all from a map
            of one pixel.
    """
    normalized = {layer.name: layer.output for layer in model.layers if getattr(layer, "norm", None) == "instance"}
    for size in sizes:
        pictures = keras.KerasTensor((2, size, size, channels), dtype="float32")
        maps = keras.Model(model.inputs[0], normalized).compute_output_spec(pictures) if normalized else {}
        lost = [name for name, found in maps.items() if set(found.shape[1:-1]) == {1}]
        if lost:
            raise ValueError(
                f"Pictures of {size} pixels are a map of one pixel in {lost[0]!r} of {model.name!r}, and instance normalization leaves "
                "nothing of that. Set data.size to more, or network.name to a network of fewer stages."
            )
        first = keras.tree.flatten(model.compute_output_spec(pictures))[0]
        if tuple(first.shape[1:]) != output(size):
            raise ValueError(
                f"{model.name!r} gives {tuple(first.shape[1:])} for a picture of {size} pixels, and {output(size)} is to be learnt. "
                "Set network.name to a network for that."
            )
