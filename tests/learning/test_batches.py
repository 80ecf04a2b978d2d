"""Pictures with classes as batches for `fit`, augmented on the device."""

import keras
import numpy as np
import pytest

from keras_resnet.learning import Batches, Checkpoint, Mix, PadAndCrop, ProgressiveSize, RandomResizedCrop
from tests.arrays import as_numpy
from tests.quick import quick_on_torch


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


class Lazy:
    """What says nothing of its shape, or that of one picture."""

    def __init__(self, images: np.ndarray, shape=None):
        self.images, self.shape = images, shape

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        return self.images[indices]


@quick_on_torch
def test_pictures_without_channels():
    """Fashion-MNIST comes like this: it is said when it is passed, or by the first batch."""
    images, labels = np.zeros((6, 8, 8), "uint8"), np.arange(6) % 2
    said = r"`images` must be \(n, height, width, channels\). Pass images\[..., None\], if .* Received: \(%d, 8, 8\)"
    with pytest.raises(ValueError, match=said % 6):
        Batches(images, labels, [PadAndCrop(1)])
    with pytest.raises(ValueError, match=r"channels\). Received: \(6, 64\)"):
        Batches(images.reshape(6, 64), labels)
    with pytest.raises(ValueError, match=said % 4):
        Batches(Lazy(images), labels, [PadAndCrop(1)], batch_size=4)[0]
    for whole in (images[..., None], Lazy(images[..., None]), Lazy(images[..., None], (8, 8, 1))):
        assert Batches(whole, labels, [PadAndCrop(1)], batch_size=4)[1][0].shape == (2, 8, 8, 1)


@quick_on_torch
def test_a_run_goes_on_with_the_same_pictures(tmp_path):
    images, labels = np.random.default_rng(0).normal(size=(10, 8, 8, 3)).astype("float32"), np.arange(10) % 2

    def run(chain: keras.Model, epochs: int, folder) -> list[np.ndarray]:
        data, checkpoint = Batches(images, labels, [PadAndCrop(1)], batch_size=4), Checkpoint(folder)
        start = checkpoint.restore(chain)
        data.go_to(start)
        chain.fit(data, epochs=epochs, initial_epoch=start, shuffle=False, verbose=0, callbacks=[checkpoint])
        return [as_numpy(v) for v in chain.weights]

    def chain() -> keras.Model:
        keras.utils.set_random_seed(0)
        chain = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dropout(0.5, seed=1), keras.layers.Dense(2)])
        chain.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        return chain

    straight = run(chain(), 3, tmp_path / "straight")
    run(chain(), 1, tmp_path / "resumed")
    for mine, theirs in zip(run(chain(), 3, tmp_path / "resumed"), straight, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_pictures_that_grow():
    images = np.random.default_rng(0).integers(0, 256, (8, 12, 12, 3)).astype("uint8")
    data = Batches(images, np.arange(8) % 2, [RandomResizedCrop(30)], batch_size=4, workers=1)
    sizes = ProgressiveSize(data, {0: 6, 2: 9})
    seen = []
    image = keras.Input((None, None, 3))
    chain = keras.Model(image, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(image))))
    chain.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            data._taken = 0
            seen.append(tuple(data[0][0].shape))
            data._taken = 2

    chain.fit(data, epochs=4, shuffle=False, verbose=0, callbacks=[sizes, Look()])
    assert seen == [(4, 6, 6, 3), (4, 6, 6, 3), (4, 9, 9, 3), (4, 9, 9, 3)]
    for make, message in (
        (lambda: ProgressiveSize(images, {0: 8}), "`batches` must be `Batches`"),
        (lambda: ProgressiveSize(data, {1: 8}), "one of which is 0"),
        (lambda: ProgressiveSize(data, {0: 0}), "`sizes` must be sizes from 1"),
        (lambda: ProgressiveSize(Batches(images, images), {0: 8}), "must have one RandomResizedCrop. Received: 0"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
