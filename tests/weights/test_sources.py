"""Names of published weights: which file is fetched, how the network is built, what is said. The files are made here, in their formats."""

import json

import keras
import numpy as np
import pytest
import safetensors.numpy

import keras_resnet
from keras_resnet.weights import catalogue, download
from tests.arrays import as_numpy, normal
from tests.quick import quick_on_torch
from tests.weights import files


class EntryNotFoundError(Exception):
    """As the hub's client names it."""


TAG = catalogue.DEFAULTS["resnet18"]


@pytest.fixture
def published(monkeypatch, tmp_path):
    """What is asked for, and the folder whose files come in place of a download."""
    asked = []

    def hub(repository, file, revision=""):
        asked.append((repository, file, revision))
        if not (tmp_path / file).exists():
            raise download.DownloadError(f"no {file}") from EntryNotFoundError()
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


@quick_on_torch
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
        (dict(model_args={"act_layer": "mish"}), "act_layer='mish'"),
        (dict(model_args={"block_args": {"attn_layer": "cbam"}}), "block_args"),
        (dict(model_args={"growth_rate": 12}), "growth_rate=12"),
        (dict(model_args={"global_pool": "max"}), "global_pool='max'"),
        (dict(architecture=3), "names no architecture"),
        (dict(pretrained_cfg={"input_size": 7}), "timm would not write"),
    ],
)
def test_hub_configurations_that_are_not_known(changes, part, published, tmp_path):
    hub_config(tmp_path, **changes)
    with pytest.raises(ValueError, match=part):
        keras_resnet.create_model("hf://me/net")


@quick_on_torch
@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (dict(stem_type="deep", stem_width=16, avg_down=True), dict(stem="deep", stem_width=32, shortcut="avg_pool")),
        (dict(stem_type="deep"), dict(stem="deep", stem_width=128)),
        (
            dict(block_args={"attn_layer": "se"}, act_layer="silu", in_chans=1),
            dict(attention="se", activation="silu", input_shape=(None, None, 1)),
        ),
        (dict(aa_layer="blur", channels=[8, 16, 24, 32]), dict(anti_alias="blur", widths=(8, 16, 24, 32))),
        (dict(replace_stem_pool=True, down_kernel_size=3), dict(stem_pool="conv", shortcut="projection_3x3")),
    ],
    ids=str,
)
def test_timms_settings(theirs, ours, published, tmp_path):
    hub_config(tmp_path, model_args={"layers": [1, 1, 1, 1], **theirs})
    model = keras_resnet.ResNet18(weights=None, depths=(1, 1, 1, 1), classes=5, classifier_activation=None, **ours)
    keras_resnet.save_weights(files.filled(model, 3), tmp_path / "model.safetensors")
    loaded = keras_resnet.create_model("hf://me/net", classifier_activation=None)
    assert files.same_numbers(loaded, model)
    assert loaded.input_shape[-1] == model.input_shape[-1]
    image = normal(1, 64, 64, model.input_shape[-1])
    again = keras_resnet.create_model("hf://me/net", classifier_activation=None, input_shape=(64, 64, model.input_shape[-1]))
    same = keras_resnet.ResNet18(
        weights=None, depths=(1, 1, 1, 1), classes=5, classifier_activation=None, **{**ours, "input_shape": image.shape[1:]}
    )
    same.set_weights([as_numpy(v) for v in model.weights])
    assert np.allclose(as_numpy(again(image)), as_numpy(same(image)), rtol=1e-3, atol=1e-3)


@quick_on_torch
def test_the_head_outside_goes_first(published, tmp_path):
    """In a repository of somebody who fine-tuned, `pretrained_cfg` may still say 1,000."""
    details = dict(input_size=[3, 64, 64], mean=[0.5], std=[0.5], num_classes=1000)
    hub_config(tmp_path, num_classes=7, pretrained_cfg=details)
    theirs = files.filled(keras_resnet.ResNet18(weights=None, depths=(1, 1, 1, 1), classes=7), 3)
    keras_resnet.save_weights(theirs, tmp_path / "model.safetensors")
    model = keras_resnet.create_model("hf://me/net")
    assert files.same_numbers(model, theirs)
    assert model.checkpoint["mean"] == (0.5, 0.5, 0.5)


@quick_on_torch
def test_a_head_starts_anew_only_where_it_is_asked_for(published, tmp_path):
    headless = keras_resnet.ResNet18(weights=None, include_top=False)
    keras_resnet.save_weights(headless, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"2 missing.*\n.*fc\.weight"):
        keras_resnet.create_model(f"resnet18.{TAG}")
    assert files.same_numbers(keras_resnet.create_model(f"resnet18.{TAG}", include_top=False), headless)
    assert keras_resnet.create_model(f"resnet18.{TAG}", classes=3).output_shape == (None, 3)
    row = next(row for row in catalogue.CATALOGUE.values() if row.classes == 0)
    with pytest.raises(ValueError, match="include_top=False"):
        keras_resnet.create_model(row.name)


def test_without_top_the_size_stays_open(published, tmp_path):
    row = next(row for row in catalogue.CATALOGUE.values() if row.input_size != 224 and row.model == "resnet10t")
    model = files.filled(keras_resnet.ResNet10t(weights=None, include_top=False), 3)
    keras_resnet.save_weights(model, tmp_path / "model.safetensors")
    assert keras_resnet.create_model(row.name, include_top=False).input_shape == (None, None, None, 3)


def test_settings_that_the_weights_were_not_trained_with_are_said(published, resnet18, capsys):
    keras_resnet.ResNet18(activation="silu", dropout=0.1, depths=[2, 2, 2, 2])
    assert capsys.readouterr().err.strip().endswith("not as they were trained: activation='silu'")


@quick_on_torch
def test_files_named_like_a_tag(published, resnet18, tmp_path, monkeypatch):
    """A folder or a file of the name of a tag hides nothing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / TAG).mkdir()
    assert files.same_numbers(keras_resnet.ResNet18(weights=TAG), resnet18)
    hub_config(tmp_path, architecture="resnet34")
    with pytest.raises(ValueError, match="holds the weights of"):
        keras_resnet.create_model("resnet18", weights="hf://me/model.bin")


def test_another_file_is_asked_for_only_where_there_is_none(published, tmp_path, monkeypatch):
    hub_config(tmp_path)

    def hub(repository, file, revision=""):
        if file == "config.json":
            return tmp_path / file
        published.append(file)
        raise download.DownloadError(f"no connection, {file}") from OSError()

    monkeypatch.setattr(download, "download_from_hub", hub)
    with pytest.raises(download.DownloadError, match=r"model\.safetensors"):
        keras_resnet.create_model("hf://me/net")
    assert published == ["model.safetensors"]
    monkeypatch.setenv("KERAS_RESNET_OFFLINE", "1")
    with pytest.raises(download.DownloadError, match=r"model\.safetensors"):
        keras_resnet.create_model("hf://me/net")
    assert published[1:] == ["model.safetensors", "pytorch_model.bin"]


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
