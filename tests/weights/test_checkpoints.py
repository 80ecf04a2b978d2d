"""PyTorch's own files, as they come from training programs."""

import pytest

import keras_resnet
from tests.arrays import as_numpy
from tests.weights import files

TORCH = {
    "resnet": lambda **k: files.small(**k),
    "SE, blur, deep": lambda **k: files.small(stem="deep", shortcut="avg_pool", attention="se", anti_alias="blur", **k),
    "DenseNet": lambda **k: keras_resnet.models.densenet(
        depths=(2, 2), growth_rate=8, stem_width=16, classes=5, input_shape=(32, 32, 3), **k
    ),
}


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="reading and writing .pth needs PyTorch")


@pytest.mark.parametrize("kind", TORCH)
def test_round_trip(torch, kind, tmp_path):
    model, fresh = files.filled(TORCH[kind](), 3), TORCH[kind]()
    keras_resnet.save_weights(model, tmp_path / "model.pth", layout="timm")
    assert not [key for key in torch.load(tmp_path / "model.pth", weights_only=True) if "/" in key]
    keras_resnet.load_weights(fresh, tmp_path / "model.pth")
    assert files.same_numbers(fresh, model)


@pytest.mark.parametrize("nest", ["state_dict", "model", "state_dict_ema"])
@pytest.mark.parametrize("archive", [True, False], ids=["archive", "before 1.6"])
def test_checkpoint_of_a_training_run(torch, nest, archive, tmp_path):
    """In a nest, beside an epoch and an optimizer, with the prefix of DataParallel, in either of PyTorch's formats."""
    model, fresh = files.small(3), files.small()
    state = {f"module.{key}": torch.from_numpy(value.copy()) for key, value in files.state_dict(model).items()}
    torch.save({"epoch": 3, nest: state, "optimizer": {"lr": 0.1}}, tmp_path / "last.pth", _use_new_zipfile_serialization=archive)
    keras_resnet.load_weights(fresh, tmp_path / "last.pth")
    assert files.same_numbers(fresh, model)


@pytest.mark.parametrize(
    ("averaged", "plain"), [("state_dict_ema", "state_dict"), ("model_ema", "model"), ("ema", "net"), ("model_ema", "state_dict")]
)
def test_moving_averages_come_first(torch, averaged, plain, tmp_path):
    """As in timm, also with what `torch.optim.swa_utils` adds to them; an empty place for them counts as none."""
    model, other, fresh = files.small(3), files.small(4), files.small()
    ours, theirs = ({key: torch.from_numpy(value.copy()) for key, value in files.state_dict(m).items()} for m in (model, other))
    wrapped = {"n_averaged": torch.tensor(5), **{f"module.{key}": value for key, value in ours.items()}}
    for state in (ours, wrapped):
        torch.save({plain: theirs, averaged: state, "epoch": 3}, tmp_path / "last.pth.tar")
        files.filled(fresh, 5)
        keras_resnet.load_weights(fresh, tmp_path / "last.pth.tar")
        assert files.same_numbers(fresh, model)
    for nothing in (None, {}):
        torch.save({averaged: nothing, plain: theirs}, tmp_path / "last.pth.tar")
        keras_resnet.load_weights(fresh, tmp_path / "last.pth.tar")
        assert files.same_numbers(fresh, other)


@pytest.mark.parametrize("archive", [True, False], ids=["archive", "before 1.6"])
def test_what_a_training_program_leaves_is_refused_with_advice(torch, archive, tmp_path):
    """Its options are an object, which is not built; nor are weights looked for in places that have other names."""
    import argparse

    model, state = files.small(3), {key: torch.from_numpy(value) for key, value in files.state_dict(files.small(4)).items()}
    path, before = tmp_path / "last.pth.tar", [as_numpy(v).tobytes() for v in model.weights]
    for content, says in (
        ({"args": argparse.Namespace(lr=0.1), "state_dict": state}, "'argparse.Namespace', which is no part of a state dict"),
        ({"epoch": 3, "weights": state}, "its entry 'epoch' is no tensor"),
        ({"state_dict": [state]}, "its entry 'state_dict' is no tensor"),
        ([state], "there is no state dict in it"),
    ):
        torch.save(content, path, _use_new_zipfile_serialization=archive)
        with pytest.raises(ValueError, match="save its weights alone") as caught:
            keras_resnet.load_weights(model, path)
        assert says in str(caught.value)
        assert "torch.save(torch.load(path, weights_only=False)['state_dict'], 'weights.pth')" in str(caught.value)
        assert [as_numpy(v).tobytes() for v in model.weights] == before
    torch.save(torch.load(path, weights_only=False)[0], tmp_path / "weights.pth")  # what it advises
    keras_resnet.load_weights(model, tmp_path / "weights.pth")
    assert files.same_numbers(model, files.small(4))


def test_advice_survives_the_longest_name(torch, tmp_path):
    torch.save({"x" * 5000: 1}, tmp_path / "model.pth")
    with pytest.raises(ValueError, match=r"Only where you trust .*'weights\.pth'\)\)"):
        keras_resnet.load_weights(files.small(3), tmp_path / "model.pth")


def test_old_names_of_densenets(torch, tmp_path):
    """torchvision's files say `denselayer1.norm.1.weight`."""
    import re

    model, fresh = files.filled(TORCH["DenseNet"](), 3), TORCH["DenseNet"]()
    keras_resnet.save_weights(model, tmp_path / "new.pth", layout="timm")
    state = torch.load(tmp_path / "new.pth", weights_only=True)
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.", key): value for key, value in state.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "old.pth")
    keras_resnet.load_weights(fresh, tmp_path / "old.pth")
    assert files.same_numbers(fresh, model)
    torch.save({**state, "features.denseblock1.denselayer1.norm.1.weight": torch.ones(16)}, tmp_path / "twice.pth")
    with pytest.raises(ValueError, match="twice"):
        keras_resnet.load_weights(fresh, tmp_path / "twice.pth")


@pytest.mark.parametrize("kind", ["code", "plain pickle", "no tensors", "list"])
def test_hostile(torch, kind, tmp_path):
    import pickle

    class Payload:
        def __reduce__(self):
            import os

            return os.mkdir, (str(tmp_path / "run"),)

    path, model = tmp_path / "model.pth", files.small(3)
    content = {"code": {"fc.weight": Payload()}, "no tensors": {"fc.weight": 3}, "list": [1, 2]}.get(kind)
    if kind == "plain pickle":
        path.write_bytes(pickle.dumps({"fc.weight": Payload()}))
    else:
        torch.save(content, path)
    before = [as_numpy(v).tobytes() for v in model.weights]
    with pytest.raises(ValueError, match="cannot be read"):
        keras_resnet.load_weights(model, path)
    assert not (tmp_path / "run").exists()
    assert [as_numpy(v).tobytes() for v in model.weights] == before


def test_a_pytorch_that_is_not_safe_is_not_used(torch, tmp_path, monkeypatch):
    model = files.small(3)
    keras_resnet.save_weights(model, tmp_path / "model.pth", layout="timm")
    monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
    with pytest.raises(ValueError, match=r"2\.5\.1.*could run code.*safetensors\.torch\.save_file"):
        keras_resnet.load_weights(model, tmp_path / "model.pth")
