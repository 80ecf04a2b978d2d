"""What is done to a batch on the device before a network sees it, and the targets of classes."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_resnet import learning
from training.recipe import Recipe


@keras.saving.register_keras_serializable("keras_resnet_training")
class Prepared(learning.Augmentation):
    """Pictures of one size, less their mean, by their deviation: `Prepared(28, (72.94,), (90.02,))`. In training and in testing alike.

    Args:
        size: height and width in pixels, to which pictures of others are brought.
        mean, deviation: a number for each channel, for values from 0 to 255.
    """

    def __init__(self, size: int, mean: tuple[float, ...], deviation: tuple[float, ...], **kwargs: Any):
        super().__init__(**kwargs)
        self.size, self.mean, self.deviation = int(size), tuple(mean), tuple(deviation)

    def change(self, images: Any, draws: Any) -> Any:
        values = ops.cast(images, "float32")
        if tuple(images.shape[1:3]) != (self.size, self.size):
            values = ops.image.resize(values, (self.size, self.size), data_format="channels_last")
        mean, deviation = (ops.convert_to_tensor(one, dtype="float32") for one in (self.mean, self.deviation))
        return (values - mean) / deviation

    def still(self, images: Any) -> Any:
        return self.change(images, None)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return (input_shape[0], self.size, self.size, input_shape[-1])

    def get_config(self) -> dict:
        return {**super().get_config(), "size": self.size, "mean": self.mean, "deviation": self.deviation}


class Targets:
    """Probabilities of classes for whole labels, made for the batch that asks: `(n, classes)`.

    Args:
        labels: whole.
        classes: how many there are.
        smoothing: share that is spread over all classes.
        images: of the labels; where another picture stood in, its label does, too.
    """

    def __init__(self, labels: np.ndarray, classes: int, smoothing: float = 0.0, images: Any = None):
        self.labels, self.classes, self.smoothing, self.images = labels, classes, smoothing, images

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        if hasattr(self.images, "places"):
            indices = self.images.places(indices)
        targets = np.full((len(indices), self.classes), self.smoothing / self.classes, "float32")
        targets[np.arange(len(indices)), self.labels[indices]] += 1 - self.smoothing
        return targets


def changes(recipe: Recipe, on_device: bool) -> list[learning.Augmentation]:
    """The augmentations of a recipe in order.

    Args:
        recipe: the recipe.
        on_device: whether crops and flips are left to do, as they are not where pictures were decoded one by one.
    """
    data, wanted = recipe.data, recipe.augmentation
    found: list[learning.Augmentation] = []
    if on_device and wanted.crop_area:
        found.append(learning.RandomResizedCrop(data.size, area=wanted.crop_area, ratio=wanted.crop_ratio, flip=wanted.flip))
    elif on_device and wanted.flip and not wanted.pad:  # the whole picture, mirrored
        found.append(learning.RandomResizedCrop(data.size, area=(1.0, 1.0), ratio=(1.0, 1.0), flip=True))
    if wanted.trivial:
        found.append(learning.TrivialAugment())
    elif wanted.rand_magnitude is not None:
        deviation = float("inf") if wanted.rand_deviation is None else wanted.rand_deviation
        strength = (wanted.rand_count, wanted.rand_magnitude, deviation, wanted.rand_chance, wanted.rand_increasing)
        found.append(learning.RandAugment(*strength, translate=wanted.rand_translate, cutout=wanted.rand_cutout))
    found.append(Prepared(data.size, data.mean, data.deviation))
    if wanted.pad:  # behind the norm, so that what comes in is the mean
        found.append(learning.PadAndCrop(wanted.pad, on_device and wanted.flip and not wanted.crop_area, mode=wanted.pad_mode))
    if wanted.erasing:
        found.append(learning.RandomErasing(wanted.erasing, fill="normal" if wanted.erasing_fill == "noise" else 0.0))
    if wanted.mixup or wanted.cutmix:
        found.append(learning.Mix(data.classes, wanted.mixup, wanted.cutmix, smoothing=recipe.loss.smoothing, per=wanted.mix_per))
    return found
