"""Every row that gives a score to each pixel, by name and at its published widths: the output has the size of the image, and is finite."""

import gc
from typing import Any

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet.zoo import NETWORKS
from tests.arrays import as_numpy, normal
from tests.quick import ON_TORCH, quick_on_torch

PICTURE, VOLUME = (65, 97), (9, 11, 7)  # sides that no stride divides
SMALLER = ("unet_valid",)  # whose convolutions are not padded: test_plain_unet.py
# More parameters than this take a second to minutes each, and gigabytes: 5 s and 2 GB for the 296 million of adm_64.
LARGE = 35_000_000


def row(name: str) -> Any:
    """The name, and whether it runs: on PyTorch; the others compile each of them for seconds, and the large ones for minutes."""
    if NETWORKS[name].params < LARGE:
        return pytest.param(name, marks=() if ON_TORCH else pytest.mark.full)
    return pytest.param(name, marks=[pytest.mark.full, pytest.mark.skipif(not ON_TORCH, reason="PyTorch runs for all")])


def check(model: keras.Model, size: tuple[int, ...]) -> None:
    """Each map has the image's size, is finite, and says something up to its last row and column."""
    shape = model.inputs[0].shape
    kernel = next(variable for variable in reversed(model.trainable_variables) if len(variable.shape) > 2)
    if not as_numpy(kernel).any():  # the heads of diffusion models start at zero, which would hide what lies before
        kernel.assign(normal(*kernel.shape, deviation=0.1))
    images = normal(1, *size, shape[-1])
    given = [images, np.array([500]), np.array([3])][: len(model.inputs)]  # with a step and a label, if it takes them
    outputs = model.predict_on_batch(given if len(given) > 1 else images)
    maps = {name: y for name, y in outputs.items() if name != "presence"} if isinstance(outputs, dict) else {"out": outputs}
    assert "out" in maps
    for name, y in maps.items():
        assert y.shape[:-1] == (1, *size), name
        assert np.isfinite(y).all(), name
        for axis in range(1, len(size) + 1):
            assert np.ptp(np.take(y, -1, axis)) > 0, f"{name}: one number along the end of axis {axis}"


@pytest.fixture(autouse=True)
def freed_at_once(request):
    """Gigabytes stay in cycles that Python collects when it likes; after the small ones looking would take longer than the test."""
    yield
    if request.node.get_closest_marker("full"):
        gc.collect()


@pytest.mark.parametrize("name", [row(name) for name in keras_resnet.list_models(task="segmentation") if name not in SMALLER])
def test_segmentation(name):
    model = keras_resnet.create_model(name)
    check(model, VOLUME if len(model.inputs[0].shape) == 5 else PICTURE)


@pytest.mark.parametrize("name", [row(name) for name in keras_resnet.list_models(task="diffusion")])
def test_diffusion(name):
    channels = NETWORKS[name].settings.get("input_shape", (None, None, 3))[-1]
    check(keras_resnet.create_model(name, input_shape=(None, None, channels)), PICTURE)


@quick_on_torch
@pytest.mark.parametrize("encoder", ["resnet18", "densenet121"])
@pytest.mark.parametrize("name", ["UNet", "UNetPlusPlus", "FPN", "DeepLabV3Plus"])
def test_decoders_on_encoders(name, encoder):
    check(getattr(keras_resnet, name)(encoder, classes=3), PICTURE)
