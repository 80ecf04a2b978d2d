"""Fine-tuning on real photographs: it learns, its file predicts, bad pictures are named, and each slip gets one clear error."""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

import keras_resnet
from applications import finetune
from keras_resnet.weights import catalogue, download
from tests.applications.picture_folders import PHOTOGRAPHS, folder_of
from tests.arrays import as_numpy
from tests.cli.run import run
from tests.quick import quick_on_torch
from tests.weights import files

ROOT = pathlib.Path(__file__).parents[2]
TAG = catalogue.DEFAULTS["resnet18"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A checkpoint of a small network, made here."""
    keras.utils.set_random_seed(1)
    path = tmp_path_factory.mktemp("weights") / "resnet20.safetensors"
    return files.write(keras_resnet.create_model("resnet20"), path)


def arguments(pictures, weights, out, *more) -> list[str]:
    settings = ["--model=resnet20", f"--weights={weights}", f"--out={out}", "--batch=8", "--epochs=8", "--rate=0.003"]
    return [str(pictures), *settings, "--freeze=none", "--decay=1", *more]


@pytest.fixture(scope="module")
def written(pictures, weights, tmp_path_factory):
    out = tmp_path_factory.mktemp("finetuned") / "new" / "folder"
    accuracy = finetune.main(arguments(pictures, weights, out))
    return out, accuracy, json.loads((out / "report.json").read_text())


def test_it_learns_and_reports(written):
    out, accuracy, report = written
    assert sorted(path.name for path in out.iterdir()) == sorted(finetune.FILES)
    assert (out / "classes.txt").read_text().split() == sorted(PHOTOGRAPHS) == report["classes"]
    assert (out / "report.png").read_bytes().startswith(b"\x89PNG")
    assert accuracy >= 0.5, "chance is 0.25"
    confusion = np.array(report["confusion"])
    assert confusion.sum(axis=1).tolist() == [5, 5, 5, 5]
    assert np.trace(confusion) / confusion.sum() == report["accuracy"] == accuracy
    assert len(report["mistakes"]) == confusion.sum() - np.trace(confusion)
    losses = [mistake["loss"] for mistake in report["mistakes"]]
    assert losses == sorted(losses, reverse=True)
    assert all(
        mistake["is"] != mistake["read"] and pathlib.Path(mistake["picture"]).parent.name == mistake["is"] for mistake in report["mistakes"]
    )
    assert len(report["history"]["val_accuracy"]) == 8
    assert report["pictures"]["learnt"] == 76
    (line,) = report["pictures"]["left_out"]
    assert "broken.jpg" in line


def predicted(path: object, model: pathlib.Path) -> dict[str, float]:
    """What `keras-resnet predict` says of a picture, the most likely class first."""
    status, out, error = run("predict", path, "--model", model, "--json")
    assert status == 0, error
    return {one["name"]: one["score"] for one in json.loads(out)[0]["predictions"]}


def test_the_file_takes_pictures_of_any_size(written, pictures):
    out, _, report = written
    model = keras.saving.load_model(out / "finetuned.keras")
    assert model.input_shape == (None, None, None, 3)
    found = predicted(pictures / "cup" / "05.png", out / "finetuned.keras")
    assert sum(found.values()) == pytest.approx(1, abs=1e-5)
    values = as_numpy(model(np.asarray(Image.open(pictures / "cup" / "05.png"))[None]))[0]
    assert found == pytest.approx(dict(zip(report["classes"], values.tolist())), abs=1e-5)


def test_probabilities_are_those_of_the_report(written):
    """A mistake of the report is one of the file too, with the same probability."""
    out, _, report = written
    for mistake in report["mistakes"][:2]:
        (name, value), *_ = predicted(mistake["picture"], out / "finetuned.keras").items()
        assert name == mistake["read"]
        assert value == pytest.approx(mistake["probability"], abs=1e-4)


def test_another_backend_opens_the_file(written, pictures):
    out = written[0]
    other = "torch" if keras.backend.backend() != "torch" else "jax"
    picture = pictures / "woman" / "07.png"
    expected = predicted(picture, out / "finetuned.keras")
    environment = {**os.environ, "KERAS_BACKEND": other, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "keras_resnet_cli", "predict", picture, "--model", out / "finetuned.keras", "--json"]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    found = {one["name"]: one["score"] for one in json.loads(result.stdout)[0]["predictions"]}
    assert found == pytest.approx(expected, abs=1e-4)


@quick_on_torch
def test_frozen_weights_are_those_of_the_checkpoint(pictures, weights, tmp_path):
    more = ["--freeze=stage2", "--epochs=1", "--optimizer=sgd", "--decay=0.5"]
    finetune.main([*arguments(pictures, weights, tmp_path), *more])
    before = keras_resnet.create_model("resnet20", weights=str(weights))
    (after,) = (layer for layer in keras.saving.load_model(tmp_path / "finetuned.keras").layers if isinstance(layer, keras.Model))
    for one, two in zip(before.layers, after.layers, strict=True):
        same = [(as_numpy(a) == as_numpy(b)).all() for a, b in zip(one.weights, two.weights) if a.shape == b.shape]
        assert all(same) if not one.name.startswith(("stage3", "head")) else not all(same) or not same, one.name


@pytest.fixture
def published(weights, tmp_path, monkeypatch):
    """A hub whose repositories all hold that checkpoint, as one of a ResNet-20; its name is what was asked for."""
    (tmp_path / "model.safetensors").write_bytes(weights.read_bytes())
    settings = dict(input_size=[3, 32, 32], mean=[0.1, 0.2, 0.3], std=[0.4, 0.5, 0.6], crop_pct=0.7, interpolation="bilinear")
    config = dict(architecture="resnet20", num_classes=10, pretrained_cfg=settings)
    (tmp_path / "config.json").write_text(json.dumps(config))
    asked = []
    monkeypatch.setattr(download, "download_from_hub", lambda name, file, revision="": asked.append((name, revision)) or tmp_path / file)
    return asked


@pytest.mark.parametrize("revision", ["", "@0123abc"])
def test_a_network_of_the_hub(published, weights, revision):
    """Its name is left whole, dots and all, and its pictures are those of its configuration."""
    options = argparse.Namespace(model=f"hf://somebody/resnet20.a1_in1k{revision}", weights=None, size=None)
    model, prepare = finetune.open_network(options, 4)
    assert set(published) == {("somebody/resnet20.a1_in1k", revision.removeprefix("@"))}
    assert (prepare.crop, prepare.interpolation, prepare.size) == (0.7, "bilinear", (32, 32))
    np.testing.assert_allclose(prepare.mean, [0.1, 0.2, 0.3])
    assert model.output_shape == (None, 4)
    before = keras_resnet.create_model("resnet20", weights=str(weights))
    assert all((as_numpy(one) == as_numpy(two)).all() for one, two in zip(model.weights[:-2], before.weights[:-2], strict=True))


@pytest.mark.parametrize(("name", "asked"), [("resnet18.a1_in1k", "timm/resnet18.a1_in1k"), ("resnet18", f"timm/resnet18.{TAG}")])
def test_a_network_of_the_catalogue(published, name, asked, tmp_path):
    keras_resnet.save_weights(keras_resnet.ResNet18(weights=None), tmp_path / "model.safetensors")
    model, _ = finetune.open_network(argparse.Namespace(model=name, weights=None, size=64), 4)
    assert published == [(asked, "")]
    assert model.checkpoint["tag"] == asked.partition(".")[2]
    given = argparse.Namespace(model=name, weights=str(tmp_path / "model.safetensors"), size=64)
    again, prepare = finetune.open_network(given, 4)
    assert published == [(asked, "")], "a file is taken in place of published weights"
    assert again.get_layer("stem").weights[0].shape == (7, 7, 3, 64)
    assert prepare.crop == catalogue.CATALOGUE[f"resnet18.{model.checkpoint['tag']}"].crop
    if "." in name:
        with pytest.raises(SystemExit, match=r"^error: .*names its weights already"):
            finetune.open_network(argparse.Namespace(model=f"hf://timm/{name}", weights=given.weights, size=64), 4)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (dict(), "must hold a folder of pictures for each of two classes or more; it has 0"),
        (dict(a=3), "it has 1"),
        (dict(a=3, b=0), "the class 'b' needs two pictures"),
        (dict(a=3, b=1), "it has 1"),
    ],
)
def test_folders_with_too_little(tmp_path, classes, message):
    with pytest.raises(SystemExit, match=f"^error: .*{message}") as caught:
        finetune.main([str(folder_of(tmp_path, **classes)), "--model=resnet20", f"--out={tmp_path / 'out'}"])
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_errors_before_training(tmp_path, weights, monkeypatch):
    monkeypatch.setattr(keras.Model, "fit", lambda *_, **__: pytest.fail("trained"))
    folder = folder_of(tmp_path, a=2, b=2)
    (tmp_path / "file").touch()
    (tmp_path / "taken" / "report.png").mkdir(parents=True)
    out = f"--out={tmp_path / 'out'}"
    given = f"--weights={weights}"
    for command, message in (
        ([str(tmp_path / "file"), "--model=resnet20", given, out], "is no folder"),
        ([str(tmp_path / "nowhere"), "--model=resnet20", given, out], "is no folder"),
        ([str(folder), "--model=resnet21", given, out], "There is no network named 'resnet21'. Closest: resnet"),
        ([str(folder), "--model=resnet32", given, out], "resnet20.safetensors"),
        ([str(folder), "--model=resnet20", "--weights=nowhere.safetensors", out], "nowhere.safetensors"),
        ([str(folder), "--model=resnet20", given, f"--out={tmp_path / 'file'}"], "cannot be used as a folder"),
        ([str(folder), "--model=resnet20", given, f"--out={tmp_path / 'taken'}"], "report.png' is a folder"),
        ([str(folder), "--model=resnet20", given, out, "--freeze=stage4"], "--freeze: `through` names a part of 'resnet20'"),
        ([str(folder), "--model=resnet20", given, out, "--size=2"], "error"),
    ):
        with pytest.raises(SystemExit, match=f"^error: .*{re.escape(message)}" if message != "error" else "^error") as caught:
            finetune.main(command)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    "option", ["--epochs=0", "--batch=-1", "--rate=nan", "--decay=2", "--held-back=1", "--optimizer=best", "--seed=-1"]
)
def test_options_are_checked_first(option, tmp_path, capsys):
    with pytest.raises(SystemExit):
        finetune.main([str(tmp_path), "--model=resnet20", option])
    assert f"argument {option.partition('=')[0]}: " in capsys.readouterr().err
    with pytest.raises(SystemExit):
        finetune.main(["--model=resnet20"])
    assert "required: PICTURES" in capsys.readouterr().err


def test_tfds_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(SystemExit, match=r"^error: tfds:mnist needs tensorflow-datasets: `pip install"):
        finetune.main(["tfds:mnist", "--model=resnet20", f"--out={tmp_path}"])
    assert list(tmp_path.iterdir()) == []


# On JAX and TensorFlow nearly all of its minute is compilation, of what the tests above have compiled already.
@quick_on_torch
def test_the_notebook_runs_from_start_to_end(tmp_path):
    """Its cells in order, as in a fresh kernel; no output is stored in it."""
    notebook = json.loads((ROOT / "applications" / "finetune.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] for cell in notebook["cells"] if cell["cell_type"] == "code")
    (tmp_path / "cells.py").write_text("\n\n".join(cells) + "\nassert accuracy >= 0.6, accuracy\n", encoding="utf-8")
    environment = {**os.environ, "KERAS_BACKEND": keras.backend.backend(), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(tmp_path / "cells.py")]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    assert re.search(r"\d+ % of 24 pictures held back\ntemple: read as ", result.stdout)
    assert [path.name for path in tmp_path.iterdir()] == ["cells.py"]
