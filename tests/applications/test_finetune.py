"""Fine-tuning on real photographs: it learns, its file predicts, bad pictures are named, and each slip gets one clear error."""

import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zlib

import keras
import numpy as np
import pytest
from PIL import Image

import keras_resnet
from applications import finetune, labelled_pictures
from tests.arrays import as_numpy
from tests.vision.photographs import open_photograph

ROOT = pathlib.Path(__file__).parents[2]
PHOTOGRAPHS = {"temple": "china.jpg", "flower": "flower.jpg", "woman": "astronaut.png", "cup": "coffee.png"}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Crops of photographs, 24 of each of four, of different sizes and kinds; and one file in each that is no picture."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name, file in PHOTOGRAPHS.items():
        (folder / name).mkdir()
        photograph = open_photograph(file)
        for number in range(24):
            size = rng.integers(70, 130, 2)
            top, left = rng.integers(0, np.array(photograph.shape[:2]) - size)
            crop = Image.fromarray(photograph[top : top + size[0], left : left + size[1]])
            if number == 0:
                exif = Image.Exif()
                exif[0x0112] = 6  # lying on its side
                crop.save(folder / name / "turned.jpg", exif=exif)
            elif number == 1:
                crop.convert("L").save(folder / name / "grey.webp")
            elif number == 2:
                crop.convert("RGBA").save(folder / name / "transparent.png")
            else:
                crop.save(folder / name / f"{number:02d}.png")
    (folder / "cup" / "broken.jpg").write_bytes((folder / "cup" / "turned.jpg").read_bytes()[:500])
    (folder / "cup" / "notes.txt").write_text("no picture, and not called one")
    (folder / ".hidden").mkdir()
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A checkpoint of a small network, made here."""
    keras.utils.set_random_seed(1)
    path = tmp_path_factory.mktemp("weights") / "resnet20.safetensors"
    keras_resnet.save_weights(keras_resnet.create_model("resnet20"), path)
    return path


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


def test_the_file_takes_pictures_of_any_size(written, pictures):
    out, _, report = written
    model = keras.saving.load_model(out / "finetuned.keras")
    assert model.input_shape == (None, None, None, 3)
    found = finetune.main(["--predict", str(pictures / "cup" / "05.png"), "--model", str(out / "finetuned.keras")])
    assert sum(value for _, value in found) == pytest.approx(1, abs=1e-5)
    values = as_numpy(model(np.asarray(Image.open(pictures / "cup" / "05.png"))[None]))[0]
    assert dict(found) == pytest.approx(dict(zip(report["classes"], values.tolist())), abs=1e-5)


def test_probabilities_are_those_of_the_report(written):
    """A mistake of the report is one of the file too, with the same probability."""
    out, _, report = written
    for mistake in report["mistakes"][:2]:
        (name, value), *_ = finetune.main(["--predict", mistake["picture"], "--model", str(out / "finetuned.keras")])
        assert name == mistake["read"]
        assert value == pytest.approx(mistake["probability"], abs=1e-4)


def test_another_backend_opens_the_file(written, pictures):
    out = written[0]
    other = "torch" if keras.backend.backend() != "torch" else "jax"
    picture = pictures / "woman" / "07.png"
    expected = dict(finetune.main(["--predict", str(picture), "--model", str(out / "finetuned.keras")]))
    program = (
        "import json, sys; from applications import finetune; "
        "print('FOUND' + json.dumps(finetune.main(['--predict', sys.argv[1], '--model', sys.argv[2]])))"
    )
    environment = {**os.environ, "KERAS_BACKEND": other, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", program, str(picture), str(out / "finetuned.keras")]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    found = json.loads(result.stdout.rpartition("FOUND")[2])
    assert dict(map(tuple, found)) == pytest.approx(expected, abs=1e-4)


def test_the_split_is_stratified_and_fixed(pictures):
    found, unread = labelled_pictures.find(pictures)
    assert len(unread) == 1
    learnt, held = labelled_pictures.split(found, 0.25, 3)
    assert np.bincount(held.labels).tolist() == [6, 6, 6, 6]
    assert sorted([*learnt.paths, *held.paths]) == sorted(found.paths)
    assert labelled_pictures.split(found, 0.25, 3)[1].paths == held.paths
    assert labelled_pictures.split(found, 0.25, 4)[1].paths != held.paths
    few = labelled_pictures.Labelled(list("abcd"), np.array([0, 0, 1, 1]), ["a", "b"])
    assert np.bincount(labelled_pictures.split(few, 0.9, 0)[1].labels).tolist() == [1, 1]


def test_batches_change_pictures_only_to_learn_from(pictures):
    found, _ = labelled_pictures.find(pictures)
    prepare = keras_resnet.preprocessing("resnet18", size=32)
    plain = labelled_pictures.Batches(found, prepare, 10, (32, 32))
    assert len(plain) == 10
    images, labels = plain[9]
    assert images.shape == (6, 32, 32, 3)
    assert labels.tolist() == found.labels[90:].tolist()
    assert (plain[0][0] == plain[0][0]).all()
    train = labelled_pictures.Batches(found, keras_resnet.preprocessing("resnet18", size=37), 10, (32, 32), seed=0)
    seen = [train[i][1] for i in range(len(train))]
    assert len(train) == 9
    assert train[0][0].shape == (10, 32, 32, 3)
    assert (train[0][0] != train[0][0]).any()
    train.on_epoch_end()
    assert [train[i][1].tolist() for i in range(len(train))] != [one.tolist() for one in seen]


def test_frozen_weights_are_those_of_the_checkpoint(pictures, weights, tmp_path):
    more = ["--freeze=stage2", "--epochs=1", "--optimizer=sgd", "--decay=0.5"]
    finetune.main([*arguments(pictures, weights, tmp_path), *more])
    before = keras_resnet.create_model("resnet20", weights=str(weights))
    (after,) = (layer for layer in keras.saving.load_model(tmp_path / "finetuned.keras").layers if isinstance(layer, keras.Model))
    for one, two in zip(before.layers, after.layers, strict=True):
        same = [(as_numpy(a) == as_numpy(b)).all() for a, b in zip(one.weights, two.weights) if a.shape == b.shape]
        assert all(same) if not one.name.startswith(("stage3", "head")) else not all(same) or not same, one.name


def png(width: int, height: int) -> bytes:
    """A picture that says it has this size and holds nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_a_bomb_is_left_out(pictures, tmp_path):
    shutil.copytree(pictures, tmp_path / "pictures")
    (tmp_path / "pictures" / "cup" / "bomb.png").write_bytes(png(100_000, 100_000))
    _, unread = labelled_pictures.find(tmp_path / "pictures")
    assert sum("bomb.png" in line and "pixels" in line for line in unread) == 1
    assert all("\n" not in line for line in unread)


def folder_of(tmp_path, **classes) -> pathlib.Path:
    picture = io.BytesIO()
    Image.new("RGB", (40, 40)).save(picture, "PNG")
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, count in classes.items():
        (folder / name).mkdir()
        for number in range(count):
            (folder / name / f"{number}.png").write_bytes(picture.getvalue())
    return folder


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
        (["--predict", "x.png", f"--model={tmp_path / 'no.keras'}"], "there is no file"),
    ):
        with pytest.raises(SystemExit, match=f"^error: .*{re.escape(message)}" if message != "error" else "^error") as caught:
            finetune.main(command)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("option", ["--epochs=0", "--batch=-1", "--rate=nan", "--decay=2", "--held-back=1", "--optimizer=best"])
def test_options_are_checked_first(option, tmp_path, capsys):
    with pytest.raises(SystemExit):
        finetune.main([str(tmp_path), "--model=resnet20", option])
    assert f"argument {option.partition('=')[0]}: " in capsys.readouterr().err
    with pytest.raises(SystemExit):
        finetune.main(["--model=resnet20"])
    assert "PICTURES is needed" in capsys.readouterr().err


def test_tfds_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(SystemExit, match=r"^error: tfds:mnist needs tensorflow-datasets: `pip install"):
        finetune.main(["tfds:mnist", "--model=resnet20", f"--out={tmp_path}"])
    assert list(tmp_path.iterdir()) == []


def test_a_set_of_tfds(pictures, tmp_path, monkeypatch):
    tfds = pytest.importorskip("tensorflow_datasets")

    class FinetunePhotographs(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = tfds.features.FeaturesDict(
                {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(names=["cup", "woman"])}
            )
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, manager):
            return {"train": self._generate_examples(range(3, 6)), "test": self._generate_examples(range(6, 8))}

        def _generate_examples(self, numbers):
            for name in ("cup", "woman"):
                for number in numbers:
                    yield f"{name}{number}", {"image": str(pictures / name / f"{number:02d}.png"), "label": name}

    builder = FinetunePhotographs(data_dir=tmp_path / "data")
    builder.download_and_prepare()
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "pictures").mkdir()
    found, unread = labelled_pictures.find(labelled_pictures.from_tfds("finetune_photographs", tmp_path / "pictures"))
    assert unread == []
    assert found.classes == ["cup", "woman"]
    assert np.bincount(found.labels).tolist() == [5, 5]
    theirs = {np.asarray(Image.open(path)).tobytes() for path in found.paths}
    assert {np.asarray(Image.open(pictures / name / f"{i:02d}.png")).tobytes() for name in found.classes for i in range(3, 8)} == theirs
    (tmp_path / "none").mkdir()
    with pytest.raises(SystemExit, match=r"^error: tfds:there_is_none cannot be read"):
        labelled_pictures.from_tfds("there_is_none", tmp_path / "none")


def test_predict_names_what_is_wrong(written, tmp_path):
    for name in ("finetuned.keras", "classes.txt"):
        shutil.copy(written[0] / name, tmp_path / name)
    model = str(tmp_path / "finetuned.keras")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(SystemExit, match=r"^error: .*text\.png.*no picture"):
        finetune.main(["--predict", str(tmp_path / "text.png"), "--model", model])
    Image.new("RGB", (40, 40)).save(tmp_path / "black.png")
    (tmp_path / "classes.txt").write_text("one\n")
    with pytest.raises(SystemExit, match="not of one run"):
        finetune.main(["--predict", str(tmp_path / "black.png"), "--model", model])
    (tmp_path / "finetuned.keras").write_bytes(b"not an archive")
    with pytest.raises(SystemExit, match="is damaged, or not from this program"):
        finetune.main(["--predict", str(tmp_path / "black.png"), "--model", model])


# On JAX and TensorFlow nearly all of its minute is compilation, of what the tests above have compiled already.
@(pytest.mark.full if keras.backend.backend() != "torch" else lambda test: test)
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
