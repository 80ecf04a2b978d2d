"""Checkpoints: resumed to the same bits, whatever was torn, full or read-only; of another model never taken."""

import os
import random
import threading

import keras
import numpy as np
import pytest

from keras_resnet import layers
from keras_resnet.learning import SGD, AveragedWeights, Checkpoint, restore_checkpoint, save_checkpoint
from tests.arrays import as_numpy, normal
from tests.learning.made_runs import LABELS, everything, fit, model, moved, same
from tests.quick import ON_TORCH, quick_on_torch


def test_resumed_to_the_same_bits(tmp_path):
    """Six steps, and three with a checkpoint, a new model and three: momenta, schedule, statistics, and random numbers of all kinds."""
    straight = model()  # which sets the seed
    fit(straight, 2)
    first = model()
    fit(first, 1, callbacks=[Checkpoint(tmp_path)])
    second = model()
    fit(second, 1)  # somewhere else
    keras.utils.set_random_seed(5)
    start = Checkpoint(tmp_path).restore(second)
    assert start == 1
    same(first, second)
    fit(second, 2, start)
    same(straight, second)
    assert any((mine != theirs).any() for mine, theirs in zip(everything(first), everything(second)))


def test_within_an_epoch_with_averages(tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 2:
                raise KeyboardInterrupt

    def averaging() -> keras.Model:
        return model(optimizer=SGD(0.3, momentum=0.9, use_ema=True), seed=4)

    # With a seed: each loop over data takes one of PyTorch's numbers, and there are two loops instead of one.
    straight, stopped, resumed = averaging(), averaging(), averaging()
    fit(straight, 1)
    checkpoint = Checkpoint(tmp_path, every=2)
    with pytest.raises(KeyboardInterrupt):
        fit(stopped, 1, callbacks=[checkpoint, Stop()])
    record = restore_checkpoint(tmp_path, resumed)
    assert (record.epoch, record.batch, record.step) == (0, 2, 2)
    resumed.fit(normal(12, 6)[8:], LABELS[8:], batch_size=4, shuffle=False, verbose=0)
    same(straight, resumed)


@pytest.mark.parametrize("in_front", [True, False])
def test_a_batch_is_in_the_averages_that_are_saved_behind_it(tmp_path, in_front):
    expected = AveragedWeights(0.6)
    fit(model(), 2, callbacks=[expected])
    averages = AveragedWeights(0.6)
    checkpoint = Checkpoint(tmp_path, every=2, keep=9, parts={"averages": averages})
    fit(model(), 2, callbacks=[averages, checkpoint][:: 1 if in_front else -1])
    records = []
    for path in sorted(tmp_path.iterdir()):
        restored = AveragedWeights(0.6)
        records.append(restore_checkpoint(path, model(), {"averages": restored}))
        assert restored.updates == records[-1].step
    assert [(record.epoch, record.batch, record.step) for record in records] == [(0, 2, 2), (1, 0, 3), (1, 2, 5), (2, 0, 6)]
    assert all(set(record.logs) == {"loss", "accuracy"} for record in records)
    for mine, theirs in zip(restored.state().values(), expected.state().values(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.skipif(ON_TORCH, reason="there Keras runs one batch at a time")
def test_behind_the_batches_that_reach_it_of_several_run_at_once(tmp_path):
    chain = model()
    chain.compile(chain.optimizer, chain.loss, steps_per_execution=3)
    checkpoint = Checkpoint(tmp_path, every=4, keep=9)
    chain.fit(normal(26, 6), np.arange(26) % 3, batch_size=2, shuffle=False, verbose=0, callbacks=[checkpoint])
    records = [restore_checkpoint(path, model()) for path in sorted(tmp_path.iterdir())]
    assert [(record.epoch, record.batch, record.step) for record in records] == [(0, 6, 6), (0, 9, 9), (0, 12, 12), (1, 0, 13)]


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="there Keras waits for each batch, whatever callbacks there are")
def test_keras_waits_for_no_batch(tmp_path):
    class Spy(keras.callbacks.Callback):
        async_safe, threads = True, set()

        def on_train_batch_end(self, batch, logs=None):
            self.threads.add(threading.current_thread())

    averages = AveragedWeights(0.6)
    fit(model(), 1, callbacks=[averages, Checkpoint(tmp_path, every=2, parts={"averages": averages}), Spy()])
    assert Spy.threads
    assert threading.main_thread() not in Spy.threads


def drawn() -> list[float]:
    own = [np.random.random(), np.random.standard_normal(), random.random()]
    return [*own, float(__import__("torch").rand(()))] if keras.backend.backend() == "torch" else own


def test_random_numbers_go_on(tmp_path):
    chain = model()
    before = drawn()
    save_checkpoint(tmp_path, chain)
    after = drawn()
    restore_checkpoint(tmp_path, chain)
    assert drawn() == after != before


@quick_on_torch
def test_the_last_ones_and_the_best_stay(tmp_path):
    chain, scores = model(), iter([3.0, 1.0, 2.0, 2.5, 4.0])

    class Score(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_loss"] = next(scores)

    checkpoint = Checkpoint(tmp_path, keep=2, monitor="val_loss")
    fit(chain, 5, callbacks=[Score(), checkpoint])
    assert sorted(os.listdir(tmp_path)) == ["step_000000006", "step_000000012", "step_000000015"]
    assert checkpoint.best == tmp_path / "step_000000006"
    record = restore_checkpoint(checkpoint.best, model())
    assert (record.epoch, record.step, record.logs["val_loss"]) == (2, 6, 1.0)
    with pytest.raises(ValueError, match=r"`monitor` names none of the logs .* monitor='f1'"):
        fit(chain, 1, callbacks=[Checkpoint(tmp_path / "other", monitor="f1")])


@quick_on_torch
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: model(units=9), r"dense.*kernel of shape \(6, 8\), here is .* of shape \(6, 9\)"),
        (lambda: model(optimizer=keras.optimizers.SGD(0.1, momentum=0.9)), "its optimizer has 7 variables, here are 8"),
        (
            lambda: model(optimizer=keras.optimizers.Lion(keras.optimizers.schedules.CosineDecay(0.5, 9))),
            "here is .*momentum|optimizers differ",
        ),
        (lambda: keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)], name="other"), "'other' with NoneType"),
    ],
)
def test_another_run_is_refused(tmp_path, make, message):
    chain = model()
    moved(chain)
    save_checkpoint(tmp_path, chain)
    other = make()
    before = [as_numpy(v) for v in other.variables]
    with pytest.raises(ValueError, match="Nothing was changed") as raised:
        restore_checkpoint(tmp_path, other)
    assert raised.match("(?s)of another run, model 'tiny' with optimizer SGD")
    assert raised.match(message)
    for mine, theirs in zip(before, other.variables, strict=True):
        np.testing.assert_array_equal(mine, as_numpy(theirs))


@quick_on_torch
def test_a_model_without_weights_is_refused(tmp_path):
    chain = keras.Sequential([keras.layers.Dense(3)])
    chain.compile("adam", "mse")
    for use in (
        lambda: Checkpoint(tmp_path).restore(chain),
        lambda: save_checkpoint(tmp_path, chain),
        lambda: restore_checkpoint(tmp_path, chain),
    ):
        with pytest.raises(ValueError, match=r"has no weights yet. Build it first, by calling it on a batch"):
            use()
    assert not chain.optimizer.built
    assert not list(tmp_path.iterdir())
    chain(normal(2, 6))
    save_checkpoint(tmp_path, chain)
    assert Checkpoint(tmp_path).restore(chain) == 0


class Counter:
    """A part with a number and an array."""

    def __init__(self, number: int = 0):
        self.number = number

    def state(self) -> dict:
        return {"number": self.number, "squares": np.arange(self.number, dtype="int64") ** 2}

    def set_state(self, state: dict) -> None:
        if len(state["squares"]) != state["number"]:
            raise ValueError("not mine")
        self.number = state["number"]


@quick_on_torch
def test_parts_go_along(tmp_path):
    chain = model()
    save_checkpoint(tmp_path, chain, parts={"counter": Counter(4)})
    counter = Counter()
    restore_checkpoint(tmp_path, chain, parts={"counter": counter})
    assert counter.number == 4
    with pytest.raises(ValueError, match=r"holds the parts \['counter'\]. Received: parts=\[\]"):
        restore_checkpoint(tmp_path, chain)


@quick_on_torch
def test_one_of_several_processes_writes(tmp_path):
    chain = model()
    reader = Checkpoint(tmp_path, write=False)
    reader.set_model(chain)
    assert reader.save(1) is None
    assert os.listdir(tmp_path) == []
    save_checkpoint(tmp_path, chain, epoch=2)
    assert reader.restore(chain) == 2


@quick_on_torch
def test_two_at_one_step_and_a_new_run_in_an_old_folder(tmp_path):
    chain = model()
    moved(chain)
    save_checkpoint(tmp_path, chain, epoch=0, batch=3)
    save_checkpoint(tmp_path, chain, epoch=1)
    assert restore_checkpoint(tmp_path, model()).epoch == 1
    with pytest.raises(ValueError, match="holds step_000000003_1, and this model is at step 0"):
        fit(model(), 1, callbacks=[Checkpoint(tmp_path)])


def test_a_network_keeps_its_layout(tmp_path):
    """Kernels and momenta on PyTorch lie as they did."""
    image = keras.Input((8, 8, 3))
    chain = keras.Model(image, layers.Conv2D(4, 3, name="conv")(image))
    chain.compile(SGD(0.1, momentum=0.9), "mse")
    save_checkpoint(tmp_path, chain)
    kernel = chain.get_layer("conv").kernel
    strides = kernel.value.stride() if keras.backend.backend() == "torch" else None
    restore_checkpoint(tmp_path, chain)
    if strides:
        assert kernel.value.stride() == strides


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(every=0), "`every` must be 'epoch' or a number of batches"),
        (dict(write=1), "`write` must be True or False"),
        (dict(keep=0), "`keep` must be an integer of at least 1"),
        (dict(mode="best"), "`mode` must be one of 'auto', 'min', 'max'"),
        (dict(folder=3), "`folder` must be the path of a folder"),
    ],
)
def test_bad_arguments(settings, message):
    with pytest.raises(ValueError, match=message):
        Checkpoint(**{"folder": "runs", **settings})
