"""Learning noise, from which pictures are drawn."""

import pathlib
from typing import Any

import keras
import numpy as np

from keras_resnet import learning
from keras_resnet.diffusion import Diffusion
from keras_resnet.weights.whole_files import written
from training.data.dataset import Dataset
from training.data.prepared import changes
from training.optimization import network
from training.recipe import Recipe
from training.tasks import Task


class Unlabelled(learning.Batches):
    """Batches of pictures alone."""

    def augmented(self, images: Any, labels: Any, seed: Any) -> tuple:
        return super().augmented(images, labels, seed)[:1]


def task(recipe: Recipe, found: Dataset, replicas: learning.Replicas, steps: int = 50) -> Task:
    """What `run` needs, for pictures without classes; `steps` is how many a drawing takes in the end."""
    data = recipe.data
    if recipe.loss.kind != "noise":
        raise ValueError(f"`loss.kind` of a diffusion is 'noise'. Received: {recipe.loss.kind!r}.")
    if data.test_size not in (None, data.size):
        raise ValueError(f"A diffusion has one size: `data.test_size` is that of `data.size`. Received: {data.test_size}.")
    shape = (data.size, data.size, data.channels)
    model = Diffusion(network(recipe, input_shape=shape), seed=recipe.seed)
    images = found.train.images
    if len(images) < recipe.batch:
        raise ValueError(f"There are {len(images)} pictures to learn from, fewer than a batch of {recipe.batch}. Set batch to less.")
    augment = changes(recipe, isinstance(images, np.ndarray))
    batches = Unlabelled(images, found.train.labels, augment, recipe.batch, seed=recipe.seed, drop_remainder=True, part=replicas.part)
    return Task(
        model=model,
        batches=batches,
        whole=len(batches),
        validation=None,
        compiling={},
        monitor="loss",
        finish=lambda folder: _finish(model, recipe, steps, folder, getattr(images, "unread", {})),
        saved=lambda: model.network,
    )


def _finish(model: Diffusion, recipe: Recipe, steps: int, folder: pathlib.Path, unread: dict[str, str]) -> dict[str, Any]:
    """Sixteen pictures, four by four, as samples.png."""
    from PIL import Image

    values = keras.ops.convert_to_numpy(model.sample(16, sampler="ddim", steps=steps))
    size, channels = values.shape[1], values.shape[-1]
    values = np.clip(np.nan_to_num(values) * recipe.data.deviation + recipe.data.mean, 0, 255).round().astype("uint8")
    grid = values.reshape(4, 4, size, size, channels).transpose(0, 2, 1, 3, 4).reshape(4 * size, 4 * size, channels)
    written(folder / "samples.png", Image.fromarray(grid[..., 0] if channels == 1 else grid[..., :3]).save)
    return {"samples": "samples.png", "unread": unread}
