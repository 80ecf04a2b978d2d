"""One file, read by us and by timm or torchvision: the same logits, and the same again for a file that we write.

Where they are not installed, `test_parity_golden.py` has what they once gave. keras.applications is in `test_peers_files.py`.
"""

import importlib.util
from typing import Any

import keras
import numpy as np
import pytest
import safetensors.numpy

import keras_resnet
from keras_resnet.weights import rename
from tests import docs_table, tolerances
from tests.golden import seeded
from tests.test_golden import golden, write_safetensors
from tests.weights import big_transfer, files
from tests.weights.parity import LEAST_SPREAD, LOGITS_SEED, OLD, answer, assert_same, built, cases, moved
from tests.weights.test_parity_golden import BIT

# Networks of every kind, as deep as published, and whether the full run alone takes them.
TIMM = {
    "resnet18": False,
    "resnet50": True,
    "resnet26t": True,
    "resnet50d": True,
    "resnext50_32x4d": True,
    "wide_resnet50_2": True,
    "seresnext26d_32x4d": True,
    "seresnet50": True,
    "ecaresnet26t": False,
    "resnetrs50": True,
    "resnetaa50": True,
    "resnetblur50": True,
    "resnet50_gn": True,
    "resnetv2_18": False,
    "resnetv2_50": True,
    "resnetv2_50d_gn": True,
    "resnetv2_50x1_bit": True,
    "nf_resnet26": False,
    "nf_resnet50": True,
    "nf_ecaresnet26": True,
    "densenet121": True,
    "densenetblur121d": True,
    "densenet201": True,
    "vit_tiny_patch16_224": True,
    "vit_small_patch32_224": True,
    "vit_base_r50_s16_224": True,
}
TORCHVISION = {
    "resnet18": False,
    "resnet34": True,
    "resnet50": True,
    "resnet101": True,
    "resnext50_32x4d": True,
    "wide_resnet50_2": True,
    "densenet121": True,
    "densenet161": True,
}


@pytest.fixture
def peers():
    missing = [name for name in ("torch", "torchvision", "timm") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    from tests.weights import torch_peers

    return torch_peers


def check_both_ways(peers: Any, source: str, name: str, suffix: str, tmp_path: Any) -> None:
    """Their file gives us their logits, and our file gives them ours."""
    size = 224 if name.startswith("vit") else 64
    images = seeded.images(LOGITS_SEED, 2, size)
    theirs = peers.network(source, name)
    expected = peers.logits(theirs, images)
    assert seeded.spread(expected) > LEAST_SPREAD
    model = built(name, peers.write(theirs, tmp_path / f"theirs{suffix}"), size)
    assert_same(answer(model, images), expected, f"{source} {name} {suffix}")
    if name.startswith("densenet") and suffix == ".pth":
        again = built(name, peers.write(theirs, tmp_path / "old.pth", OLD), size)
        assert files.same_numbers(again, model)
    keras_resnet.save_weights(moved(model), tmp_path / f"ours{suffix}", layout=source)
    ours = answer(model, images)
    assert tolerances.difference(ours, expected) > 10 * tolerances.GOLDEN
    back = peers.read(peers.network(source, name, numbers=False), tmp_path / f"ours{suffix}")
    assert_same(ours, peers.logits(back, images), f"{source} {name} {suffix} back")


@pytest.mark.parametrize("name", cases(TIMM))
def test_timm_both_ways(peers, name, tmp_path):
    check_both_ways(peers, "timm", name, ".safetensors", tmp_path)


@pytest.mark.parametrize("name", cases(TORCHVISION))
def test_torchvision_both_ways(peers, name, tmp_path):
    check_both_ways(peers, "torchvision", name, ".pth", tmp_path)


@pytest.mark.full
def test_timm_reads_the_same_file_of_big_transfer(peers, tmp_path):
    """By its own reader of this format. Other numbers than the golden file's, whose logits then are no answer."""
    images = seeded.images(LOGITS_SEED, 2, 64)
    arrays = big_transfer.arrays(safetensors.numpy.load_file(write_safetensors(golden(BIT), tmp_path / "model.safetensors")))
    np.savez(tmp_path / "BiT-S-R50x1.npz", **{key: value * np.float32(0.9) for key, value in arrays.items()})
    theirs = peers.network("timm", BIT, numbers=False)
    theirs.load_pretrained(str(tmp_path / "BiT-S-R50x1.npz"))
    expected = peers.logits(theirs, images)
    assert seeded.spread(expected) > LEAST_SPREAD
    assert_same(answer(built(BIT, tmp_path / "BiT-S-R50x1.npz", 64), images), expected, f"timm {BIT} .npz")


@pytest.mark.full
@pytest.mark.skipif(keras.backend.backend() != "torch", reason="PyTorch builds all: it alone has variables without memory")
def test_every_row_has_the_tensors_of_its_source(peers):
    """Key by key and shape by shape, for each network that timm or torchvision has under our name."""
    wrong, compared = {}, 0
    for name in keras_resnet.list_models(task="classification"):
        for source in ("timm", "torchvision"):
            known = peers.timm.is_model(name) if source == "timm" else name in peers.torchvision.models.list_models()
            if not known:
                continue
            with docs_table.without_values():
                slots = rename.torch_layout(keras_resnet.create_model(name)).slots
            ours = {key: slot.shape for key, slot in slots.items()}
            theirs = {key: shape for key, shape in peers.shapes(source, name).items() if not key.endswith("num_batches_tracked")}
            compared += 1
            if ours != theirs:
                wrong[source, name] = sorted(set(ours.items()) ^ set(theirs.items()))[:4]
    assert not wrong
    assert compared > 120


@pytest.mark.full
@pytest.mark.skipif(keras.backend.backend() != "torch", reason="Both sides are PyTorch's")
@pytest.mark.parametrize("name", seeded.NAMES)
def test_golden_logits_are_still_theirs(peers, name, tmp_path):
    """The files in `tests/golden` beside the timm that is installed, which reads the same weights."""
    from tests.golden import make_golden

    case, file = seeded.CASES[name], golden(name)
    theirs = peers.read(make_golden.timms(case.row, case.timms).eval(), write_safetensors(file, tmp_path / "model.safetensors"))
    for size in case.sizes:
        found = peers.logits(theirs, seeded.images(LOGITS_SEED, seeded.IMAGES, size))
        assert tolerances.difference(found, file[f"logits{size}"]) < 1e-6
