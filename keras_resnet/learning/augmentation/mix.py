"""MixUp and CutMix of pictures with classes, and the switch between them."""

import math
from typing import Any

import keras
from keras import ops

from keras_resnet.layers.configured import check_choice, check_count, check_number
from keras_resnet.learning.augmentation.boxes import boxes
from keras_resnet.learning.augmentation.draws import Draws
from keras_resnet.learning.augmentation.layer import Augmentation, count_and_sizes


@keras.saving.register_keras_serializable("keras_resnet")
class Mix(Augmentation):
    """Mixes each picture of a batch with another, and their classes: `images, targets = Mix(10)((images, labels), training=True)`.

    With MixUp `lambda x + (1 - lambda) x'`, lambda from Beta(mixup, mixup); with CutMix a box of x' is pasted into x, with `1 - lambda` of
    the area, lambda from Beta(cutmix, cutmix), its middle anywhere, and what is beyond the border left out: lambda is then the share that
    is left of x. Targets are `lambda y + (1 - lambda) y'`. x' is the picture at the same place of the reversed batch, so shuffle. Keras's
    `MixUp` does the first; its `CutMix` puts the whole box inside, and weighs classes by an area that is not the one it pastes.

    Args:
        classes: how many there are.
        mixup: above 0, or 0 for CutMix alone.
        cutmix: above 0, or 0 for MixUp alone.
        switch: with both, how often CutMix is the one.
        chance: how often a picture is mixed at all, or with `per="batch"` a batch.
        smoothing: share of each target that is spread over all classes, from 0 to below 1.
        per: whether each `"image"` or each `"batch"` has its own lambda, box and choice; timm's default is the batch.
        seed: see `Augmentation`.
        **kwargs: `name`, `dtype` and `trainable` of a Keras layer.

    Input: images `(n, height, width, channels)` and labels, whole `(n,)` or `(n, 1)`, or probabilities `(n, classes)`.
    Output: images in float32, and targets `(n, classes)`; outside training the images as they are, and targets without smoothing.

    Raises:
        ValueError: at an argument outside what is listed, and at labels of another shape.

    Source: Zhang et al. 2018, arXiv:1710.09412; Yun et al. 2019, arXiv:1905.04899; Wightman et al. 2021, arXiv:2110.00476, for both, with
    mixup 0.1 to 0.2 and cutmix 1.0.
    """

    def __init__(
        self,
        classes: int,
        mixup: float = 0.2,
        cutmix: float = 1.0,
        switch: float = 0.5,
        chance: float = 1.0,
        smoothing: float = 0.0,
        per: str = "image",
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed, **kwargs)
        check_count("classes", classes)
        for name, value, below in (("mixup", mixup, math.inf), ("cutmix", cutmix, math.inf), ("smoothing", smoothing, 1)):
            check_number(name, value, 0, below)
        for name, value in (("switch", switch), ("chance", chance)):
            check_number(name, value, 0, math.nextafter(1, 2))
        check_choice("per", per, ("image", "batch"))
        if not mixup and not cutmix:
            raise ValueError("One of `mixup` and `cutmix` must be above 0. Received: mixup=0, cutmix=0.")
        self.classes, self.mixup, self.cutmix, self.switch = int(classes), float(mixup), float(cutmix), float(switch)
        self.chance, self.smoothing, self.per = float(chance), float(smoothing), per

    def check(self, images: Any) -> None:
        if not isinstance(images, (tuple, list)) or len(images) != 2:
            raise ValueError(f"Mix takes (images, labels). Received: {type(images).__name__}.")
        super().check(images[0])
        shape = tuple(images[1].shape)
        if shape[1:] not in ((), (1,), (self.classes,)):
            raise ValueError(f"Labels must have the shape (n,), (n, 1) or (n, {self.classes}). Received: shape={shape}.")

    def change(self, images: Any, draws: Draws) -> Any:
        images, labels = images
        count, height, width = count_and_sizes(images)
        several = count if self.per == "image" else 1
        cuts = draws.happens(self.switch if self.mixup else 1.0, several) if self.cutmix else ops.zeros((several,), "bool")
        blend = draws.beta(self.mixup or 1.0, several)
        ratio = ops.sqrt(1 - draws.beta(self.cutmix or 1.0, several))
        sides = []
        for size in (height, width):
            half = ops.floor(ratio * ops.cast(size, "float32")) / 2
            middle = ops.cast(draws.below(size, several), "float32")
            sides.append((ops.maximum(ops.ceil(middle - half), 0.0), ops.minimum(ops.ceil(middle + half), ops.cast(size, "float32"))))
        (top, bottom), (left, right) = sides
        area = (bottom - top) * (right - left) / ops.cast(height * width, "float32")
        mixed = draws.happens(self.chance, several)
        share = ops.where(mixed, ops.where(cuts, 1 - area, blend), 1.0)
        box = boxes(height, width, top, bottom, left, right)
        own, other = ops.cast(images, "float32"), ops.cast(ops.flip(images, axis=0), "float32")
        # Within a box the other one alone, elsewhere of a cut picture its own alone.
        weight = ops.where(ops.reshape(cuts & mixed, (-1, 1, 1, 1)), 1 - ops.cast(box, "float32"), ops.reshape(share, (-1, 1, 1, 1)))
        targets = self._targets(labels, self.smoothing)
        share = ops.reshape(share, (-1, 1))
        return own * weight + other * (1 - weight), targets * share + ops.flip(targets, axis=0) * (1 - share)

    def still(self, images: Any) -> Any:
        return images[0], self._targets(images[1], 0.0)

    def _targets(self, labels: Any, smoothing: float) -> Any:
        if tuple(labels.shape[1:]) != (self.classes,) or self.classes == 1:
            labels = ops.one_hot(ops.cast(ops.reshape(labels, (-1,)), "int32"), self.classes)
        return ops.cast(labels, "float32") * (1 - smoothing) + smoothing / self.classes

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return tuple(input_shape[0]), (input_shape[1][0], self.classes)

    def compute_output_spec(self, images: Any, training: bool | None = None) -> Any:
        self.check(images)
        shapes = self.compute_output_shape([x.shape for x in images])
        return tuple(keras.KerasTensor(shape, dtype="float32") for shape in shapes)

    def get_config(self) -> dict:
        names = ("classes", "mixup", "cutmix", "switch", "chance", "smoothing", "per")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
