"""The loss of a judgement of whole images: whether a mask shows anything."""

from typing import Any

import keras

from keras_resnet.layers.configured import check_number


@keras.saving.register_keras_serializable("keras_resnet")
class Presence(keras.losses.Loss):
    """Binary cross-entropy of two probabilities an image, of nothing and of something, against what its mask shows.

    Args:
        ignore_index: label of pixels that do not count; `None` for none.
        name, reduction, dtype: as in every Keras loss.

    Input shapes: masks `(n, ...)`, 0 for background; outputs `(n, 2)`, such as `"presence"` of `models.unet3plus(guided=True)`.

    Raises:
        ValueError: at outputs of another shape, and at scores in the place of masks.

    Source: Huang et al. 2020, arXiv:2004.08790, section 2.3.
    """

    def __init__(self, ignore_index: int | None = None, name: str = "presence", reduction: str = "sum_over_batch_size", dtype: Any = None):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if ignore_index is not None:
            check_number("ignore_index", ignore_index)
        self.ignore_index = ignore_index

    def call(self, y_true: Any, y_pred: Any) -> Any:
        if len(y_pred.shape) != 2 or y_pred.shape[1] != 2:
            raise ValueError(f"Presence takes two probabilities an image, (n, 2). Received: shape={tuple(y_pred.shape)}.")
        if len(y_true.shape) < 3:
            raise ValueError(f"Presence takes masks, (n, height, width), and finds out itself what they show. Received: {y_true.shape}.")
        shows = keras.ops.not_equal(y_true, 0)
        if self.ignore_index is not None:
            shows = keras.ops.logical_and(shows, keras.ops.not_equal(y_true, self.ignore_index))
        something = keras.ops.any(keras.ops.reshape(shows, (keras.ops.shape(shows)[0], -1)), axis=1)
        something = keras.ops.cast(something, y_pred.dtype)
        truth = keras.ops.stack([1 - something, something], axis=1)
        return keras.losses.binary_crossentropy(truth, y_pred)

    def get_config(self) -> dict:
        return {**super().get_config(), "ignore_index": self.ignore_index}
