"""A small model and its training, for checkpoints."""

import keras
import numpy as np

from keras_resnet.learning import SGD, WarmUp
from tests.arrays import as_numpy, normal

LABELS = np.arange(12) % 3


def model(units: int = 8, optimizer=None, seed=None) -> keras.Model:
    """Statistics, dropout with seeds and, on PyTorch, without; momenta and a schedule."""
    keras.utils.set_random_seed(0)
    chain = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(units),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.4, seed=3),
            keras.layers.Dropout(0.4, seed=seed),
            keras.layers.Dense(3, activation="softmax"),
        ],
        name="tiny",
    )
    rate = WarmUp(keras.optimizers.schedules.CosineDecay(0.5, 9), steps=4)
    optimizer = SGD(rate, momentum=0.9, nesterov=True, weight_decay=1e-3) if optimizer is None else optimizer
    chain.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return chain


def fit(chain: keras.Model, until: int, start: int = 0, callbacks=()) -> dict:
    settings = dict(epochs=until, initial_epoch=start, batch_size=4, shuffle=False, verbose=0, callbacks=list(callbacks))
    return chain.fit(normal(12, 6), LABELS, **settings).history


def everything(chain: keras.Model) -> list[np.ndarray]:
    return [as_numpy(variable) for variable in [*chain.variables, *chain.optimizer.variables]]


def same(one: keras.Model, other: keras.Model) -> None:
    for mine, theirs in zip(everything(one), everything(other), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def moved(chain: keras.Model) -> keras.Model:
    """A model three steps further, without the time that compiling `fit` takes."""
    if not chain.optimizer.built:
        chain.optimizer.build(chain.trainable_variables)
    chain.optimizer.iterations.assign(int(chain.optimizer.iterations) + 3)
    chain.layers[0].kernel.assign(as_numpy(chain.layers[0].kernel) + 1)
    return chain
