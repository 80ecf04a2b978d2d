"""Training together is training alone on the whole batch: on every backend, in several processes and on several devices."""

import types
import weakref

import keras
import numpy as np
import pytest

from keras_resnet import layers, learning
from keras_resnet.backend import replicas as known
from tests.arrays import as_numpy, normal
from tests.launching import Together
from tests.learning import one_of_several as small
from tests.quick import quick_on_torch

NAME = keras.backend.backend()
DEVICES = {"jax": ["cpu:0", "cpu:1"], "tensorflow": ["CPU:0", "CPU:1"]}


def alone(start: list[np.ndarray]) -> dict[str, np.ndarray]:
    """What one process makes of the whole batches."""
    return small.trained(learning.Replicas(None, False), 0.9, start)


def apart(start: list[np.ndarray]) -> tuple[list[np.ndarray], list[float]]:
    """Two replicas with statistics of their own, by definition: each half takes a step, and the mean of both is where the next begins."""
    weights, losses, half = start, [], small.BATCH // 2
    images, labels = small.examples(small.EXAMPLES)
    models = [small.compiled(0.0) for _ in range(2)]
    for step in range(small.STEPS):
        first, found = step % (small.EXAMPLES // small.BATCH) * small.BATCH, []
        for number, model in enumerate(models):
            model.set_weights(weights)
            rows = slice(first + number * half, first + (number + 1) * half)
            found.append(float(model.train_on_batch(images[rows], labels[rows])[0]))
            model.reset_metrics()
        losses.append(sum(found) / 2)
        weights = [(one + other) / 2 for one, other in zip(*(model.get_weights() for model in models), strict=True)]
    return weights, losses


def numbers(found: dict[str, np.ndarray], kind: str) -> list[np.ndarray]:
    return [value for key, value in found.items() if key.startswith(kind)]


def check(folder, ranks: int) -> None:
    """What the processes left, beside what it should be."""
    runs = {name: [dict(np.load(folder / f"{name}{rank}.npz")) for rank in range(ranks)] for name in ("together", "apart")}
    for those in runs.values():
        for run in those:
            assert run["count"] == 2
            assert run["said"].tolist() == [b"I am 0. ", b"I am 1. I am 1. "][:ranks]
            for key, value in run.items():  # metrics of tests, weights and statistics alike
                np.testing.assert_array_equal(value, those[0][key], err_msg=key)
    run = runs["together"][0]
    expected = alone(numbers(run, "start"))
    for key in ("loss", "val_loss", "accuracy", "val_accuracy"):
        np.testing.assert_allclose(run[key], expected[key], rtol=0, atol=1e-4, err_msg=key)
    for key in expected:
        np.testing.assert_allclose(run[key], expected[key], rtol=1e-3, atol=1e-3, err_msg=key)
    run = runs["apart"][0]
    weights, losses = apart(numbers(run, "start"))
    np.testing.assert_allclose(run["loss"], losses, rtol=0, atol=1e-4)
    for one, other in zip(numbers(run, "end"), weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    assert not np.allclose(run["loss"], runs["together"][0]["loss"], atol=0.05)  # the parts do differ
    # Of 13 examples two replicas have 7 and 6, or 4 and 4, 3 and 2: the metrics are those of all of them.
    model = small.compiled(0.0, weights)
    np.testing.assert_allclose(model.evaluate(*small.examples(small.TESTS), verbose=0)[0], run["val_loss"][-1], atol=1e-4)


def test_two_processes(tmp_path):
    with Together("tests.learning.one_of_several", [str(tmp_path)], tmp_path) as those:
        assert those.codes() == [0, 0], those.said()
    check(tmp_path, 2)


@pytest.mark.full
@pytest.mark.skipif(NAME not in DEVICES, reason="PyTorch has a process for each device")
def test_two_devices(tmp_path):
    with Together("tests.learning.one_of_several", [str(tmp_path), *DEVICES[NAME]], tmp_path, count=1, devices=2) as those:
        assert those.codes() == [0], those.said()
    check(tmp_path, 1)


@pytest.fixture
def two_apart():
    known.train_as(known.Replicas(2, False))
    yield
    known.train_as(known.Replicas())


@pytest.mark.skipif(NAME != "jax", reason="elsewhere a replica sees its own part alone")
@pytest.mark.parametrize(("shape", "axis", "masked"), [((8, 5, 4, 3), -1, False), ((8, 3, 5), 1, False), ((4, 6, 3), -1, True)])
def test_parts_of_a_batch(shape, axis, masked, two_apart):
    x = normal(*shape) + np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    mask = normal(*shape[:-1]) > 0 if masked else None
    norm = layers.BatchNormalization(axis, momentum=0.5)
    y = as_numpy(norm(x, training=True, mask=mask))
    known.train_as(known.Replicas())
    half, moved = shape[0] // 2, []
    for rows in (slice(half), slice(half, None)):
        own = layers.BatchNormalization(axis, momentum=0.5)
        expected = as_numpy(own(x[rows], training=True, mask=None if mask is None else mask[rows]))
        np.testing.assert_allclose(y[rows], expected, rtol=1e-5, atol=1e-5)
        moved.append([as_numpy(one) for one in own.non_trainable_variables])
    for one, first, second in zip(norm.non_trainable_variables, *moved, strict=True):
        np.testing.assert_allclose(as_numpy(one), (first + second) / 2, rtol=1e-5)


@pytest.mark.skipif(NAME != "jax", reason="elsewhere a replica sees its own part alone")
def test_a_batch_with_a_rest(two_apart):
    with pytest.raises(ValueError, match=r"among 2 replicas without a rest\. Received: 3 examples"):
        layers.BatchNormalization()(normal(3, 4), training=True)


def test_what_fails_elsewhere_ends_all():
    class Other:
        processes = 2

        def summed(self, array):
            return array + 1  # it failed there

    with pytest.raises(ValueError, match="Another process of this run could not do its part"):
        known.of_all(Other(), lambda: 1)
    with pytest.raises(OSError, match="full"):
        known.of_all(Other(), lambda: (_ for _ in ()).throw(OSError("full")))


def test_one_replica_changes_nothing():
    replicas = learning.distribute(sync_norm=True)
    assert (replicas.count, replicas.rank, replicas.processes, replicas.part, replicas.is_first) == (1, 0, 1, (0, 1), True)
    assert replicas.agree(True)
    assert not replicas.agree(False)
    assert replicas.gathered(b"") == [b""]
    assert replicas.of_all(lambda: 3) == 3
    replicas.check_batch(7)
    replicas.close()
    assert known.current == known.Replicas()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (dict(kind="fsdp"), "the shards get no gradients"),
        (dict(kind="model"), "fit on one device"),
        (dict(kind="pipeline"), "must be 'data'"),
        (dict(sync_norm=1), "sync_norm"),
        (dict(timeout=0), "seconds above 0"),
        (dict(devices=[]), "list of names"),
    ],
)
def test_mistakes(settings, said):
    with pytest.raises(ValueError, match=said):
        learning.distribute(**settings)
    assert known.current == known.Replicas()


@pytest.mark.parametrize("part", [(2, 2), (0, 0), (-1, 2), 1, (0.5, 2)])
def test_parts_that_there_are_not(part):
    with pytest.raises(ValueError, match="`part` must be"):
        learning.Batches(normal(4, 2, 2, 1), np.zeros(4), part=part)


@pytest.mark.parametrize("count", [8, 9, 11])
def test_parts_make_the_whole(count):
    images, labels = normal(count, 2, 2, 1), np.arange(count)
    whole = learning.Batches(images, labels, batch_size=4, seed=3)
    parts = [learning.Batches(images, labels, batch_size=4, seed=3, part=(number, 3)) for number in range(3)]
    for i in range(len(whole)):
        there = [part[i][1] for part in parts if i < len(part)]
        np.testing.assert_array_equal(np.concatenate(there), whole[i][1])
        assert all(len(one) for one in there)
    assert max(map(len, parts)) == len(whole)


@quick_on_torch
def test_batches_whose_parts_would_differ_are_refused():
    """With a stand-in for an engine, as launching takes seconds."""

    class Two:
        count, rank, processes = 2, 0, 2

        def training(self, batches):
            return batches

    replicas = learning.Replicas(Two(), False)
    images, labels = np.zeros((7, 4, 4, 1), "uint8"), np.zeros(7, int)
    with pytest.raises(ValueError, match=r"divided among 2 replicas without a rest. Received: a batch of 3"):
        replicas.training(learning.Batches(images, labels, batch_size=3, part=(0, 2)))
    with pytest.raises(ValueError, match="The last batch of 3 examples would leave parts of other sizes to the 2 replicas"):
        replicas.training(learning.Batches(images, labels, batch_size=4, part=(0, 2)))
    data = learning.Batches(images, labels, batch_size=2, part=(0, 2), drop_remainder=True)
    taken = replicas.training(data)
    assert [next(taken)[0].shape for _ in range(3)] == [(1, 4, 4, 1)] * 3
    assert data.epoch_now == 1  # a second `fit` goes on


@pytest.mark.skipif(NAME != "jax", reason="elsewhere parts may differ in size")
def test_each_set_is_divided_or_not_by_itself():
    from keras_resnet.backend.jax_replicas import Engine

    class Model:
        """That says whether each device works out the whole."""

        def evaluate(self, x=None, y=None, batch_size=None):
            return engine.parallel.whole

        predict = predict_on_batch = evaluate

    engine = Engine.__new__(Engine)  # as if there were two devices
    engine.count, engine.processes, engine.parallel, engine.undivided = 2, 1, types.SimpleNamespace(whole=False), weakref.WeakSet()
    model, replicas = Model(), learning.Replicas(engine, False)
    engine.adopt(model)
    sets = {count: learning.Batches(np.zeros((count, 2, 2, 1)), np.zeros(count), batch_size=4) for count in (7, 8, 10)}
    for batches in sets.values():
        assert replicas.testing(batches) is batches
    assert [model.evaluate(sets[count]) for count in (7, 8, 10, 7)] == [True, False, False, True]
    assert [model.evaluate(np.zeros((count, 2)), batch_size=4) for count in (7, 8)] == [True, False]
    assert model.predict(np.zeros((8, 2)))
    assert not engine.parallel.whole


@pytest.mark.skipif(NAME != "jax", reason="PyTorch's batches are not touched; TensorFlow's go through its data sets")
def test_what_is_on_a_device_stays_there():
    from keras_resnet.backend.jax_replicas import Engine

    data = learning.Batches(np.zeros((8, 4, 4, 1), "uint8"), np.zeros(8, int), [learning.PadAndCrop(1)], batch_size=4)
    engine = Engine.__new__(Engine)
    engine.count = 2
    images, labels = next(iter(learning.Replicas(engine, False).training(data)))
    assert keras.ops.is_tensor(images)
    assert keras.ops.is_tensor(labels)
