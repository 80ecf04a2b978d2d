"""Averages of weights and statistics: their numbers, where they are used, and what Keras's own do instead."""

import keras
import numpy as np
import pytest

from keras_resnet.learning import AveragedWeights, Checkpoint
from tests.arrays import as_numpy, normal
from tests.quick import ON_TORCH, quick_on_torch

IMAGES, LABELS = normal(12, 6), np.arange(12) % 3


def model(optimizer=None) -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = [keras.Input((6,)), keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.Dense(3, activation="softmax")]
    chain = keras.Sequential(layers)
    chain.compile(optimizer or keras.optimizers.SGD(0.5, momentum=0.9), "sparse_categorical_crossentropy")
    return chain


def fit(chain: keras.Model, epochs: int, *callbacks, start: int = 0, **settings) -> dict:
    settings = dict(epochs=epochs, initial_epoch=start, batch_size=4, shuffle=False, verbose=0, callbacks=list(callbacks), **settings)
    return chain.fit(IMAGES, LABELS, **settings).history


def weights(chain: keras.Model) -> list[np.ndarray]:
    return [as_numpy(v) for v in chain.weights]


def steps(epochs: int) -> list[list[np.ndarray]]:
    """Weights before the first and after each step."""
    chain, seen = model(), []
    seen.append(weights(chain))
    chain.optimizer.build(chain.trainable_variables)
    for step in range(3 * epochs):
        place = step % 3 * 4
        chain.train_on_batch(IMAGES[place : place + 4], LABELS[place : place + 4])
        seen.append(weights(chain))
    return seen


@pytest.mark.parametrize("every", [pytest.param(1, marks=[] if ON_TORCH else pytest.mark.full), 2])
def test_the_averages_and_validation_with_them(every):
    chain, averages = model(), AveragedWeights(0.6, every=every)
    history = fit(chain, 2, averages, validation_data=(IMAGES, LABELS))
    seen = steps(2)
    expected, updates = seen[0], 0
    for step in range(every, 7, every):
        momentum = min(0.6**every, (1 + updates) / (10 + updates))
        expected = [momentum * mine + (1 - momentum) * new for mine, new in zip(expected, seen[step], strict=True)]
        updates += 1
    assert averages.updates == updates
    for mine, theirs in zip(weights(chain), seen[-1], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)  # its own after training
    with averages.applied() as averaged:
        assert averaged is chain
        for mine, theirs in zip(weights(chain), expected, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)  # the statistics too
        assert chain.evaluate(IMAGES, LABELS, verbose=0) == pytest.approx(history["val_loss"][-1], rel=1e-5)
    own = chain.evaluate(IMAGES, LABELS, verbose=0)
    assert own != pytest.approx(history["val_loss"][-1], rel=1e-3)
    fit(chain, 1, averages)  # and on


@pytest.mark.skipif(ON_TORCH, reason="there Keras runs one batch at a time")
@pytest.mark.parametrize("every", [1, 2])
def test_several_batches_at_once(every):
    """Of 7 batches, by 3: an update counts as many as have passed."""
    images, labels = normal(14, 6), np.arange(14) % 3
    plain, seen = model(), []
    for step in range(7):
        seen.append(weights(plain))
        plain.train_on_batch(images[2 * step : 2 * step + 2], labels[2 * step : 2 * step + 2])
    seen.append(weights(plain))
    expected, updates = seen[0], 0
    for batch in range(every, 8, every):
        momentum = min(0.6**every, (1 + updates) / (10 + updates))
        behind = seen[min(-(-batch // 3) * 3, 7)]
        expected = [momentum * mine + (1 - momentum) * new for mine, new in zip(expected, behind, strict=True)]
        updates += 1
    chain, averages = model(), AveragedWeights(0.6, every=every)
    chain.compile(chain.optimizer, chain.loss, steps_per_execution=3)
    chain.fit(images, labels, batch_size=2, shuffle=False, verbose=0, callbacks=[averages])
    assert (averages.batches, averages.updates) == (7, updates)
    with averages.applied():
        for mine, theirs in zip(weights(chain), expected, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"at the end of data without a length is not known. Pass `fit` steps_per_epoch="):
        chain.fit(((images[:2], labels[:2]) for _ in range(7)), shuffle=False, verbose=0, callbacks=[AveragedWeights()])


def test_a_model_that_is_not_built():
    """On TensorFlow Keras builds it within the first step, and the weights before it are nowhere."""
    chain, averages = keras.Sequential([keras.layers.Dense(3, activation="softmax")]), AveragedWeights(0.6)
    chain.compile("sgd", "sparse_categorical_crossentropy")
    if keras.backend.backend() == "tensorflow":
        with pytest.raises(ValueError, match=f"'{chain.name}' has no weights yet. Build it first, by calling it on a batch"):
            fit(chain, 1, averages)
        chain(IMAGES[:1])
    fit(chain, 1, averages)
    assert averages.updates == 3
    other = keras.Sequential([keras.layers.Dense(3)])
    with pytest.raises(ValueError, match="has no weights yet"), averages.applied(other):
        pass


@quick_on_torch
def test_keras_own_do_otherwise():
    """Why there is a class of ours."""
    chain = model(keras.optimizers.SGD(0.5, momentum=0.9, use_ema=True, ema_momentum=0.6))
    history = fit(chain, 2, validation_data=(IMAGES, LABELS))
    seen = steps(2)
    moving = [i for i, v in enumerate(chain.weights) if "moving" in v.path]
    kernels = [i for i, v in enumerate(chain.weights) if "kernel" in v.path]
    for i in moving + kernels:
        same = np.allclose(as_numpy(chain.weights[i]), seen[-1][i], rtol=1e-4, atol=1e-5)
        assert same == (i in moving), chain.weights[i].path  # put in place, but not those of statistics
    assert chain.evaluate(IMAGES, LABELS, verbose=0) != pytest.approx(history["val_loss"][-1], rel=1e-3)


@quick_on_torch
def test_a_part_of_checkpoints(tmp_path):
    straight = AveragedWeights(0.6)
    fit(model(), 2, straight)
    first = AveragedWeights(0.6)
    fit(model(), 1, first, Checkpoint(tmp_path, parts={"averages": first}))
    second, chain = AveragedWeights(0.6), model()
    checkpoint = Checkpoint(tmp_path, parts={"averages": second})
    fit(chain, 2, second, checkpoint, start=checkpoint.restore(chain))
    assert second.updates == straight.updates == 6
    for mine, theirs in zip(second.state().values(), straight.state().values(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_bad_use():
    with pytest.raises(ValueError, match="`momentum` must be a number from 0 to below 1"):
        AveragedWeights(1.0)
    with pytest.raises(ValueError, match="There are no averages yet"), AveragedWeights().applied(model()):
        pass
    averages = AveragedWeights()
    averages.set_state({"batches": 1, "updates": 1, "00000": np.zeros((2, 2), "float32")})
    with pytest.raises(ValueError, match="These averages are of another model"):
        fit(model(), 1, averages)
