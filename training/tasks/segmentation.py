"""Learning masks of pictures."""

import concurrent.futures
import os
import pathlib
from typing import Any

import numpy as np

from keras_resnet import learning, losses, metrics
from keras_resnet_cli.picture_folders import is_picture
from training.data import made_up
from training.data.stream import PairsAhead
from training.optimization import check_shapes, network
from training.recipe import Data, Recipe
from training.tasks import Task

UNCOUNTED = 255  # the label of pixels that do not count
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
    """What nnU-Net does to a slice and its mask: normalized, then cut, turned, scaled and mirrored, and its values changed."""

    def __init__(self, data: Data):
        self.mean, self.deviation = np.array(data.mean, "float32"), np.array(data.deviation, "float32")
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

    def normalized(self, image: np.ndarray, mask: Any = None, seed: Any = 0) -> Any:
        """The picture as the network sees it, with its mask if one is passed; a grey one has the same in each channel."""
        if image.shape[-1] not in (1, len(self.mean)):
            raise ValueError(
                f"`data.channels` is {len(self.mean)}, and there is a picture of {image.shape[-1]}. Pass --set data.channels="
                f"{image.shape[-1]}, and as many numbers by data.mean and data.deviation."
            )
        values = (image.astype("float32") - self.mean) / self.deviation
        return values if mask is None else (values, mask)


def files(recipe: Recipe, where: str | None) -> dict[str, list]:
    """Pictures and masks to learn from and to test on.

    Raises:
        ValueError: unless `where` is a folder with `images` and `masks`, files of equal names.
    """
    if where == "made_up":
        return made_up.masks(recipe.data)
    path = pathlib.Path(where or "")
    if where is None or not (path / "images").is_dir() or not (path / "masks").is_dir():
        raise ValueError(f"Masks are learnt from --data FOLDER that has the folders images and masks. Received: --data {where}.")
    found = [{file.stem: str(file) for file in sorted((path / name).iterdir()) if is_picture(file.name)} for name in ("images", "masks")]
    if found[0].keys() != found[1].keys() or len(found[0]) < 2:
        odd = sorted(found[0].keys() ^ found[1].keys())[:5]
        raise ValueError(f"{str(path)!r} needs two pictures or more, and a mask of the same name for each. Without the other: {odd}.")
    names = [str(name) for name in np.random.default_rng(0).permutation(sorted(found[0]))]
    back = min(max(1, round(recipe.data.held_back * len(names))), len(names) - 1)
    parts = (("train", names[back:]), ("test", names[:back]))
    kinds = (("images", found[0]), ("masks", found[1]))
    arranged = {f"{part}_{kind}": [by_name[name] for name in chosen] for part, chosen in parts for kind, by_name in kinds}
    return {name.replace("masks", "labels"): value for name, value in arranged.items()}


def check_pairs(found: dict[str, list], changed: Changed, classes: int) -> None:
    """Opens each picture and its mask, so that what is wrong with one is said before hours of training and not in them.

    Raises:
        ValueError: if one cannot be read, has other channels, or other labels than those of the classes and 255, or all that is learnt
            from is background.
    """
    learnt, _ = (_labels(found[f"{part}_images"], found[f"{part}_labels"], changed, classes) for part in ("train", "test"))
    if learnt <= {0, UNCOUNTED}:
        raise ValueError(
            f"The masks to learn from show the labels {sorted(learnt)} alone: background, and {UNCOUNTED} where pixels do not count. "
            "What is to be found has the labels 1, 2, ...; in black-and-white masks write 1 in the place of 255."
        )


def _labels(images: list, masks: list, changed: Changed, classes: int) -> set[int]:
    """All that masks show; each is opened with its picture."""
    pairs = learning.Pairs(images, masks, changed.normalized, 1, shuffle=False, classes=classes)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return set().union(*pool.map(lambda index: np.unique(pairs[index][1]).tolist(), range(len(pairs))))


def task(recipe: Recipe, where: str | None, replicas: learning.Replicas) -> Task:
    """What `run` needs, for pictures with masks."""
    data = recipe.data
    if recipe.loss.kind != "dice_cross_entropy":
        raise ValueError(f"`loss.kind` of a segmentation is 'dice_cross_entropy'. Received: {recipe.loss.kind!r}.")
    found, changed = files(recipe, where), Changed(data)
    if replicas.is_first:
        check_pairs(found, changed, data.classes)
    model = network(recipe, classes=data.classes, input_shape=(None, None, data.channels))
    check_shapes(model, {data.size}, data.channels, lambda size: (size, size, data.classes))
    images, masks = found["train_images"], found["train_labels"]
    repeats = -(-recipe.batch // len(images))  # so that there is a full batch
    settings: dict[str, Any] = dict(repeats=repeats, seed=recipe.seed, classes=data.classes)
    batches = learning.Pairs(images, masks, changed, recipe.batch, part=replicas.part, **settings)
    size = replicas.least_test_batch  # pictures differ in size
    settings = dict(classes=data.classes, part=replicas.part_to_test(len(found["test_images"]), size))
    validation = PairsAhead(found["test_images"], found["test_labels"], changed.normalized, size, **settings)
    loss = losses.DiceCrossEntropy(background=False, ignore_index=UNCOUNTED)
    score = metrics.IoU(classes=data.classes, ignore_index=UNCOUNTED)
    several = isinstance(model.output, dict)
    compiling = learning.deep_supervision(model, loss, metrics=score) if several else dict(loss=loss, metrics=[score])
    return Task(
        model=model,
        batches=batches,
        whole=len(images) * repeats // recipe.batch,
        validation=validation,
        compiling=compiling,
        monitor="val_loss",
        finish=lambda folder: {},
        saved=lambda: learning.inference_model(model) if several else model,
    )
