"""The same recipe, seed and order on three backends: the losses of fifty steps, and the weights behind them."""

import csv
import itertools
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_resnet  # noqa: F401  its layers are in the files that are read
from tests.quick import ON_TORCH
from training.data import idx
from training.data.find import FASHION_PLACE

BACKENDS = ("torch", "jax", "tensorflow")
STEPS, BATCH = 50, 256
# The first steps of a rate that rises to 0.1 in five epochs of 234. A log has a row an epoch, which is one step here. Rounding grows step
# by step in networks of ReLUs, the faster the higher the rate: with batches of 128 and a rise in half an epoch PyTorch with one thread
# and with two differ by 0.025 in the loss, and from the other backends by 0.020.
FIRST_STEPS = {"epochs": STEPS, "steps": 1, "schedule.warm_up": STEPS - 1, "optimizer.rate": round(0.1 * STEPS / (5 * 234), 5)}
SETTINGS = FIRST_STEPS | {"batch": BATCH, "augmentation.pad": 0, "augmentation.flip": False}


@pytest.mark.full
@pytest.mark.skipif(not ON_TORCH, reason="starts all three backends by itself")
@pytest.mark.skipif(not FASHION_PLACE.is_dir(), reason="needs Debian's dataset-fashion-mnist")
@pytest.mark.timeout(1800)
def test_losses_and_weights_are_those_of_the_other_backends(tmp_path):
    words = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    arrays = idx.folder(FASHION_PLACE) or {}
    few = {name: values[: STEPS * BATCH if name.startswith("train") else 64] for name, values in arrays.items()}
    np.savez(tmp_path / "few.npz", **few)
    losses, weights = {}, {}
    for backend in BACKENDS:
        place = tmp_path / backend
        command = [sys.executable, "-m", "training", "fashion_resnet20_short", "--backend", backend, *words]
        command += ["--data", str(tmp_path / "few.npz"), "--out", str(place)]
        subprocess.run(command, check=True, capture_output=True, timeout=900, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
        with (place / "log.csv").open(encoding="utf-8", newline="") as file:
            losses[backend] = np.array([float(row["loss"]) for row in csv.DictReader(file)])
        variables = keras.models.load_model(place / "model.keras").trainable_variables
        weights[backend] = np.concatenate([keras.ops.convert_to_numpy(variable).ravel() for variable in variables])
    assert len(losses["torch"]) == STEPS
    assert losses["torch"][-1] < losses["torch"][0] - 0.5  # it learns
    for one, other in itertools.combinations(BACKENDS, 2):
        assert np.abs(losses[one] - losses[other]).max() < 1e-2, (one, other)
        assert np.linalg.norm(weights[one] - weights[other]) < 1e-2 * np.linalg.norm(weights[other]), (one, other)
