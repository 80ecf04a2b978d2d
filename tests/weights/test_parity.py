"""One file, read by us and by the program that it comes from: the same logits, and the same again for a file that we write.

Beside timm, torchvision and KerasHub where they are installed; and without them, beside the logits that `tests/golden` holds. What
keras.applications reads and writes stands in `test_peers_files.py`.
"""

import importlib.util
import json
import re
import warnings
from typing import Any

import keras
import numpy as np
import pytest
import safetensors.numpy

import keras_resnet
from keras_resnet.weights import rename
from tests import docs_table, tolerances
from tests.arrays import as_numpy, normal
from tests.check_layer import run
from tests.golden import seeded, seeded_vit
from tests.test_golden import LOGITS_SEED, golden, write_safetensors
from tests.weights import files

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.*is deprecated:DeprecationWarning")
OLD = (r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.")  # how torchvision's own files spell what its DenseNets are made of
LEAST_SPREAD = 0.02  # of the logits between images, see `seeded.spread`: 100 times the tolerance


@pytest.fixture(autouse=True)
def compile_fast():
    """On JAX nearly all the time would be compilation."""
    if keras.backend.backend() != "jax":
        yield
        return
    import jax

    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="reading and writing .pth needs PyTorch")


@pytest.fixture
def peers():
    missing = [name for name in ("torch", "torchvision", "timm") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    from tests.weights import torch_peers

    return torch_peers


def answer(model: keras.Model, images: np.ndarray) -> np.ndarray:
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


def built(name: str, weights: Any, size: int) -> keras.Model:
    return keras_resnet.create_model(name, weights=weights, input_shape=(size, size, 3), classifier_activation=None)


# Networks of every kind, deep as published. None but the first of each line is in the quick run.
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


def cases(table: dict[str, bool]) -> list:
    return [pytest.param(name, marks=pytest.mark.full) if full else name for name, full in table.items()]


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
@pytest.mark.skipif(keras.backend.backend() != "torch", reason="PyTorch builds all: it alone has variables without memory")
def test_every_row_has_the_tensors_of_its_source(peers):
    """Key by key and shape by shape, for each network that timm or torchvision has under our name."""
    wrong, compared = {}, 0
    for name in keras_resnet.list_models():
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


class TestWithoutThem:
    """What CI sees, where neither timm nor torchvision is: golden files that they made."""

    @pytest.mark.parametrize("name", [name if len(name) < 13 else pytest.param(name, marks=pytest.mark.full) for name in seeded.NAMES])
    def test_a_file_that_we_write_is_the_one_that_we_read(self, name, tmp_path):
        """Key by key and bit by bit, so that the golden logits, which timm gave for the one, are its logits for the other."""
        case = seeded.CASES[name]
        path = write_safetensors(golden(name), tmp_path / "theirs.safetensors")
        model = keras_resnet.create_model(case.row, weights=path, input_shape=(64, 64, 3), **case.ours)
        keras_resnet.save_weights(model, tmp_path / "ours.safetensors", layout="timm")
        assert_same_tensors(safetensors.numpy.load_file(tmp_path / "ours.safetensors"), safetensors.numpy.load_file(path))

    def test_densenet_of_torchvision(self, torch, tmp_path):
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

    @pytest.mark.parametrize("name", seeded_vit.CASES)
    def test_transformer(self, name, tmp_path):
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


def assert_same_tensors(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    """Counters of batches apart, whose numbers are of no use to anyone."""
    assert {key: (value.shape, value.dtype) for key, value in ours.items()} == {
        key: (value.shape, value.dtype) for key, value in theirs.items()
    }
    wrong = [key for key, value in ours.items() if "num_batches" not in key and value.tobytes() != theirs[key].tobytes()]
    assert not wrong


BIT = "resnetv2_50x1_bit"
LETTERS = {"1": "a", "2": "b", "3": "c"}


def bit_key(key: str) -> str:
    """Big Transfer's name of what timm calls `key`. Written down here a second time."""
    leaf = "kernel" if "conv" in key or key == "head.fc.weight" else {"weight": "gamma", "bias": "beta"}[key.rpartition(".")[2]]
    if key == "stem.conv.weight":
        return "resnet/root_block/standardized_conv2d/kernel"
    if key.startswith("head.fc"):
        return f"resnet/head/conv2d/{'kernel' if key.endswith('weight') else 'bias'}"
    if key.startswith("norm."):
        return f"resnet/group_norm/{leaf}"
    stage, block, rest = re.fullmatch(r"stages\.(\d)\.blocks\.(\d+)\.(.*)", key).groups()
    unit = f"resnet/block{int(stage) + 1}/unit{int(block) + 1:02d}"
    if rest == "downsample.conv.weight":
        return f"{unit}/a/proj/standardized_conv2d/kernel"
    kind, number = re.fullmatch(r"(conv|norm)(\d)\..*", rest).groups()
    return f"{unit}/{LETTERS[number]}/{'standardized_conv2d' if kind == 'conv' else 'group_norm'}/{leaf}"


class TestBigTransfer:
    """Its `.npz` files, in their own keys and of their own shapes."""

    @pytest.fixture
    def arrays(self, tmp_path) -> dict[str, np.ndarray]:
        """Of the golden file, in TensorFlow's layout."""
        state = safetensors.numpy.load_file(write_safetensors(golden(BIT), tmp_path / "model.safetensors"))
        return {bit_key(key): value.transpose(2, 3, 1, 0) if value.ndim == 4 else value for key, value in state.items()}

    def test_logits(self, arrays, tmp_path):
        """Those that timm gave for the same numbers."""
        assert arrays["resnet/head/conv2d/kernel"].shape == (1, 1, 2048, 1000)
        np.savez(tmp_path / "BiT-S-R50x1.npz", **arrays)
        model = built(BIT, tmp_path / "BiT-S-R50x1.npz", 64)
        assert_same(answer(model, seeded.images(LOGITS_SEED, seeded.IMAGES, 64)), golden(BIT)["logits64"], f"golden {BIT} .npz")

    @pytest.mark.full
    def test_timm_reads_the_same_file(self, peers, arrays, tmp_path):
        """By its own reader of this format. Numbers between ours, so that neither knows them from elsewhere."""
        images = seeded.images(LOGITS_SEED, 2, 64)
        np.savez(tmp_path / "BiT-S-R50x1.npz", **{key: value * np.float32(0.9) for key, value in arrays.items()})
        theirs = peers.network("timm", BIT, numbers=False)
        theirs.load_pretrained(str(tmp_path / "BiT-S-R50x1.npz"))
        expected = peers.logits(theirs, images)
        assert seeded.spread(expected) > LEAST_SPREAD
        assert_same(answer(built(BIT, tmp_path / "BiT-S-R50x1.npz", 64), images), expected, f"timm {BIT} .npz")

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


def numbered(model: keras.Model) -> keras.Model:
    """The model with numbers drawn from timm's names; means around 0, variances around 1."""
    for key, slot in rename.torch_layout(model).slots.items():
        slot.variable.assign(slot.to_ours(seeded.weight(key.replace("running_mean", "mean.bias"), slot.shape)))
    return model


KERAS_HUB = {"resnet18": False, "resnet50": True, "resnet101": True, "resnetv2_50": True, "densenet121": True}


@pytest.mark.parametrize("name", cases(KERAS_HUB))
def test_keras_hub_reads_what_we_write(name, tmp_path):
    """A file in timm's layout, with the configuration that lies beside it on the hub. KerasHub has no other format that is not its own."""
    if importlib.util.find_spec("keras_hub") is None:
        pytest.skip("not installed: keras_hub")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras_hub = pytest.importorskip("keras_hub", exc_type=ImportError)
    model = numbered(built(name, None, 64))
    folder = tmp_path / "preset"
    folder.mkdir()
    keras_resnet.save_weights(model, folder / "model.safetensors", layout="timm")
    config = {"architecture": name, "num_classes": 1000, "num_features": 2048, "pretrained_cfg": {}}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = keras_hub.models.ImageClassifier.from_preset(str(folder), preprocessor=None)
    images = seeded.images(LOGITS_SEED, 2, 64)
    ours = answer(model, images)
    assert seeded.spread(ours) > LEAST_SPREAD
    assert_same(answer(theirs, images), ours, f"keras_hub {name} .safetensors")
