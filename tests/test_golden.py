"""Our networks beside torchvision's and timm's: logits from the same weights, on the backend of this run.

`tests/golden/make_golden.py` made the files, with weights that each tensor's name gives and statistics that they hold.
"""

import math
import pathlib

import numpy as np
import pytest
import safetensors.numpy

import keras_resnet
from tests import tolerances
from tests.golden import seeded
from tests.quick import all_on_torch

LOGITS_SEED = 2  # of make_golden.py
# More or wider blocks of what another network has: on JAX each compiles for 4 to 8 seconds.
REPEATING = {
    *("resnet152", "wide_resnet50_2", "senet154", "resnetrs50", "resnetaa50", "resnetblur50d", "resnetv2_50t", "resnetv2_50d_gn"),
    *("nf_resnet50", "densenet121", "densenet264d"),
}


def golden(name: str) -> dict[str, np.ndarray]:
    with np.load(seeded.FOLDER / f"{name}.npz") as file:
        return dict(file)


def sizes(file: dict[str, np.ndarray]) -> list[int]:
    """The heights and widths for which a file holds logits."""
    return [int(key.removeprefix("logits")) for key in file if key.startswith("logits")]


def write_safetensors(file: dict[str, np.ndarray], path: pathlib.Path) -> pathlib.Path:
    """A weights file as timm publishes them: every tensor of the state dict under its own key, counters of batches included."""
    tensors, used = {}, 0
    for line in str(file["tensors"]).splitlines():
        key, *sizes = line.split()
        shape = tuple(map(int, sizes))
        if key.endswith(seeded.STATISTICS):
            count = math.prod(shape)
            tensors[key] = file["statistics"][used : used + count].astype("float32").reshape(shape)
            used += count
        elif key.endswith("num_batches_tracked"):
            tensors[key] = np.asarray(4)
        else:
            tensors[key] = seeded.weight(key, shape)
    assert used == len(file["statistics"])
    safetensors.numpy.save_file(tensors, path)
    return path


def largest_difference(model, file: dict[str, np.ndarray], data_format: str = "channels_last") -> float:
    """Over both sizes of images. One compilation a size, where the backend compiles."""
    found = []
    for size in sizes(file):
        x = seeded.images(LOGITS_SEED, seeded.IMAGES, size)
        x = x.transpose(0, 3, 1, 2) if data_format == "channels_first" else x
        found.append(tolerances.difference(model.predict(x, verbose=0), file[f"logits{size}"]))
    return max(found)


def build(name: str, weights: pathlib.Path, data_format: str = "channels_last"):
    shape = (3, None, None) if data_format == "channels_first" else (None, None, 3)
    case = seeded.CASES[name]
    return keras_resnet.create_model(
        case.row, weights=weights, input_shape=shape, classifier_activation=None, data_format=data_format, **case.ours
    )


@pytest.mark.parametrize("name", seeded.NAMES)
def test_logits_depend_on_the_image(name):
    """Else the tests below would pass for a network that ignores it."""
    file = golden(name)
    for size in sizes(file):
        assert seeded.spread(file[f"logits{size}"]) > seeded.CASES[name].least_spread


@pytest.mark.parametrize("name", all_on_torch(seeded.NAMES, set(seeded.NAMES) - REPEATING))
def test_logits(name, tmp_path):
    file = golden(name)
    found = largest_difference(build(name, write_safetensors(file, tmp_path / "model.safetensors")), file)
    print(f"{name}: largest difference {found:.1e}")  # shown by -s
    assert found < tolerances.GOLDEN


@pytest.mark.parametrize("name", ["resnet18", "resnet26"])
def test_logits_channels_first(name, tmp_path):
    file = golden(name)
    weights = write_safetensors(file, tmp_path / "model.safetensors")
    found = largest_difference(build(name, weights, "channels_first"), file, "channels_first")
    print(f"{name}: largest difference {found:.1e}")  # shown by -s
    assert found < tolerances.GOLDEN


@pytest.mark.parametrize("name", ["resnet18", "resnet26"])
def test_logits_on_the_reference(name, tmp_path):
    """The plain path gives what the fast one gives, since both give torchvision's logits."""
    file = golden(name)
    model = build(name, write_safetensors(file, tmp_path / "model.safetensors"))
    with keras_resnet.backend.use_reference():
        found = largest_difference(model, file)
    print(f"{name}: largest difference {found:.1e}")  # shown by -s
    assert found < tolerances.GOLDEN
