"""Our rows of the originals beside keras.applications' own: the same weights, the same numbers, and its parameters in the same shapes."""

import re

import keras
import numpy as np
import pytest

import keras_resnet
from tests import tolerances
from tests.arrays import as_numpy, normal
from tests.check_layer import run
from tests.quick import ON_TORCH


def theirs(model: keras.Model) -> dict[str, np.ndarray]:
    """keras.applications' variables by layer and name, filled with numbers; variances positive."""
    found = {}
    for number, variable in enumerate(model.weights):
        shape = tuple(variable.shape)
        value = normal(*shape, seed=number, deviation=np.sqrt(2 / max(np.prod(shape[:-1]), 1)) if len(shape) > 1 else 0.1)
        if variable.path.endswith(("gamma", "variance")):
            value = np.abs(value) + 0.5
        variable.assign(value)
        found["/".join(variable.path.split("/")[-2:])] = value
    return found


def their_name(path: str, preactivation: bool) -> str:
    """Where keras.applications keeps the variable that ours has at `path`."""
    module, _, leaf = path.rpartition("/")
    block = re.fullmatch(r"stage(\d)_block(\d+)/(shortcut/)?(conv|norm)(\d?)", module)
    if block is None:
        layer = {"stem/conv": "conv1_conv", "stem/norm": "conv1_bn", "post_norm/norm": "post_bn"}[module]
        return f"{layer}/{leaf}"
    stage, number, shortcut, kind, place = block.groups()
    name = f"conv{int(stage) + 1}_block{number}"
    if shortcut:
        return f"{name}_0_{'conv' if kind == 'conv' else 'bn'}/{leaf}"
    if kind == "norm" and preactivation:
        return f"{name}_preact_bn/{leaf}" if place == "1" else f"{name}_{int(place) - 1}_bn/{leaf}"
    return f"{name}_{place}_{'conv' if kind == 'conv' else 'bn'}/{leaf}"


@pytest.mark.parametrize(
    ("ours", "original"), [pytest.param("resnet50v1", "ResNet50", marks=[] if ON_TORCH else pytest.mark.full), ("resnet50v2", "ResNet50V2")]
)
def test_an_original_gives_the_numbers_of_keras_applications(ours, original):
    model = keras_resnet.create_model(ours, input_shape=(None, None, 3), include_top=False, pooling="avg")
    reference = getattr(keras.applications, original)(weights=None, input_shape=(None, None, 3), include_top=False, pooling="avg")
    values = theirs(reference)
    for variable in model.weights:
        variable.assign(values.pop(their_name(variable.path, ours.endswith("v2"))))
    assert not values
    for size in (64, 75):
        image = normal(2, size, size, 3)
        assert tolerances.difference(as_numpy(run(model, image)), as_numpy(run(reference, image))) < tolerances.GOLDEN
    for layer in model.layers:
        if "block" in layer.name:
            assert layer.norm_epsilon == pytest.approx(1.001e-5)
            assert layer.norm_momentum == pytest.approx(0.99)
