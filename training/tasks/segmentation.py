"""Learning masks of pictures."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_resnet import layers, learning, losses, metrics
from keras_resnet.learning.metrics.report import counted, overlaps
from training.data.masks import UNCOUNTED, checked
from training.data.stream import PairsAhead
from training.optimization import check_shapes, network
from training.recipe import Data, Recipe
from training.tasks import Task, from_pixels

CHANCES = {
    "scale": 0.2,
    "rotation": 0.2,
    "blur": 0.2,
    "low_resolution": 0.25,
    "inverted_gamma": 0.1,
    "gamma": 0.3,
    "contrast": 0.15,
    "brightness": 0.15,
    "noise": 0.1,
}


class Changed:
    """What nnU-Net does to a slice and its mask: normalized, then cut, turned, scaled and mirrored, and its values changed.

    Args:
        data: of the recipe.
        multiple: of which the network makes the sides of a picture one, by repeating its last pixels.
    """

    def __init__(self, data: Data, multiple: Sequence[int] = (1, 1)):
        self.data, self.multiple = data, multiple
        # Angles, ranges and chances are those of its plan for slices. What it scales by is the patch, not what is seen in it.
        self.augment = learning.PairAugmentation(
            crop=data.size,
            foreground=0.33,
            flip=True,
            scale=(1 / 1.4, 1 / 0.7),
            rotation=180.0,
            brightness=(0.75, 1.25),
            contrast=0.25,
            gamma=(0.7, 1.5),
            noise=(0.0, 0.1),  # standard deviations; its code passes what it calls a variance as such
            blur=(0.5, 1.0),
            low_resolution=(0.5, 1.0),
            inverted_gamma=(0.7, 1.5),
            keep_statistics=True,
            per_channel=True,
            channel_chance=0.5,
            chance=CHANCES,
            outside_label=0,
        )

    def __call__(self, image: np.ndarray, mask: np.ndarray, seed: Any = 0) -> tuple[np.ndarray, np.ndarray]:
        return self.augment(self.normalized(image), mask, seed=seed)

    def tested(self, image: np.ndarray, mask: np.ndarray, seed: Any = 0) -> tuple[np.ndarray, np.ndarray]:
        """The whole pair. What the network would add to it is added here, and does not count: so fewer sizes are compiled."""
        margins = [(0, -side % multiple) for side, multiple in zip(image.shape, self.multiple, strict=False)]
        image, mask = np.pad(image, [*margins, (0, 0)], mode="edge"), mask.reshape(mask.shape[:2])
        return self.normalized(image), np.pad(mask, margins, constant_values=UNCOUNTED)

    def normalized(self, image: np.ndarray) -> np.ndarray:
        """The picture as the network sees it; a grey one has the same in each channel."""
        checked(image, None, self.data)
        height, width, channels = (*image.shape[:2], self.data.channels)
        values = np.broadcast_to(image, (height, width, channels)).reshape(height, -1).astype("float32")
        # By rows: as three numbers at a time this takes NumPy several times as long.
        values -= np.tile(np.broadcast_to(np.array(self.data.mean, "float32"), channels), width)
        values /= np.tile(np.broadcast_to(np.array(self.data.deviation, "float32"), channels), width)
        return values.reshape(height, width, channels)


def task(recipe: Recipe, found: dict[str, list], unread: dict[str, str], replicas: learning.Replicas) -> Task:
    """What `run` needs, for pictures with masks; `unread` are those that are missing, and why."""
    data = recipe.data
    if recipe.loss.kind != "dice_cross_entropy":
        raise ValueError(f"`loss.kind` of a segmentation is 'dice_cross_entropy'. Received: {recipe.loss.kind!r}.")
    model = network(recipe, classes=data.classes, input_shape=(None, None, data.channels))
    check_shapes(model, {data.size}, data.channels, lambda size: (size, size, data.classes))
    images, masks = found["train_images"], found["train_labels"]
    changed = Changed(data, _multiple(model))
    repeats = -(-recipe.batch // len(images))  # so that there is a full batch
    settings: dict[str, Any] = dict(repeats=repeats, seed=recipe.seed, classes=data.classes)
    batches = learning.Pairs(images, masks, changed, recipe.batch, part=replicas.part, **settings)
    size = replicas.least_test_batch  # pictures differ in size

    def tested(part: tuple[int, int]) -> PairsAhead:
        return PairsAhead(found["test_images"], found["test_labels"], changed.tested, size, classes=data.classes, part=part)

    loss = losses.DiceCrossEntropy(background=False, ignore_index=UNCOUNTED, empty="smooth", smooth=1e-5)
    score = metrics.IoU(classes=data.classes, ignore_index=UNCOUNTED)
    several = isinstance(model.output, dict)
    compiling = learning.deep_supervision(model, loss, metrics=score) if several else dict(loss=loss, metrics=[score])
    return Task(
        model=model,
        batches=batches,
        whole=len(images) * repeats // recipe.batch,
        validation=tested(replicas.part_to_test(len(found["test_images"]), size)),
        compiling=compiling,
        monitor="val_out_iou" if several else "val_iou",
        finish=lambda folder: {**_tested(model, tested((0, 1)), data.classes), "unread": unread},
        saved=lambda: from_pixels(recipe, learning.inference_model(model) if several else model, None, "softmax"),
    )


def _multiple(model: keras.Model) -> tuple[int, ...]:
    """Of which the network itself makes the sides of a picture one."""
    found = [layer.multiple for layer in model.layers if isinstance(layer, layers.PadToMultiple)]
    return tuple(np.broadcast_to(found[0] if found else 1, 2).tolist())


def _tested(model: keras.Model, pairs: learning.Pairs, classes: int) -> dict[str, Any]:
    """How pixels of all test pictures were read, `(true, predicted)`, and the overlap of each class; `None` for one that is nowhere."""
    counts = np.zeros((classes, classes), int)
    for index in range(len(pairs)):
        images, masks = pairs[index]
        scores = model.predict_on_batch(images)
        read = np.asarray(scores["out"] if isinstance(scores, dict) else scores).argmax(-1)
        keep = masks != UNCOUNTED
        counts += counted(masks[keep], read[keep], classes)
    each = [None if np.isnan(one) else float(one) for one in overlaps(counts)]
    met = [one for one in each if one is not None]
    return {
        "iou": float(np.mean(met)) if met else None,
        "iou_by_class": each,
        "confusion": counts.tolist(),
        "classes": [str(label) for label in range(classes)],
    }
