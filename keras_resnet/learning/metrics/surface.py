"""The base of metrics of borders: how far each mask's border is from the other's, inside the graph and on the device."""

from typing import Any

import keras

from keras_resnet.layers.configured import check_choice
from keras_resnet.learning.losses.distance_transform import check_spacing, distances
from keras_resnet.learning.metrics.labels import LabelMetric, average


class SurfaceMetric(LabelMetric):
    """A mean, over images and classes, of a score of distances between borders.

    A border pixel is one of the mask that has a neighbour, along one of the sizes, outside of it or of the image. Distances are exact. Each
    update takes up to as many steps over the batch's masks as the image has rows and columns: for `evaluate` rather than for each step of
    training.

    Args:
        classes, ignore_index, background, from_logits, threshold, sparse, data_format, name, dtype: see `LabelMetric`. Ignored pixels
            are in no mask.
        spacing: length of a pixel along each of the sizes; `None` for 1.
        empty: an image without a class in either mask does not count with `"skip"`, and is perfect with `"perfect"`. Where one mask is
            empty, the score is the worst that the image allows: the distance from corner to corner, or a share of 0.
    """

    higher_is_better = False  # whether the score is a share, 1 at best, or a distance, 0 at best

    def __init__(self, classes: int, spacing: Any = None, empty: str = "skip", **kwargs: Any):
        super().__init__(classes, **kwargs)
        check_choice("empty", empty, ("skip", "perfect"))
        self.spacing = check_spacing(spacing)
        self.empty = empty
        self.totals = self.add_variable((classes,), "zeros", dtype="float32", name="totals")
        self.images = self.add_variable((classes,), "zeros", dtype="float32", name="images")
        self.seen = self.add_variable((), "zeros", dtype="int32", name="seen")

    def score(self, forth: Any, on_truth: Any, back: Any, on_found: Any) -> Any:
        """`(n, channels)` from distances `(n, pixels, channels)`: of `on_truth` pixels to what is found, of `on_found` ones to truth."""
        raise NotImplementedError("A metric of borders says here what its score is.")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        truth, found, keep = self.read(y_true, y_pred, sample_weight)
        numbers, kept = keras.ops.arange(self.classes, dtype="int32"), keras.ops.expand_dims(keep, -1)
        borders = [border(keras.ops.equal(keras.ops.expand_dims(labels, -1), numbers) & kept) for labels in (truth, found)]
        (to_truth, has_truth), (to_found, has_found) = (distances(edge, self.spacing) for edge in borders)
        pixels = (keras.ops.shape(truth)[0], -1, self.classes)
        flat = [keras.ops.reshape(values, pixels) for values in (to_found, borders[0], to_truth, borders[1])]
        scores = self.score(*flat)
        some = [keras.ops.any(keras.ops.reshape(values, pixels), axis=1) for values in (has_truth, has_found)]
        worst = 0.0 if self.higher_is_better else self.diagonal(keras.ops.shape(truth)[1:])
        scores = keras.ops.where(some[0] & some[1], scores, worst)
        scores = keras.ops.where(some[0] | some[1], scores, 1.0 if self.higher_is_better else 0.0)
        counts = keras.ops.cast(some[0] | some[1], "float32") if self.empty == "skip" else keras.ops.ones_like(scores)
        counts = counts * keras.ops.convert_to_tensor(self.counted, dtype="float32")
        self.totals.assign(self.totals.value + keras.ops.sum(scores * counts, axis=0))
        self.images.assign(self.images.value + keras.ops.sum(counts, axis=0))
        self.seen.assign(keras.ops.ones_like(self.seen.value))

    def count(self, there: Any) -> Any:
        """How many pixels of each image and class are `there`."""
        return keras.ops.sum(keras.ops.cast(there, "float32"), axis=1)

    def diagonal(self, sizes: Any) -> Any:
        """Distance from corner to corner."""
        total: Any = 0.0
        for size, length in zip(sizes, self.spacing or (1.0,) * len(sizes)):
            total = total + keras.ops.square((keras.ops.cast(size, "float32") - 1) * length)
        return keras.ops.sqrt(total)

    def result(self) -> Any:
        score = average(self.totals.value / keras.ops.maximum(self.images.value, 1), self.images.value)
        if self.higher_is_better:  # where no class counts, since all is rightly empty, the result is perfect, as it is with distances
            score = keras.ops.where((keras.ops.sum(self.images.value) > 0) | (self.seen.value == 0), score, 1.0)
        return self.finish(score)

    def per_class(self) -> Any:
        """The mean score of each class over the images in which it counts, `(classes,)`; NaN where there is none."""
        means = self.totals.value / keras.ops.maximum(self.images.value, 1)
        return self.finish(keras.ops.where(self.images.value > 0, means, float("nan")))

    def get_config(self) -> dict:
        return {**super().get_config(), "spacing": self.spacing, "empty": self.empty}


def border(mask: Any) -> Any:
    """The pixels of a mask `(n, *sizes, channels)` that are not inside it on all sides."""
    inside = mask
    rank = len(mask.shape)
    for axis in range(1, rank - 1):
        padded = keras.ops.pad(keras.ops.cast(mask, "int32"), [(1, 1) if i == axis else (0, 0) for i in range(rank)]) > 0
        for start, stop in ((0, -2), (2, None)):
            inside = inside & padded[tuple(slice(start, stop) if i == axis else slice(None) for i in range(rank))]
    return mask & keras.ops.logical_not(inside)
