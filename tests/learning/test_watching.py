"""A loss that is not a number ends the training with what one wants to know; throughput is what it says."""

import re
import threading
import time

import keras
import numpy as np
import pytest

from keras_resnet.learning import Checkpoint, Sampler, TerminateOnNonFinite, Throughput
from tests.arrays import as_numpy, normal
from tests.quick import ON_TORCH, quick_on_torch

IMAGES, LABELS = normal(12, 6), np.zeros((12, 2), "float32")


def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    chain = keras.Sequential([keras.Input((6,)), keras.layers.Dense(2)])
    chain.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    return chain


def fit(chain: keras.Model, images: np.ndarray, epochs: int, *callbacks) -> None:
    chain.fit(images, LABELS, batch_size=4, epochs=epochs, shuffle=False, verbose=0, callbacks=list(callbacks))


@pytest.mark.parametrize("broken", [np.nan, pytest.param(np.inf, marks=[] if ON_TORCH else pytest.mark.full)])
def test_the_last_good_checkpoint_is_put_back(tmp_path, broken):
    chain, checkpoint = model(), Checkpoint(tmp_path)
    fit(chain, IMAGES, 1, checkpoint)
    good = [as_numpy(v) for v in [*chain.weights, *chain.optimizer.variables]]
    images = IMAGES.copy()
    images[5] = broken
    sampler = Sampler(12, 4, shuffle=False)
    with pytest.raises(
        FloatingPointError,
        match=r"is (nan|inf) at step 5, batch 1 of epoch 0, of the examples \[4, 5, 6, 7\]. The model is that of .*3 again",
    ):
        fit(chain, images, 2, TerminateOnNonFinite(checkpoint, sampler))
    for variable, value in zip([*chain.weights, *chain.optimizer.variables], good, strict=True):
        np.testing.assert_array_equal(as_numpy(variable), value)
    fit(chain, IMAGES, 1)  # and it trains on


@quick_on_torch
def test_the_examples_of_a_fit_that_goes_on_within_an_epoch():
    images, sampler = IMAGES.copy(), Sampler(12, 4, shuffle=True, seed=3)
    with pytest.raises(
        FloatingPointError, match=re.escape(f"step 1, batch 1 of epoch 2, of the examples {sampler.order(2)[4:8].tolist()}.")
    ):
        model().fit(
            images * np.float32(np.nan), LABELS, batch_size=4, initial_epoch=2, epochs=3, verbose=0,
            callbacks=[TerminateOnNonFinite(sampler=sampler, before=1)],
        )  # fmt: skip
    guard = TerminateOnNonFinite(sampler=sampler, steps=2)  # epochs of two batches, of which the data have three
    with pytest.raises(FloatingPointError, match=re.escape(f"batch 0 of epoch 2, of the examples {sampler.order(1)[4:8].tolist()}.")):
        model().fit(images * np.float32(np.nan), LABELS, batch_size=6, initial_epoch=2, epochs=3, verbose=0, callbacks=[guard])
    with pytest.raises(ValueError, match="`before` must be an integer from 0"):
        TerminateOnNonFinite(before=-1)


@pytest.mark.skipif(ON_TORCH, reason="Keras runs one batch at a time there")
def test_batches_whose_loss_is_one():
    chain, images = model(), IMAGES.copy()
    chain.compile("sgd", "mse", steps_per_execution=2)
    images[5] = np.nan
    with pytest.raises(FloatingPointError, match=r"one of the batches 0 to 1 of epoch 0, of the examples \[0, 1, 2, 3, 4, 5, 6, 7\]"):
        fit(chain, images, 1, TerminateOnNonFinite(sampler=Sampler(12, 4, shuffle=False)))


@quick_on_torch
def test_without_a_checkpoint(tmp_path):
    with pytest.raises(FloatingPointError, match=r"at step 1, batch 0 of epoch 0. Lower the learning rate"):
        fit(model(), IMAGES * np.float32(np.nan), 1, TerminateOnNonFinite())
    with pytest.raises(FloatingPointError, match="No checkpoint was there to put back"):
        fit(model(), IMAGES * np.float32(np.nan), 1, TerminateOnNonFinite(Checkpoint(tmp_path / "none")))
    with pytest.raises(ValueError, match=r"Pass a Checkpoint and a Sampler, or None. Received: checkpoint=str"):
        TerminateOnNonFinite("runs")


@quick_on_torch
def test_throughput_leaves_validation_out():
    class Slow(keras.callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            time.sleep(0.5)

    chain, throughput = model(), Throughput(images=12)
    chain.fit(IMAGES, LABELS, verbose=0, epochs=1)  # compiled
    start = time.perf_counter()
    history = chain.fit(IMAGES, LABELS, verbose=0, epochs=2, validation_data=(IMAGES, LABELS), callbacks=[throughput, Slow()]).history
    whole = time.perf_counter() - start
    assert len(history["images_per_second"]) == 2
    assert 24 / whole < history["images_per_second"][1]
    assert 12 / history["images_per_second"][1] < whole - 0.9
    assert "data_wait" not in history


@quick_on_torch
def test_the_share_of_time_that_data_takes():
    def slowly():
        while True:
            time.sleep(0.1)
            yield IMAGES[:4], LABELS[:4]

    chain, throughput = model(), Throughput(images=12)
    data = throughput.watched(slowly())
    chain.fit(data, steps_per_epoch=3, epochs=1, shuffle=False, verbose=0)  # compiled
    history = chain.fit(data, steps_per_epoch=3, epochs=2, shuffle=False, verbose=0, callbacks=[throughput]).history
    assert 0.5 < history["data_wait"][1] <= 1
    assert history["images_per_second"][1] < 12 / 0.3
    with pytest.raises(ValueError, match="`images` must be an integer of at least 1"):
        Throughput(0)


def test_what_is_waited_for_while_it_is_tested_does_not_count():
    """As on TensorFlow, whose thread fetches on meanwhile."""
    over = threading.Event()
    over.set()

    class Tested(keras.callbacks.Callback):
        def on_test_begin(self, logs=None):
            over.clear()
            time.sleep(0.5)

        def on_test_end(self, logs=None):
            over.set()

        def on_train_batch_end(self, batch, logs=None):
            time.sleep(0.05)

    def data_wait(seconds: float) -> float:
        def read():
            while True:
                time.sleep(seconds)
                over.wait(0.2)  # at most until it is tested
                yield IMAGES[:4], LABELS[:4]

        chain, throughput = model(), Throughput(images=12)
        watched = throughput.watched(read())
        settings = dict(steps_per_epoch=3, shuffle=False, verbose=0, validation_data=(IMAGES, LABELS))
        return chain.fit(watched, epochs=2, callbacks=[throughput, Tested()], **settings).history["data_wait"][1]  # the first one compiles

    assert 0 <= data_wait(0.0) < 0.4
    assert 0.5 < data_wait(0.3) <= 1 + 1e-6


@quick_on_torch
def test_a_wait_that_begins_and_ends_outside_the_training_counts_as_far_as_it_is_within():
    throughput, reading, tested, again = Throughput(images=1), *(threading.Event() for _ in range(3))

    def read():
        yield 0
        reading.set()
        tested.wait()
        yield 1
        again.wait()
        yield 2

    throughput.set_model(model())
    batches = throughput.watched(read())
    next(batches)
    throughput.on_epoch_begin(0)
    fetching = threading.Thread(target=lambda: list(batches))
    fetching.start()
    reading.wait()
    time.sleep(0.1)
    throughput.on_test_begin()
    time.sleep(0.3)
    tested.set()
    throughput.on_epoch_end(0, first := {})
    throughput.on_epoch_begin(1)
    time.sleep(0.1)
    again.set()
    fetching.join()
    time.sleep(0.3)
    throughput.on_epoch_end(1, second := {})
    assert 0.8 < first["data_wait"] <= 1 + 1e-6  # all of the training, nothing of the test
    assert 0.1 < second["data_wait"] < 0.6  # a wait from before, as far as it lasts


@quick_on_torch
def test_the_first_batch_counts_whichever_thread_is_faster():
    guard = TerminateOnNonFinite()
    guard.set_model(model())
    guard.on_epoch_begin(0)
    guard.on_train_batch_begin(0)
    guard.on_train_batch_begin(1)
    guard.on_train_batch_end(1, {"loss": np.nan})
    late = threading.Timer(0.05, guard.on_train_batch_end, (0, {"loss": np.nan}))
    late.start()
    with pytest.raises(FloatingPointError, match="batch 0 of epoch 0"):
        guard.on_train_batch_begin(2)
    late.join()
