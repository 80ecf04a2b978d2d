"""Clipped and accumulated gradients, scaled losses and random numbers of replicas are those of one process on the whole batch."""

import keras
import numpy as np
import pytest

from keras_resnet import learning
from keras_resnet.backend.replica_seeds import seeds_apart
from tests.launching import Together
from tests.learning import several_ways as ways
from tests.learning.test_distribute import DEVICES, NAME, numbers


def halves(name: str, start: list[np.ndarray]) -> tuple[list[np.ndarray], list[float]]:
    """Two replicas that draw, by definition: each half takes a step with its own numbers, and the mean of both is where the next begins."""
    weights, losses, half = start, [], ways.BATCH // 2
    images, labels = ways.pictures(name)
    models = [ways.compiled(name) for _ in range(2)]
    for step in range(ways.STEPS):
        first, found = step % (ways.EXAMPLES // ways.BATCH) * ways.BATCH, []
        for number, model in enumerate(models):
            end = seeds_apart(lambda number=number: number)
            model.set_weights(weights)
            rows = slice(first + number * half, first + (number + 1) * half)
            found.append(float(model.train_on_batch(images[rows], labels[rows])))
            model.reset_metrics()
            end()
        losses.append(sum(found) / 2)
        weights = [(one + other) / 2 for one, other in zip(*(model.get_weights() for model in models), strict=True)]
    return weights, losses


def check(folder, names: list[str], ranks: int) -> None:
    for name in names:
        runs = [dict(np.load(folder / f"{name}{rank}.npz")) for rank in range(ranks)]
        for run in runs:
            for key, value in run.items():
                np.testing.assert_allclose(value, runs[0][key], rtol=0, atol=1e-6 * (key == "asked"), err_msg=f"{name} {key}")
        start = numbers(runs[0], "start")
        if name in ways.DRAWS and NAME != "jax":  # there the parts are of one batch with one drawing
            weights, losses = halves(name, start)
        else:
            expected = ways.trained(learning.Replicas(None, False), name, start)
            weights, losses = numbers(expected, "end"), expected["loss"].tolist()
        exact = 1e-4 if name != "float16" else 1e-2
        np.testing.assert_allclose(runs[0]["loss"], losses, rtol=0, atol=exact, err_msg=name)
        for one, other in zip(numbers(runs[0], "end"), weights, strict=True):
            np.testing.assert_allclose(one, other, rtol=10 * exact, atol=10 * exact, err_msg=name)
        moved = [np.nan_to_num(np.abs(one - other)).max() for one, other in zip(numbers(runs[0], "end"), start, strict=True)]
        assert max(moved) > 0.01, name
        assert runs[0].get("same", True), name


def run(names: list[str], tmp_path, places=(), **settings) -> None:
    with Together("tests.learning.several_ways", [str(tmp_path), ",".join(names), *places], tmp_path, **settings) as those:
        assert set(those.codes()) == {0}, those.said()
    ranks = settings.get("count", 2)
    check(tmp_path, names, ranks)
    for rank in range(ranks if ranks > 1 else 0):
        assert dict(np.load(tmp_path / f"restored{rank}.npz")) == {"step": 1, "refused": True}


@pytest.mark.full
def test_two_processes(tmp_path):
    run(["clipped", "accumulated", "dropout"], tmp_path)


@pytest.mark.full
def test_two_processes_in_other_ways(tmp_path):
    run(["layerwise", "float16", "distilled", "diffusion"], tmp_path)


@pytest.mark.full
@pytest.mark.skipif(NAME not in DEVICES, reason="PyTorch has a process for each device")
def test_two_devices(tmp_path):
    run(list(ways.CASES), tmp_path, DEVICES[NAME], count=1, devices=2)


@pytest.mark.skipif(NAME != "tensorflow", reason="elsewhere it works")
def test_averages_that_cannot_be_put_in_place():
    from keras_resnet.backend.tensorflow_replicas import Engine

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(learning.SGD(0.1, use_ema=True, ema_overwrite_frequency=2), "mse")
    engine = Engine.__new__(Engine)
    engine.strategy = model.distribute_strategy
    with pytest.raises(ValueError, match="Leave out ema_overwrite_frequency"):
        engine.check(model)
