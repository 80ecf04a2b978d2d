"""Batches as TensorFlow's pipelines take them, which want to know shapes before they see them."""

from typing import Any

import keras
import tensorflow as tf


def signature(batch: Any, any_size: bool = False) -> Any:
    """Of batches like this one, of any number of examples.

    Args:
        batch: pictures or volumes, channels last, with labels or masks.
        any_size: whether others are of other sizes than these.
    """
    axes = len(batch[0].shape) - 1

    def spec(one: Any) -> tf.TensorSpec:
        free = axes if any_size and len(one.shape) >= axes else 1  # a label is as large for any picture
        return tf.TensorSpec((None,) * free + tuple(one.shape)[free:], tf.as_dtype(one.dtype))

    return keras.tree.map_structure(spec, tuple(batch))


def of_any_size(batches: Any) -> Any:
    """A `PyDataset` whose pictures differ in size; Keras 3.15 takes the first two batches' for those of all."""
    made = tf.data.Dataset.from_generator(
        lambda: (tuple(batches[i]) for i in range(len(batches))), output_signature=signature(batches[0], any_size=True)
    )
    return made.apply(tf.data.experimental.assert_cardinality(len(batches)))
