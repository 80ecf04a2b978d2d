"""Files as timm, torchvision and Big Transfer write them, and the logits that timm and torchvision once gave for them.

What CI sees, where neither is installed. The files are made anew from `tests/golden`: keys and shapes, and numbers drawn from them.
"""

import re

import numpy as np
import pytest
import safetensors.numpy

import keras_resnet
from tests.arrays import as_numpy, normal
from tests.golden import seeded, seeded_vit
from tests.quick import all_on_torch, quick_on_torch
from tests.test_golden import golden, write_safetensors
from tests.weights import big_transfer, files
from tests.weights.parity import LOGITS_SEED, OLD, answer, assert_same, built


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="reading and writing .pth needs PyTorch")


def assert_same_tensors(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    """Counters of batches apart, whose numbers are of no use to anyone."""
    assert {key: (value.shape, value.dtype) for key, value in ours.items()} == {
        key: (value.shape, value.dtype) for key, value in theirs.items()
    }
    wrong = [key for key, value in ours.items() if "num_batches" not in key and value.tobytes() != theirs[key].tobytes()]
    assert not wrong


@quick_on_torch
@pytest.mark.parametrize("name", seeded.NAMES)
def test_a_file_that_we_write_is_the_one_that_we_read(name, tmp_path):
    """Key by key and bit by bit, so that the golden logits, which timm gave for the one, are its logits for the other."""
    case = seeded.CASES[name]
    path = write_safetensors(golden(name), tmp_path / "theirs.safetensors")
    model = keras_resnet.create_model(case.row, weights=path, input_shape=(64, 64, 3), **case.ours)
    keras_resnet.save_weights(model, tmp_path / "ours.safetensors", layout="timm")
    assert_same_tensors(safetensors.numpy.load_file(tmp_path / "ours.safetensors"), safetensors.numpy.load_file(path))


@quick_on_torch
def test_densenet_of_torchvision(torch, tmp_path):
    """`.pth`, with the keys of today and with those of its own files."""
    file = golden("densenet121")
    state = safetensors.numpy.load_file(write_safetensors(file, tmp_path / "model.safetensors"))
    new = {key: torch.from_numpy(np.array(value)) for key, value in state.items()}
    old = {re.sub(*OLD, key): value for key, value in new.items()}
    assert len(old) == len(new)
    assert old.keys() != new.keys()
    torch.save(old, tmp_path / "old.pth")
    torch.save(new, tmp_path / "new.pth")
    model, again = (built("densenet121", tmp_path / f"{name}.pth", 64) for name in ("old", "new"))
    assert files.same_numbers(again, model)
    expected = file["logits64"]
    assert_same(answer(model, seeded.images(LOGITS_SEED, seeded.IMAGES, 64)), expected, "golden densenet121 .pth, old keys")
    keras_resnet.save_weights(model, tmp_path / "ours.pth", layout="torchvision")
    written = {key: value.numpy() for key, value in torch.load(tmp_path / "ours.pth", weights_only=True).items()}
    assert_same_tensors(written, state)


@pytest.mark.parametrize("name", all_on_torch(seeded_vit.CASES, ("vit_tiny_patch16_224",)))
def test_transformer(name, tmp_path):
    with np.load(seeded.FOLDER / f"{name}.npz") as npz:
        file = dict(npz)
    lines = [line.split() for line in str(file["tensors"]).splitlines()]
    state = {key: seeded_vit.weight(key, tuple(map(int, sizes))) for key, *sizes in lines}
    safetensors.numpy.save_file(state, tmp_path / "theirs.safetensors")
    size = seeded_vit.SIZES[1]
    model = keras_resnet.create_model(
        name,
        weights=tmp_path / "theirs.safetensors",
        input_shape=(*size, 3),
        classifier_activation=None,
        **seeded_vit.CASES[name][0],
    )
    assert_same(answer(model, seeded_vit.images(size)), file[seeded_vit.name_of(size)], f"golden {name} .safetensors")
    keras_resnet.save_weights(model, tmp_path / "ours.safetensors")
    assert_same_tensors(safetensors.numpy.load_file(tmp_path / "ours.safetensors"), state)


BIT = "resnetv2_50x1_bit"


class TestBigTransfer:
    """Its `.npz` files, in their own keys and of their own shapes."""

    @pytest.fixture
    def arrays(self, tmp_path) -> dict[str, np.ndarray]:
        return big_transfer.arrays(safetensors.numpy.load_file(write_safetensors(golden(BIT), tmp_path / "model.safetensors")))

    def test_logits(self, arrays, tmp_path):
        """Those that timm gave for the same numbers."""
        assert arrays["resnet/head/conv2d/kernel"].shape == (1, 1, 2048, 1000)
        np.savez(tmp_path / "BiT-S-R50x1.npz", **arrays)
        model = built(BIT, tmp_path / "BiT-S-R50x1.npz", 64)
        assert_same(answer(model, seeded.images(LOGITS_SEED, seeded.IMAGES, 64)), golden(BIT)["logits64"], f"golden {BIT} .npz")

    def test_of_21843_classes(self, arrays, tmp_path):
        """BiT-M: the head loads as it is, or makes way for one of 10 classes."""
        arrays["resnet/head/conv2d/kernel"] = normal(1, 1, 2048, 21_843, deviation=0.02)
        arrays["resnet/head/conv2d/bias"] = normal(21_843, deviation=0.1)
        np.savez(tmp_path / "BiT-M-R50x1.npz", **arrays)
        few = dict(input_shape=(64, 64, 3), classifier_activation=None)
        model = keras_resnet.create_model(BIT, weights=tmp_path / "BiT-M-R50x1.npz", classes=21_843, **few)
        assert (as_numpy(model.get_layer("head").kernel) == arrays["resnet/head/conv2d/kernel"][0, 0]).all()
        assert (as_numpy(model.get_layer("head").bias) == arrays["resnet/head/conv2d/bias"]).all()
        fresh = keras_resnet.create_model(BIT, weights=tmp_path / "BiT-M-R50x1.npz", classes=10, **few)
        assert fresh.get_layer("head").kernel.shape == (2048, 10)
        for new, old in zip(fresh.weights[:-2], model.weights[:-2], strict=True):
            assert as_numpy(new).tobytes() == as_numpy(old).tobytes()
        assert np.isfinite(answer(fresh, seeded.images(LOGITS_SEED, 1, 64))).all()
