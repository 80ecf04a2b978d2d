"""What a diffusion network knows of the class that it is to draw: one learned vector a class, added to that of the time."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.layers.configured import ConfiguredLayer, check_count
from keras_resnet.layers.initializer import HeNormal


@keras.saving.register_keras_serializable("keras_resnet")
class LabelEmbedding(ConfiguredLayer):
    """Adds each sample's class, as a learned vector, to a vector that it has already. The label -1 stands for no class, and adds nothing.

    Args:
        classes: how many classes.

    Input shape: `[(n, units), (n,)]`, of which the second are whole numbers from 0 to below `classes`, or -1. What is outside makes its
    sample's vector NaN: a graph cannot raise. Output shape: `(n, units)`.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Dhariwal and Nichol 2021, arXiv:2105.05233, section 3.1; no class beside them, as Ho and Salimans 2022, arXiv:2207.12598, here
    without parameters of its own.
    """

    def __init__(self, classes: int, **kwargs: Any):
        super().__init__(**kwargs)
        check_count("classes", classes)
        self.keep(locals())

    def build(self, input_shape: Any) -> None:
        units = input_shape[0][-1]
        start = HeNormal(scale=units, mode="fan_out")  # of variance 1, as the authors'
        self.table = self.add_weight(name="table", shape=(self.classes, units), initializer=start)
        self.finish_build()

    def call(self, inputs: Any) -> Any:
        backend.record("table")  # a look-up, which counts as nothing; else `profile` would call this layer unknown
        x, labels = keras.ops.cast(inputs[0], self.compute_dtype), keras.ops.cast(inputs[1], "int32")
        vectors = keras.ops.take(self.table, keras.ops.clip(labels, 0, self.classes - 1), axis=0)
        unknown = keras.ops.logical_or(keras.ops.less(labels, -1), keras.ops.greater_equal(labels, self.classes))
        factor = keras.ops.cast(keras.ops.greater_equal(labels, 0), x.dtype)
        factor = keras.ops.where(unknown, float("nan"), factor)
        return x + keras.ops.cast(vectors, x.dtype) * keras.ops.cast(factor, x.dtype)[:, None]

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return tuple(input_shape[0])
