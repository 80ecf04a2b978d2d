"""U-Nets, feature pyramids and DeepLabV3+ in segmentation_models.pytorch's names, without it: a file of its tensors gives its logits, and
is written back."""

import numpy as np
import pytest
import safetensors.numpy

import keras_resnet
from tests import tolerances
from tests.arrays import as_numpy
from tests.check_layer import run
from tests.golden.seeded_smp import CASES, ENCODER, FILE, SIZES, image, weight
from tests.quick import ON_TORCH

NEVER_CALLED = "decoder.blocks.4.attention1."  # in its files; there is nothing to weigh in front of the last block, which joins no map
LEAST_DIFFERENCE = 0.02  # between the logits of two pictures, of the largest: 100 times the tolerance


@pytest.mark.parametrize("name", CASES)
def test_logits_and_file(name, tmp_path):
    with np.load(FILE) as file:
        golden = {label.partition("/")[2]: file[label] for label in file if label.startswith(f"{name}/")}
    tensors = {}
    for line in golden["tensors"].tobytes().decode().splitlines():
        key, *sizes = line.split()
        counts = key.endswith("num_batches_tracked")
        tensors[key] = np.asarray(0, "int64") if counts else np.ascontiguousarray(weight(key, tuple(map(int, sizes))), "float32")
    path = tmp_path / "theirs.safetensors"
    safetensors.numpy.save_file(tensors, path)
    _, _, ours, settings = CASES[name]
    model = getattr(keras_resnet, ours)(ENCODER, **settings, weights=path)
    for size in SIZES if ON_TORCH else SIZES[:1]:
        expected = golden[f"{size[0]}x{size[1]}"]
        assert np.abs(expected[0] - expected[1]).max() > LEAST_DIFFERENCE * np.abs(expected).max()
        found = tolerances.difference(as_numpy(run(model, image(name, size))), expected)
        print(f"{name} {size}: largest difference {found:.1e}")  # shown by -s
        assert found < tolerances.GOLDEN
    keras_resnet.save_weights(model, tmp_path / "ours.safetensors")
    written = safetensors.numpy.load_file(tmp_path / "ours.safetensors")
    assert {key: (array.shape, array.tobytes()) for key, array in written.items()} == {
        key: (array.shape, array.tobytes()) for key, array in tensors.items() if not key.startswith(NEVER_CALLED)
    }
