"""Stock Keras layers that carry the weights of ours: what independent transcriptions of networks are made of."""

from typing import Any

import keras
import numpy as np

from tests.arrays import as_numpy, normal


def convolved(conv: Any, x: Any) -> Any:
    """Keras's own convolution that keeps the size, with the weights of `conv`."""
    weights = [as_numpy(variable) for variable in conv.variables]
    theirs = keras.layers.Conv2D(
        weights[0].shape[-1], weights[0].shape[0], padding="same", use_bias=len(weights) == 2, data_format="channels_last"
    )
    return carrying(theirs, weights, x)


def normalized(norm: Any, x: Any) -> Any:
    """Keras's own batch normalization with the weights of `norm`, and a ReLU."""
    theirs = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
    return keras.layers.ReLU()(carrying(theirs, [as_numpy(variable) for variable in norm.variables], x))


def carrying(layer: Any, weights: list, x: Any) -> Any:
    """`layer` called on `x`, with these weights."""
    y = layer(x)
    layer.set_weights(weights)
    return y


def spread(model):
    """The model with numbers of which none is a special one."""
    for i, variable in enumerate(model.variables):
        if "seed" not in variable.path:
            noise = normal(*variable.shape, seed=i, deviation=0.1)
            variable.assign(as_numpy(variable) + (np.abs(noise) if "variance" in variable.path else noise))
    return model
