"""Names of published weights: which file is fetched, how the network is built, what is said. The files are made here, in their formats."""

import json

import keras
import numpy as np
import pytest
import safetensors.numpy

import keras_resnet
from keras_resnet.weights import catalogue, download
from tests.arrays import as_numpy, normal
from tests.weights import files

TAG = catalogue.DEFAULTS["resnet18"]


@pytest.fixture
def published(monkeypatch, tmp_path):
    """What is asked for, and the folder whose files come in place of a download."""
    asked = []

    def hub(repository, file, revision=""):
        asked.append((repository, file, revision))
        if not (tmp_path / file).exists():
            raise download.DownloadError(f"no {file}")
        return tmp_path / file

    def url(address, digest="", name=""):
        asked.append((address, digest))
        return tmp_path / address.rpartition("/")[2]

    monkeypatch.setattr(download, "download_from_hub", hub)
    monkeypatch.setattr(download, "download", url)
    return asked


@pytest.fixture
def resnet18(tmp_path):
    """A ResNet-18 whose numbers lie in `model.safetensors`."""
    model = files.filled(keras_resnet.ResNet18(weights=None), 3)
    keras_resnet.save_weights(model, tmp_path / "model.safetensors")
    return model


@pytest.mark.parametrize("name", ["resnet18", f"resnet18.{TAG}"])
def test_names(name, published, resnet18, capsys):
    model = keras_resnet.create_model(name, weights=None if "." in name else "imagenet")
    assert files.same_numbers(model, resnet18)
    assert published == [(f"timm/resnet18.{TAG}", "model.safetensors", "")]
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"resnet18.{TAG}" in said
    assert catalogue.CATALOGUE[f"resnet18.{TAG}"].licence in said
    assert "new" not in said
    assert model.checkpoint["tag"] == TAG


def test_a_constructor_has_them_by_default(published, resnet18):
    assert files.same_numbers(keras_resnet.ResNet18(), resnet18)
    assert keras_resnet.ResNet20().checkpoint is None  # nobody has published any


def test_licences_that_forbid_commerce_are_said(published, resnet18, capsys):
    keras_resnet.ResNet18(weights="fb_swsl_ig1b_ft_in1k")
    assert "NOT FOR COMMERCIAL USE" in capsys.readouterr().err


def test_classes_and_channels(published, resnet18, capsys):
    model = keras_resnet.ResNet18(weights=TAG, classes=37, input_shape=(None, None, 6))
    assert model.output_shape == (None, 37)
    assert "new head of 37 classes, first convolution for 6 channels made from 3" in capsys.readouterr().err
    assert np.allclose(as_numpy(model.weights[0])[:, :, 4], as_numpy(resnet18.weights[0])[:, :, 1] / 2)
    headless = keras_resnet.ResNet18(include_top=False)
    assert all((as_numpy(a) == as_numpy(b)).all() for a, b in zip(headless.weights, resnet18.weights[:-2], strict=True))


def test_the_row_survives_a_keras_file(published, resnet18, tmp_path):
    model = keras_resnet.ResNet18()
    model.save(tmp_path / "again.keras")
    again = keras.saving.load_model(tmp_path / "again.keras")
    assert again.checkpoint == model.checkpoint
    assert tuple(again.checkpoint["mean"]) == catalogue.CATALOGUE[f"resnet18.{TAG}"].mean


def test_torchvisions_file(published, resnet18, tmp_path):
    pytest.importorskip("torch")
    row = catalogue.find("resnet18", "torchvision/IMAGENET1K_V1")
    keras_resnet.save_weights(resnet18, tmp_path / row.file, layout="torchvision")
    assert files.same_numbers(keras_resnet.create_model("resnet18", weights="torchvision/IMAGENET1K_V1"), resnet18)
    assert published == [("https://download.pytorch.org/models/resnet18-f37072fd.pth", "sha256:f37072fd")]


@pytest.mark.parametrize("include_top", [True, False])
def test_keras_applications_files(include_top, published, tmp_path):
    row = catalogue.find("resnet50v1", "keras/imagenet")
    file = row.file if include_top else row.headless_file
    model = keras_resnet.create_model("resnet50v1", include_top=include_top)
    keras_resnet.save_weights(files.filled(model, 2), tmp_path / file, layout="keras")
    assert files.same_numbers(keras_resnet.create_model("resnet50v1", "keras/imagenet", include_top=include_top), model)
    assert published[0][0].endswith(file)
    assert published[0][1] == (row.digest if include_top else row.headless_digest)


def hub_config(tmp_path, **changes):
    details = dict(
        input_size=[3, 160, 160], mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5], crop_pct=0.95, license="mit", num_classes=5, tag="mine"
    )
    config = {"architecture": "resnet18", "num_classes": 5, "model_args": {"layers": [1, 1, 1, 1]}, "pretrained_cfg": details}
    (tmp_path / "config.json").write_text(json.dumps({**config, **changes}))


@pytest.mark.parametrize("through", ["name", "weights"])
def test_the_hub(through, published, tmp_path):
    """The configuration decides: depth, classes, size; the file is PyTorch's own where there is no other."""
    hub_config(tmp_path)
    theirs = files.filled(keras_resnet.ResNet18(weights=None, depths=(1, 1, 1, 1), classes=5), 3)
    keras_resnet.save_weights(theirs, tmp_path / "model.safetensors")
    arguments = ("hf://me/net@v1",) if through == "name" else ("resnet18", "hf://me/net@v1")
    model = keras_resnet.create_model(*arguments)
    assert files.same_numbers(model, theirs)
    assert model.input_shape == (None, 160, 160, 3)
    assert model.checkpoint["licence"] == "mit"
    assert model.checkpoint["mean"] == (0.5, 0.5, 0.5)
    assert {question[2] for question in published} == {"v1"}


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        (dict(architecture="efficientnet_b0"), "none of keras_resnet.list_models"),
        (dict(model_args={"act_layer": "silu"}), "act_layer"),
        (dict(architecture=3), "names no architecture"),
        (dict(pretrained_cfg={"input_size": 7}), "timm would not write"),
    ],
)
def test_hub_configurations_that_are_not_known(changes, part, published, tmp_path):
    hub_config(tmp_path, **changes)
    with pytest.raises(ValueError, match=part):
        keras_resnet.create_model("hf://me/net")


@pytest.mark.parametrize("weights", ["a1_in2k", "torchvision/a1_in1k", "hf://timm", "hf://a/b/c", "keras/imagenet"])
def test_unknown_names(weights, published):
    with pytest.raises(ValueError, match="Received"):
        keras_resnet.create_model("resnet18", weights=weights)
    assert not published


def test_weights_twice():
    with pytest.raises(ValueError, match="already"):
        keras_resnet.create_model("resnet18.a1_in1k", weights="a2_in1k")


def test_without_network_the_error_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_RESNET_OFFLINE", "1")
    monkeypatch.setenv("KERAS_RESNET_CACHE", str(tmp_path / "cache"))
    with pytest.raises(OSError, match="weights=None"):
        keras_resnet.ResNet50()


def test_a_file_in_the_working_directory_needs_no_suffix_to_be_told_from_a_tag(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    safetensors.numpy.save_file({"a": normal(2)}, "imagenet")
    with pytest.raises(ValueError, match="imagenet"):
        keras_resnet.create_model("resnet20", weights="imagenet")
