"""Cross-entropy of pixels, with labels that do not count and weights of classes."""

from typing import Any

import keras

from keras_resnet.layers.configured import check_number
from keras_resnet.learning.losses.dense_loss import DenseLoss, share
from keras_resnet.learning.losses.masks import Pixels

LEAST = 1e-7  # of a probability whose logarithm is taken, as in Keras


@keras.saving.register_keras_serializable("keras_resnet")
class CrossEntropy(DenseLoss):
    """`-sum(w[y] log p[y]) / sum(w[y])` over the pixels that count, with a single channel of its sigmoid.

    Keras's own `SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)` is the same without `class_weights`, binary masks and
    channels first.

    Args:
        label_smoothing: share of each label that is spread evenly over all classes, from 0 to below 1.
        from_logits, ignore_index, class_weights, sparse, batch, data_format, name, reduction, dtype: see `DenseLoss`.

    Input shapes: masks `(n, *sizes)` or with a channel of 1, any number of `sizes`; outputs `(n, *sizes, channels)`, or channels first.

    Raises:
        ValueError: at an argument outside what is listed; at shapes that do not belong together, and at labels out of range in arrays.

    Source: Szegedy et al. 2016, arXiv:1512.00567, section 7, for the smoothing; means as PyTorch's `cross_entropy` takes them.
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        from_logits: bool = True,
        ignore_index: int | None = None,
        class_weights: Any = None,
        sparse: bool = True,
        batch: bool = True,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            from_logits=from_logits,
            ignore_index=ignore_index,
            class_weights=class_weights,
            sparse=sparse,
            batch=batch,
            data_format=data_format,
            **kwargs,
        )
        check_number("label_smoothing", label_smoothing, 0, 1)
        self.label_smoothing = float(label_smoothing)

    def measure(self, pixels: Pixels) -> Any:
        single = pixels.scores.shape[-1] == 1
        logarithms = self.logarithms(pixels.scores)
        targets = keras.ops.concatenate([pixels.valid - pixels.targets, pixels.targets], axis=-1) if single else pixels.targets
        weights = keras.ops.convert_to_tensor(self.class_weights or [1.0] * logarithms.shape[-1], dtype=self.dtype)
        smoothing = self.label_smoothing
        wanted = (1 - smoothing) * targets + smoothing / logarithms.shape[-1] * pixels.valid if smoothing else targets
        loss = keras.ops.sum(self.over_pixels(-wanted * logarithms * weights, pixels.weights), axis=-1)
        return share(loss, keras.ops.sum(self.over_pixels(targets * weights, pixels.weights), axis=-1))

    def logarithms(self, scores: Any) -> Any:
        """Of each class's probability; of a single channel those of background and foreground."""
        if not self.from_logits:
            found = keras.ops.concatenate([1 - scores, scores], axis=-1) if scores.shape[-1] == 1 else scores
            return keras.ops.log(keras.ops.clip(found, LEAST, 1.0))
        if scores.shape[-1] > 1:
            return keras.ops.log_softmax(scores, axis=-1)
        return keras.ops.log_sigmoid(keras.ops.concatenate([-scores, scores], axis=-1))
