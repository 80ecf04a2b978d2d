"""Learning classes of pictures."""

import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_resnet import learning
from training.data.dataset import Dataset
from training.data.prepared import Prepared, Targets, changes
from training.data.stream import BatchesAhead
from training.optimization import check_shapes, class_loss, network
from training.recipe import Recipe
from training.tasks import Task, from_pixels


def task(recipe: Recipe, found: Dataset, replicas: learning.Replicas, build: Callable = network) -> Task:
    """What `run` needs, for pictures with classes. `build` makes the network of recipe, classes, input shape and activation."""
    data = recipe.data
    side = data.size if data.test_size in (None, data.size) else None
    model = build(recipe, classes=data.classes, input_shape=(side, side, data.channels), classifier_activation=None)
    check_shapes(model, {data.size, data.test_size or data.size}, data.channels, lambda size: (data.classes,))
    test = Targets(found.test.labels, data.classes)
    part = replicas.part_to_test(len(test), recipe.batch)
    validation, whole = (BatchesAhead(found.test.images, test, [_prepared(recipe)], recipe.batch, part=one) for one in (part, (0, 1)))
    metrics: list[Any] = [keras.metrics.CategoricalAccuracy("accuracy")]
    if data.classes >= 100:
        metrics.append(keras.metrics.TopKCategoricalAccuracy(5, "top5"))
    batches = training_batches(recipe, found, replicas.part)
    activation = "sigmoid" if recipe.loss.kind == "binary" else "softmax"  # of a binary loss each class has a probability of its own
    return Task(
        model=model,
        batches=batches,
        whole=len(batches),
        validation=validation,
        compiling=dict(loss=class_loss(recipe), metrics=metrics),
        monitor="val_accuracy",
        finish=lambda folder: _finish(model, whole, found, folder),
        saved=lambda: from_pixels(recipe, model, data.test_size or data.size, activation),
    )


def training_batches(recipe: Recipe, found: Dataset, part: tuple[int, int] = (0, 1)) -> learning.Batches:
    """Batches to learn from, of each the `part` that is this process's, changed on the device.

    Raises:
        ValueError: if there are fewer pictures than in a batch.
    """
    images, on_device = found.train.images, isinstance(found.train.images, np.ndarray)
    if len(images) < recipe.batch:
        raise ValueError(f"There are {len(images)} pictures to learn from, fewer than a batch of {recipe.batch}. Set batch to less.")
    augment = changes(recipe, on_device)
    mixed = any(isinstance(one, learning.Mix) for one in augment)
    targets = Targets(found.train.labels, recipe.data.classes, 0.0 if mixed else recipe.loss.smoothing, images)
    repeats = recipe.augmentation.repeats
    return learning.Batches(images, targets, augment, recipe.batch, repeats, seed=recipe.seed, drop_remainder=True, part=part)


def _prepared(recipe: Recipe) -> Prepared:
    data = recipe.data
    return Prepared(data.test_size or data.size, data.mean, data.deviation)


def _finish(model: keras.Model, validation: Any, found: Dataset, folder: pathlib.Path) -> dict[str, Any]:
    """Counts of each class taken for each other, `(true, predicted)`."""
    counts = np.zeros((len(found.names), len(found.names)), int)
    place = 0
    for i in range(len(validation)):
        read = np.asarray(model.predict_on_batch(validation[i][0])).argmax(-1)
        np.add.at(counts, (found.test.labels[place : place + len(read)], read), 1)
        place += len(read)
    unread = {**getattr(found.train.images, "unread", {}), **getattr(found.test.images, "unread", {})}
    said = {"unread": unread, "unopened": getattr(found.train.images, "unopened", 0)}
    return {"accuracy": float(np.trace(counts) / counts.sum()), "confusion": counts.tolist(), "classes": found.names, **said}
