"""What the tests of parity share: networks with a file's numbers, their logits, and how far those may be from their source's."""

from typing import Any

import keras
import numpy as np
import pytest

import keras_resnet
from tests import tolerances
from tests.arrays import as_numpy, normal
from tests.check_layer import run

OLD = (r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.")  # how torchvision's own files spell what its DenseNets are made of
LOGITS_SEED = 2  # of make_golden.py
LEAST_SPREAD = 0.02  # of the logits between images, see `seeded.spread`: 100 times the tolerance


def built(name: str, weights: Any, size: int) -> keras.Model:
    return keras_resnet.create_model(name, weights=weights, input_shape=(size, size, 3), classifier_activation=None)


def answer(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """The model's logits."""
    return as_numpy(run(model, images))


def assert_same(actual: np.ndarray, expected: np.ndarray, what: str) -> None:
    found = tolerances.difference(actual, expected)
    print(f"PARITY {keras.backend.backend()} {what}: {found:.1e}")  # shown by -s
    assert found < tolerances.GOLDEN, what


def moved(model: keras.Model) -> keras.Model:
    """The model with every number another one, and the network as well behaved as before."""
    for number, variable in enumerate(model.weights):
        factor = 1 + 0.1 * np.tanh(normal(*variable.shape, seed=number))
        variable.assign(as_numpy(variable) * factor.astype(variable.dtype))
    return model


def cases(table: dict[str, bool]) -> list:
    """A table's names, those marked as full where it says so."""
    return [pytest.param(name, marks=pytest.mark.full) if full else name for name, full in table.items()]
