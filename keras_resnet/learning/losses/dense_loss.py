"""The base of the losses of dense prediction: what masks they take, and what they do with one that is wrong."""

import inspect
from typing import Any

import keras
import numpy as np

from keras_resnet.backend import geometry
from keras_resnet.layers.configured import check_flag, check_number
from keras_resnet.learning.losses.masks import Pixels, check_shapes, check_values, check_weights, label_count, read_pixels, values_of


class DenseLoss(keras.losses.Loss):
    """A loss of every pixel of an image or a volume, in float32 whatever the network computes in.

    Args:
        from_logits: whether the network ends without softmax or sigmoid, as ours do.
        ignore_index: label of pixels that do not count. A class of this number is left out of means over classes. With `sparse=False`
            also pixels without any class.
        class_weights: a weight a class; two with a single channel, background first.
        sparse: whether masks hold integers. Else a channel a class, whose numbers sum to 1: one-hot, or mixed by MixUp.
        batch: whether a class is measured over the whole batch at once, or in each sample.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.
        name, reduction, dtype: as in `keras.losses.Loss`; `dtype` is float32 unless it is float64. A `batch` loss is one number, which
            a sample's weight scales only through the weights' mean; with `batch=False` it is a number a sample.

    `sample_weight` may be a number a sample, `(n,)`, or one a pixel, in the masks' shape. A pixel's weighs it in all sums over pixels, so
    that one of 0 is as if it were ignored; and, as with Keras's losses, the loss is scaled by the weights' mean.

    A label out of range, or a fraction, is an error where the mask is a NumPy array. In `model.fit` masks are tensors, whose values
    would have to be waited for: there such pixels do not count, and the loss is NaN, which
    `keras.callbacks.TerminateOnNaN` stops at; the gradients, and so the weights, stay finite. `check_masks` finds the culprits.
    """

    def __init__(
        self,
        from_logits: bool = True,
        ignore_index: int | None = None,
        class_weights: Any = None,
        sparse: bool = True,
        batch: bool = True,
        data_format: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        super().__init__(dtype=dtype or "float32", **kwargs)
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"`dtype` must be 'float32' or 'float64': sums over pixels need it. Received: dtype={dtype!r}.")
        check_flag("from_logits", from_logits)
        check_flag("sparse", sparse)
        check_flag("batch", batch)
        check_ignore_index(ignore_index)
        if class_weights is not None:
            if not isinstance(class_weights, (list, tuple, np.ndarray)) or np.ndim(class_weights) != 1:
                raise ValueError(
                    "`class_weights` must be a list of numbers, one a class, such as [1, 2, 2], or None. "
                    f"Received: class_weights={class_weights!r}."
                )
            class_weights = [float(weight) if isinstance(weight, (int, float, np.number)) else weight for weight in class_weights]
            for i, weight in enumerate(class_weights):
                check_number(f"class_weights[{i}]", weight, 0)
            if not sum(class_weights) > 0:
                raise ValueError(f"One of `class_weights` must be above 0. Received: class_weights={class_weights!r}.")
        self.from_logits = bool(from_logits)
        self.ignore_index = ignore_index
        self.class_weights = class_weights
        self.sparse = bool(sparse)
        self.batch = bool(batch)
        self.data_format = geometry.standardize_data_format(data_format, keras.config.image_data_format())

    weighs_pixels = True

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        self.check(y_true, y_pred)
        weights = sample_weight if hasattr(sample_weight, "shape") or sample_weight is None else np.asarray(sample_weight)
        if weights is None or not check_weights(weights, tuple(keras.ops.shape(y_pred)), self.data_format):
            return super().__call__(y_true, y_pred, weights)
        if not self.weighs_pixels:
            raise ValueError(f"{type(self).__name__} takes a weight a sample, `(n,)`: it ranks pixels. Received: {tuple(weights.shape)}.")
        weights = keras.ops.cast(keras.ops.convert_to_tensor(weights), self.dtype)
        if len(weights.shape) == len(y_pred.shape):
            weights = keras.ops.squeeze(weights, 1 if self.data_format == "channels_first" else -1)
        means = keras.ops.mean(weights, axis=tuple(range(1, len(weights.shape))))
        return super().__call__((y_true, keras.ops.expand_dims(weights, -1)), y_pred, means)

    def check(self, y_true: Any, y_pred: Any) -> None:
        """Raises at masks that do not belong to the network's output; values are looked at in NumPy arrays alone."""
        shape = tuple(y_pred.shape if hasattr(y_pred, "shape") else np.shape(y_pred))
        values = values_of(y_true)
        check_shapes(tuple(y_true.shape if values is None else values.shape), shape, self.sparse, self.data_format)
        channels = shape[1 if self.data_format == "channels_first" else -1]
        if self.class_weights is not None and len(self.class_weights) != label_count(channels):
            raise ValueError(
                f"`class_weights` must have {label_count(channels)} numbers for a network of {channels} channel{'s' * (channels > 1)}. "
                f"Received: class_weights={self.class_weights!r}."
            )
        if values is not None:
            check_values(values, channels, self.sparse, self.ignore_index, self.data_format)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_true, weights = y_true if isinstance(y_true, tuple) else (y_true, None)
        pixels = read_pixels(y_true, y_pred, self.sparse, self.ignore_index, self.data_format)._replace(weights=weights)
        wrong = keras.ops.any(pixels.wrong, keepdims=True) if self.batch else pixels.wrong
        # Added, not chosen by `where`: the gradients are those of the pixels that count.
        return self.measure(pixels) + keras.ops.stop_gradient(keras.ops.cast(keras.ops.where(wrong, float("nan"), 0.0), self.dtype))

    def measure(self, pixels: Pixels) -> Any:
        """The loss, `(1,)` of the batch or `(n,)` of its samples."""
        raise NotImplementedError("A loss of pixels says here how it measures them.")

    def probabilities(self, scores: Any) -> Any:
        """What the network gives each class: its softmax, with a single channel its sigmoid."""
        if not self.from_logits:
            return scores
        return keras.ops.softmax(scores, axis=-1) if scores.shape[-1] > 1 else keras.ops.sigmoid(scores)

    def over_pixels(self, values: Any, weights: Any) -> Any:
        """Weighted sums over pixels and, for a batch, samples: `(1 or n, channels)`."""
        values = values if weights is None else values * weights
        axes = tuple(range(1, len(values.shape) - 1))
        total = keras.ops.sum(values, axis=axes)
        return keras.ops.sum(total, axis=0, keepdims=True) if self.batch else total

    def over_classes(self, losses: Any, counts: Any = None, background: bool = True) -> Any:
        """Weighted mean of `(groups, channels)` over the classes that count."""
        channels = losses.shape[-1]
        weights = np.ones(channels) if self.class_weights is None else np.array(self.class_weights[-channels:], "float64")
        if channels > 1:
            if not background:
                weights[0] = 0
            if self.ignore_index is not None and 0 <= self.ignore_index < channels:
                weights[self.ignore_index] = 0
        weights = keras.ops.convert_to_tensor(weights, dtype=self.dtype) * keras.ops.ones_like(losses)
        if counts is not None:
            weights = weights * keras.ops.cast(counts, self.dtype)
        return share(keras.ops.sum(losses * weights, axis=-1), keras.ops.sum(weights, axis=-1))

    def get_config(self) -> dict:
        names = [name for name in inspect.signature(type(self).__init__).parameters if name not in ("self", "kwargs")]
        return {**super().get_config(), **{name: getattr(self, name) for name in names}, "dtype": self.dtype}


def check_ignore_index(value: Any) -> None:
    """Raises unless `value` is a whole number or `None`."""
    if value is not None and (isinstance(value, bool) or not hasattr(value, "__index__")):
        raise ValueError(f"`ignore_index` must be an integer, such as 255, or None. Received: ignore_index={value!r}.")


def share(part: Any, whole: Any) -> Any:
    """`part / whole`, 0 where there is nothing, with a gradient that is finite there."""
    empty = keras.ops.equal(whole, 0)
    return keras.ops.where(empty, 0, part / keras.ops.where(empty, 1, whole))
