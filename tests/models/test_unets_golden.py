"""U-Nets beside what `tests/golden/make_unets.py` wrote down from their papers: the same tensors, the same weights, the same logits."""

import keras
import numpy as np
import pytest

from keras_resnet import models
from tests import tolerances
from tests.arrays import as_numpy
from tests.check_layer import run
from tests.golden.seeded_unets import CASES, FILE, image, key, weight
from tests.quick import ON_TORCH

LEAST_DIFFERENCE = 0.02  # between the outputs for two pictures, of the largest number: 100 times the tolerance


def given(model: keras.Model, tensors: str) -> keras.Model:
    """The model with the weights of the tensors that the golden file names, which must be all that it has."""
    shapes = {}
    for variable in model.weights:
        order: tuple = tuple(range(len(variable.shape)))
        if len(order) > 1:  # (out, in, ...) to (..., in, out), of transposed convolutions (in, out, ...) to (..., out, in)
            order = (*order[2:], 1, 0)
        shape = tuple(np.array(variable.shape)[list(np.argsort(order))].tolist())
        name = key(variable.path.removeprefix(f"{model.name}/"))
        shapes[name] = shape
        variable.assign(weight(name, shape).transpose(order))
    expected = {name: tuple(map(int, sizes)) for name, *sizes in (line.split() for line in tensors.splitlines())}
    assert shapes == expected
    return model


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if ON_TORCH or case.quick])
def test_logits(name):
    case = CASES[name]
    with np.load(FILE) as file:
        golden = {label.partition("/")[2]: file[label] for label in file if label.startswith(f"{name}/")}
    model = given(
        getattr(models, case.builder)(**case.settings, input_shape=case.shape, data_format="channels_last"), str(golden.pop("tensors"))
    )
    outputs = run(model, image(case))
    outputs = outputs if isinstance(outputs, dict) else {"out": outputs}
    assert outputs.keys() == golden.keys()
    for label, expected in golden.items():
        assert np.abs(expected[0] - expected[1]).max() > LEAST_DIFFERENCE * np.abs(expected).max(), label
        found = tolerances.difference(as_numpy(outputs[label]), expected)
        print(f"{name} {label}: largest difference {found:.1e}")  # shown by -s
        assert found < tolerances.GOLDEN, label
