"""The base of metrics of overlap: how many pixels of each class are taken for each, exactly, over any number of batches."""

from typing import Any

import keras

from keras_resnet.layers.configured import check_choice
from keras_resnet.learning.metrics.labels import LabelMetric, average

LIMB = 2**20  # int32 ends at 8192 images of 512x512 pixels, so counts are `low + LIMB * high`; JAX has no int64 unless asked


class ConfusionMetric(LabelMetric):
    """A mean over classes of `score(tp, fp, fn)`.

    Args:
        classes, ignore_index, background, from_logits, threshold, sparse, data_format, name, dtype: see `LabelMetric`.
        empty: what a class scores that is neither in masks nor in what is found: `"skip"`, it does not count in the mean, or `"one"`.
            Where no class counts, since all is rightly empty, the result is 1.
        average: over `"classes"`, each measured over all pixels; over `"pixels"`, the counts of all classes as one; or over `"images"`,
            each class measured in each image.
    """

    default_name: str | None = None  # where Keras would make a bad one of the class's

    def __init__(
        self,
        classes: int,
        ignore_index: int | None = None,
        background: bool = True,
        empty: str = "skip",
        average: str = "classes",
        from_logits: bool = True,
        threshold: float = 0.5,
        sparse: bool = True,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        kwargs["name"] = kwargs.get("name") or self.default_name
        super().__init__(
            classes,
            ignore_index=ignore_index,
            background=background,
            from_logits=from_logits,
            threshold=threshold,
            sparse=sparse,
            data_format=data_format,
            **kwargs,
        )
        check_choice("empty", empty, ("skip", "one"))
        check_choice("average", average, ("classes", "pixels", "images"))
        self.empty = empty
        self.average = average
        self.counts = self.add_variable((2, classes, classes), "zeros", dtype="int32", name="counts")
        if average == "images":
            self.totals = self.add_variable((classes,), "zeros", dtype="float32", name="totals")
            self.images = self.add_variable((classes,), "zeros", dtype="float32", name="images")

    def score(self, tp: Any, fp: Any, fn: Any) -> Any:
        """Of counts, any of which are above 0."""
        raise NotImplementedError("A metric of overlap says here what its score is.")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        truth, found, keep = self.read(y_true, y_pred, sample_weight)
        if self.average == "images":
            self.count_images(truth, found, keep)
        places = keras.ops.where(keep, truth * self.classes + found, self.classes**2)
        places = keras.ops.reshape(places, (-1,))
        # Not bincount, which Keras 3.15 does not trace on JAX.
        new = keras.ops.segment_sum(keras.ops.ones_like(places), places, num_segments=self.classes**2 + 1)[: self.classes**2]
        low = self.counts.value[0] + keras.ops.reshape(new, (self.classes, self.classes))
        self.counts.assign(keras.ops.stack([low % LIMB, self.counts.value[1] + low // LIMB]))

    def count_images(self, truth: Any, found: Any, keep: Any) -> None:
        """Adds each image's score of each class."""
        numbers = keras.ops.arange(self.classes, dtype="int32")
        axes = tuple(range(1, len(truth.shape)))
        kept = keras.ops.expand_dims(keep, -1)
        there = keras.ops.equal(keras.ops.expand_dims(truth, -1), numbers) & kept
        taken = keras.ops.equal(keras.ops.expand_dims(found, -1), numbers) & kept
        tp = keras.ops.sum(keras.ops.cast(there & taken, "float32"), axes)
        fp = keras.ops.sum(keras.ops.cast(taken, "float32"), axes) - tp
        fn = keras.ops.sum(keras.ops.cast(there, "float32"), axes) - tp
        scores, counts = self.scores(tp, fp, fn)
        self.totals.assign(self.totals.value + keras.ops.sum(scores * counts, axis=0))
        self.images.assign(self.images.value + keras.ops.sum(counts, axis=0))

    def scores(self, tp: Any, fp: Any, fn: Any) -> tuple[Any, Any]:
        """Scores, 1 of what is rightly empty, and whether they count."""
        filled = tp + fp + fn > 0
        scores = keras.ops.where(filled, self.score(keras.ops.where(filled, tp, 1), fp, fn), 1)
        counts = keras.ops.cast(filled, "float32") if self.empty == "skip" else keras.ops.ones_like(scores)
        return scores, counts * keras.ops.convert_to_tensor(self.counted, dtype="float32")

    def confusion_matrix(self) -> Any:
        """Pixels by true class (rows) and class found (columns), float32; counted exactly."""
        low, high = keras.ops.cast(self.counts.value[0], "float32"), keras.ops.cast(self.counts.value[1], "float32")
        return low + high * LIMB

    def of_classes(self) -> tuple[Any, Any]:
        """Score of each class, and how much it counts."""
        if self.average == "images":
            return self.totals.value / keras.ops.maximum(self.images.value, 1), self.images.value
        return self.scores(*self.positives())

    def positives(self) -> tuple[Any, Any, Any]:
        """True positives, false positives and false negatives of each class."""
        matrix = self.confusion_matrix()
        tp = keras.ops.diagonal(matrix)
        return tp, keras.ops.sum(matrix, axis=0) - tp, keras.ops.sum(matrix, axis=1) - tp

    def result(self) -> Any:
        if self.average == "pixels":
            counted = keras.ops.convert_to_tensor(self.counted, dtype="float32")
            tp, fp, fn = (keras.ops.sum(values * counted) for values in self.positives())
            filled = tp + fp + fn > 0
            score = keras.ops.where(filled, self.score(keras.ops.where(filled, tp, 1), fp, fn), 1)
            return self.finish(keras.ops.where(self.any_pixel(), score, 0))
        scores, counts = self.of_classes()
        rightly_empty = keras.ops.cast(self.any_pixel(), "float32")
        return self.finish(keras.ops.where(keras.ops.sum(counts) > 0, average(scores, counts), rightly_empty))

    def any_pixel(self) -> Any:
        """Whether anything was counted since the last `reset_state`."""
        return keras.ops.any(self.counts.value > 0)

    def per_class(self) -> Any:
        """The score of each class, `(classes,)`; NaN for those that do not count."""
        scores, counts = self.of_classes()
        return self.finish(keras.ops.where(counts > 0, scores, float("nan")))

    def get_config(self) -> dict:
        return {**super().get_config(), "empty": self.empty, "average": self.average}
