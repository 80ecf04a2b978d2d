"""Pictures with classes as batches for `fit`, augmented on the device."""

import keras
import numpy as np

from keras_resnet.learning import Batches, Mix, PadAndCrop
from tests.arrays import as_numpy


def test_batches_for_fit():
    images = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3)).astype("uint8")
    labels = np.arange(10) % 2
    data = Batches(images, labels, [PadAndCrop(1), Mix(2)], batch_size=4, seed=3)
    assert len(data) == 3
    first, targets = map(as_numpy, data[1])
    assert (first.shape, targets.shape, first.dtype) == ((4, 8, 8, 3), (4, 2), np.dtype("float32"))
    np.testing.assert_array_equal(as_numpy(data[1][0]), first)
    chain = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(2)])
    chain.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    losses = chain.fit(data, epochs=2, shuffle=False, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert data.sampler.epoch == 2
    assert (as_numpy(data[1][0]) != first).any()
    data.go_to(0)
    np.testing.assert_array_equal(as_numpy(data[1][0]), first)
    plain = Batches(images, labels, batch_size=4, shuffle=False)[2]
    assert (plain[0] == images[8:]).all()
    assert plain[0].dtype == np.uint8
