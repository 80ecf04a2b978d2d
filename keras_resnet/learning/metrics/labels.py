"""What class each pixel is and what the network takes it for, from the same masks and outputs that the losses take."""

from typing import Any

import keras
import numpy as np

from keras_resnet.backend import geometry
from keras_resnet.layers.configured import check_count, check_flag, check_number
from keras_resnet.learning.losses.dense_loss import check_ignore_index
from keras_resnet.learning.losses.masks import check_masks, check_shapes, check_values, label_count, read_pixels, values_of


class LabelMetric(keras.metrics.Metric):
    """A metric of the class of each pixel.

    Args:
        classes: how many classes there are, at least 2, background included; 2 with a single channel.
        ignore_index: label of pixels that do not count. A class of this number is left out of means over classes.
        background: whether class 0 counts in means over classes.
        from_logits: whether a single channel is in front of its sigmoid, as in our networks.
        threshold: probability above which a single channel is foreground.
        sparse: whether masks hold integers; else a channel a class.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.
        name, dtype: as in `keras.metrics.Metric`.

    `y_pred` is the network's output, or a mask of integers. What is no label, in either, makes the result NaN until `reset_state`; in
    NumPy arrays it is an error.
    """

    def __init__(
        self,
        classes: int,
        ignore_index: int | None = None,
        background: bool = True,
        from_logits: bool = True,
        threshold: float = 0.5,
        sparse: bool = True,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_count("classes", classes)
        if classes < 2:
            raise ValueError(f"`classes` must be at least 2, background included. Received: classes={classes!r}.")
        check_ignore_index(ignore_index)
        check_flag("background", background)
        check_flag("from_logits", from_logits)
        check_number("threshold", threshold)
        if not 0 < threshold < 1:
            raise ValueError(f"`threshold` must be above 0 and below 1. Received: threshold={threshold!r}.")
        check_flag("sparse", sparse)
        self.classes = int(classes)
        self.ignore_index = ignore_index
        self.background = bool(background)
        self.from_logits = bool(from_logits)
        self.threshold = float(threshold)
        self.sparse = bool(sparse)
        self.data_format = geometry.standardize_data_format(data_format, keras.config.image_data_format())
        self.wrong = self.add_variable((), "zeros", dtype="int32", name="wrong")

    @property
    def counted(self) -> np.ndarray:
        """Whether each class counts in a mean over classes."""
        counted = np.ones(self.classes, bool)
        counted[0] = self.background
        if self.ignore_index is not None and 0 <= self.ignore_index < self.classes:
            counted[self.ignore_index] = False
        return counted

    def read(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tuple[Any, Any, Any]:
        """Labels in truth, labels found, both `(n, *sizes)`, and whether the pixel counts. Notes what is wrong."""
        if sample_weight is not None:
            raise ValueError(
                f"{type(self).__name__} counts pixels, so it takes no weights: pass it in `metrics`, not in `weighted_metrics`, and use "
                "`ignore_index` for pixels that do not count."
            )
        arrays = [values_of(y) for y in (y_true, y_pred)]
        y_true, y_pred = (keras.ops.convert_to_tensor(y if array is None else array) for y, array in zip((y_true, y_pred), arrays))
        y_true = _plain(y_true)
        data_format, stray = self.data_format, None
        if "float" not in keras.backend.standardize_dtype(y_pred.dtype):
            if arrays[1] is not None:
                check_masks(arrays[1], self.classes)
            y_pred, stray = self.spread(_plain(y_pred))
        channels = y_pred.shape[1 if data_format == "channels_first" else -1]
        check_shapes(tuple(y_true.shape), tuple(y_pred.shape), self.sparse, data_format)
        if label_count(channels) != self.classes:
            raise ValueError(
                f"`y_pred` must have {self.classes} channels{' or 1' * (self.classes == 2)} ({data_format}), as classes={self.classes}. "
                f"Received: y_pred of {tuple(y_pred.shape)}."
            )
        if arrays[0] is not None:
            check_values(arrays[0], channels, self.sparse, self.ignore_index, data_format)
        pixels = read_pixels(y_true, keras.ops.cast(y_pred, "float32"), self.sparse, self.ignore_index, data_format)
        keep = pixels.valid[..., 0] > 0
        if channels == 1:
            level = np.float32(np.log(self.threshold / (1 - self.threshold)) if self.from_logits else self.threshold)
            truth, found = pixels.targets[..., 0] > 0.5, pixels.scores[..., 0] > level
        else:
            truth, found = keras.ops.argmax(pixels.targets, axis=-1), keras.ops.argmax(pixels.scores, axis=-1)
        # The maximum of what is not a number is no label either.
        lost = keras.ops.any(keras.ops.isnan(pixels.scores) & (pixels.valid > 0))
        wrong = keras.ops.any(pixels.wrong) | lost
        if stray is not None:
            wrong = wrong | keras.ops.any(stray & (pixels.valid > 0))
        self.wrong.assign(keras.ops.maximum(self.wrong.value, keras.ops.cast(wrong, "int32")))
        return keras.ops.cast(truth, "int32"), keras.ops.cast(found, "int32"), keep

    def spread(self, labels: Any) -> tuple[Any, Any]:
        """Labels, with or without a channel of 1, as a channel a class; and which of them are none, channels last."""
        axis = 1 if self.data_format == "channels_first" else -1
        if len(labels.shape) > 3 and labels.shape[axis] == 1:
            labels = keras.ops.squeeze(labels, axis)
        spread = keras.ops.equal(keras.ops.expand_dims(labels, axis), self.places(len(labels.shape) + 1, axis))
        stray = keras.ops.expand_dims((labels < 0) | (labels >= self.classes), -1)
        return keras.ops.cast(spread, "float32"), stray

    def places(self, rank: int, axis: int) -> Any:
        """The classes' numbers along the channels."""
        shape = [1] * rank
        shape[axis] = self.classes
        return keras.ops.reshape(keras.ops.arange(self.classes, dtype="int32"), shape)

    def finish(self, result: Any) -> Any:
        """The result, NaN once anything was wrong."""
        return keras.ops.where(self.wrong.value > 0, float("nan"), result)

    def get_config(self) -> dict:
        names = ("classes", "ignore_index", "background", "from_logits", "threshold", "sparse", "data_format")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def average(scores: Any, counts: Any) -> Any:
    """Mean of the scores that count; 0 where none does."""
    counts = keras.ops.cast(counts, "float32")
    total = keras.ops.sum(keras.ops.where(counts > 0, scores * counts, 0))
    return total / keras.ops.maximum(keras.ops.sum(counts), 1)


def _plain(labels: Any) -> Any:
    """Booleans and small integers as int32: 255 and -1 are to be compared with them."""
    return labels if "float" in keras.backend.standardize_dtype(labels.dtype) else keras.ops.cast(labels, "int32")
