"""Losses of whole pictures with classes that Keras has not as the recipes mean them."""

from typing import Any

import keras
from keras import ops

from keras_resnet.layers.configured import check_count, check_flag, check_number


@keras.saving.register_keras_serializable("keras_resnet")
class BinaryCrossentropy(keras.losses.Loss):
    """One yes-or-no question a class, as in ResNet strikes back: `BinaryCrossentropy(classes=1000)`, for logits.

    `-t log sigmoid(z) - (1 - t) log sigmoid(-z)`, averaged over classes and pictures, with targets `t` from `Mix`, or one-hot ones of whole
    labels. Keras's `BinaryCrossentropy` gives the same for targets of probabilities; it takes no labels, and smooths towards 1 / 2. With a
    softmax, label smoothing and soft targets are right in `keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)`.

    Args:
        classes: how many there are.
        smoothing: share of the target of a whole label that is spread over all classes, from 0 to below 1. Soft targets stay, since `Mix`
            smooths its own.
        threshold: what soft targets are above it become 1, others 0: all classes of a mixed picture count as there. `None` leaves them.
        sum_classes: whether to add up classes; the loss is then `classes` times as large.
        reduction, name: as in Keras.

    Labels: `(n,)` or `(n, 1)` whole, or `(n, classes)`. Predictions: logits `(n, classes)`.

    Raises:
        ValueError: at an argument outside what is listed, and at other shapes.

    Source: Wightman et al. 2021, arXiv:2110.00476, section 2; Beyer et al. 2020, arXiv:2006.07159. timm's reduction and thresholds.
    """

    def __init__(
        self,
        classes: int,
        smoothing: float = 0.0,
        threshold: float | None = None,
        sum_classes: bool = False,
        reduction: str = "sum_over_batch_size",
        name: str = "binary_crossentropy",
    ):
        super().__init__(name=name, reduction=reduction)
        check_count("classes", classes)
        check_number("smoothing", smoothing, 0, 1)
        if threshold is not None:
            check_number("threshold", threshold, 0, 1)
        check_flag("sum_classes", sum_classes)
        self.classes, self.smoothing, self.threshold, self.sum_classes = int(classes), float(smoothing), threshold, bool(sum_classes)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        y_true = ops.convert_to_tensor(y_true)  # as they are: Keras would make them as wide as the predictions
        if len(y_pred.shape) != 2 or y_pred.shape[-1] != self.classes or tuple(y_true.shape[1:]) not in ((), (1,), (self.classes,)):
            raise ValueError(
                f"Labels must be whole, (n,) or (n, 1), or (n, {self.classes}), and predictions (n, {self.classes}). "
                f"Received: {tuple(y_true.shape)}, {tuple(y_pred.shape)}."
            )
        if tuple(y_true.shape[1:]) != (self.classes,) or self.classes == 1 != len(y_true.shape):
            hot = ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), self.classes, dtype="float32")
            y_true = hot * (1 - self.smoothing) + self.smoothing / self.classes
        if self.threshold is not None:
            y_true = ops.cast(ops.cast(y_true, "float32") > self.threshold, "float32")
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_true = ops.cast(y_true, y_pred.dtype)
        # -log sigmoid(z) is softplus(-z), and -log sigmoid(-z) is that + z.
        losses = ops.softplus(-y_pred) + (1 - y_true) * y_pred
        return ops.sum(losses, axis=-1) if self.sum_classes else ops.mean(losses, axis=-1)

    def get_config(self) -> dict:
        names = ("classes", "smoothing", "threshold", "sum_classes")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
