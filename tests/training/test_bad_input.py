"""Mistakes of a user's, and folders that mean harm: one clear error each, and nothing is written or changed."""

import json
import os
import pathlib

import numpy as np
import pytest
from PIL import Image

from tests.quick import quick_on_torch
from training import callbacks, run_folder
from training.__main__ import main
from training.fields import to_json
from training.recipes import quick, recipe

QUICK = ["fashion_resnet20", "--quick"]
SMALL = ["--set", "data.size=6", "--set", "data.test_size=6", "--set", "data.classes=3"]


def everything(folder: pathlib.Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def refused(words: list[str], said: str, folder: pathlib.Path, capsys) -> None:
    """Asserts that the program ends with one error that says this, and leaves the folder as it is."""
    before = everything(folder)
    assert main(words) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert len(error) < 5000
    assert said in error
    assert everything(folder) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["resnet20"], "There is no recipe 'resnet20'. Closest: "),
        ([*QUICK, "--set", "optimiser.rate=1"], "no field 'optimiser.rate'. Closest: optimizer"),
        ([*QUICK, "--set", "optimizer.rate=fast"], "`optimizer.rate` must be a number. Received: 'fast'"),
        ([*QUICK, "--set", "epochs=1.5"], "`epochs` must be a whole number"),
        ([*QUICK, "--set", f"epochs=1{400 * '0'}"], "`epochs` must be above 0"),
        ([*QUICK, "--set", "optimizer.rate=nan"], "`optimizer.rate` must be a number"),
        ([*QUICK, "--set", "name=../../elsewhere"], "`name` must be of letters"),
        ([*QUICK, "--set", "network.settings.depth=3"], "`network.settings`: "),
        ([*QUICK, "--checkpoint-every", "0"], "`where.checkpoint_every` must be above 0"),
        ([*QUICK, "--set", "batch=33"], "fewer than a batch of 33"),
        ([*QUICK, "--data", "nowhere"], "'nowhere' is no folder"),
        ([*QUICK, "--data", "tfds_folder:nowhere"], "tensorflow-datasets"),
        ([*QUICK, "--data", ""], "--data is empty"),
        ([*QUICK, "--set", "data.test_size=3"], "this network takes 4x4 or larger"),
        ([*QUICK, "--set", "data.size=3", "--set", "network.name=resnet50"], "this network takes 32x32 or larger"),
        (["segmentation_nnunet2d", "--quick", "--set", "data.size=1"], "show the labels [0] alone"),
        (["segmentation_nnunet2d", "--quick", "--set", "data.size=4"], "Pictures of 4 pixels are a map of one pixel in"),
        (["segmentation_nnunet2d", "--quick", "--set", "network.name=resnet20"], "(32, 32, 2) is to be learnt. Set network.name"),
        (["list", "more"], "`list` takes nothing else"),
        (["list", "--quick"], "`list` takes nothing else"),
        (["resume", ".", "--show"], "A run is resumed as it was begun"),
        (["resume", ".", "--checkpoint-every", "0"], "A run is resumed as it was begun"),
        (["resume", "nowhere"], "There is no run in 'nowhere'"),
        (["resume", ".", "--stop-at-damaged"], "A run is resumed as it was begun"),
    ],
)
def test_what_was_typed(words, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(words, said, tmp_path, capsys)


def test_a_command_line_that_cannot_be_read(capsys):
    for words, said in ((["fashion_resnet20", "--quik"], "--quik"), ([*QUICK, "--backend", "numpy"], "'numpy'"), ([], "recipe")):
        with pytest.raises(SystemExit) as ended:
            main(words)
        error = capsys.readouterr().err
        assert (ended.value.code, error.count("\n"), error.startswith("error: ")) == (2, 1, True)
        assert said in error


def test_data(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "one_class/only", "empty_class/full", "empty_class/none"):
        os.makedirs(name)
    for place in ("one_class/only", "empty_class/full"):
        for number in range(3):
            Image.new("RGB", (9, 9)).save(f"{place}/{number}.png")
    images = np.zeros((12, 6, 6, 1), "uint8")
    np.savez("high.npz", train_images=images, train_labels=np.arange(12))
    np.savez("low.npz", train_images=images, train_labels=np.arange(12) % 3 - 1)
    np.savez("one.npz", train_images=images, train_labels=np.zeros(12, int))
    np.savez("words.npz", train_images=images, train_labels=np.array(list("abcdefghijkl")))
    np.savez("hot.npz", train_images=images, train_labels=np.eye(12, dtype=int))
    with open("array.npz", "wb") as file:
        np.save(file, images)
    pathlib.Path("torn.npz").write_bytes(pathlib.Path("one.npz").read_bytes()[:200])
    pathlib.Path("text.txt").write_text("hello")
    for name, said in {
        "empty": "'empty' is an empty folder",
        "one_class": "2 classes or more; it has 1",
        "empty_class": "The class 'none' in 'empty_class' needs 2 pictures or more. It has 0",
        "high.npz": "labels from 0 to 11",
        "low.npz": "labels from -1 to 1",
        "one.npz": "one class alone",
        "words.npz": "a whole number a picture in train_labels. It has (12,) in <U1",
        "hot.npz": "a whole number a picture in train_labels. It has (12, 12) in int64",
        "array.npz": "cannot be read as arrays of NumPy: it is no archive",
        "torn.npz": "cannot be read as arrays of NumPy: it is no archive",
        "text.txt": "is no folder, no .npz file and no name",
    }.items():
        refused([*QUICK, *SMALL, "--data", name], said, tmp_path, capsys)


def test_a_folder_that_exists(tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "file").write_text("mine")
    refused([*QUICK, "--out", str(tmp_path / "run")], "exists. Go on with `resume", tmp_path, capsys)
    (tmp_path / "my run").mkdir()
    refused([*QUICK, "--out", str(tmp_path / "my run")], f"Go on with `resume '{tmp_path / 'my run'}'`", tmp_path, capsys)
    refused([*QUICK, "--out", str(tmp_path / "file" / "run")], "cannot be made", tmp_path, capsys)


def config(**other) -> dict:
    whole = {"recipe": json.loads(to_json(quick(recipe("fashion_resnet20")))), "where": {"data": "made_up"}, "backend": "torch"}
    return {**whole, **other}


def with_field(path: str, value) -> dict:
    found = config()
    part = found["recipe"]
    *names, last = path.split(".")
    for name in names:
        part = part[name]
    part[last] = value
    return found


def deep(levels: int) -> str:
    """An argument of the network that is lists in lists."""
    return json.dumps(with_field("network.settings", {"depths": "HERE"})).replace('"HERE"', "[" * levels + "]" * levels)


HOSTILE = {
    "nothing": ("", "cannot be read"),
    "torn": ('{"recipe": {', "cannot be read"),
    "a list": ("[1, 2]", "lacks the objects"),
    "deep": ("[" * 100_000, "cannot be read"),
    "deep inside": (json.dumps(config()).replace('"made_up"', "[" * 50_000 + "]" * 50_000), "cannot be read"),
    "deep, but it can be read": (deep(300), "error"),
    "deeper": (deep(800), "error"),
    "huge": (json.dumps(config(more="x" * 2**21)), "more than 1,048,576 bytes"),
    "no text": ("\udcff\udcfe", "cannot be read"),
    "a recipe that is a list": (config(recipe=[]), "lacks the objects"),
    "a recipe that is empty": (config(recipe={}), "The recipe lacks `name`"),
    "another backend": (config(backend="../jax"), "its backend is '../jax'"),
    "a backend that is no text": (config(backend=["torch"]), "its backend is ['torch']"),
    "another place": (config(where={"data": "made_up", "run": "rm"}), "unexpected keyword argument 'run'"),
    "a place that is a number": (config(where={"data": 5}), "`where.data` must be text or none"),
    "no checkpoints": (config(where={"data": "made_up", "keep": 0}), "`where.keep` must be above 0"),
    "another field": (with_field("epoch", 3), "no field 'epoch'"),
    "another type": (with_field("optimizer.rate", "1"), "`optimizer.rate` must be a number"),
    "a part that is a number": (with_field("optimizer", 5), "`optimizer` is an object of fields"),
    "no end": (with_field("optimizer.rate", float("inf")), "`optimizer.rate` must be above 0"),
    "no number": (with_field("optimizer.rate", float("nan")), "`optimizer.rate` must be above 0"),
    "more than a device counts": (with_field("epochs", 10**30), "`epochs` must be above 0"),
    "a name that is a path": (with_field("name", "../../x"), "`name` must be of letters"),
    "weights that are a path": (with_field("network.weights", "/etc/hostname"), "/etc/hostname"),
    "arguments of other types": (with_field("network.settings", {"depths": {"a": 1}}), "depths"),
    "trackers that are no list": (config(where={"data": "made_up", "track": "wandb"}), "`where.track` is a list of names"),
    "a tracker that there is not": (config(where={"data": "made_up", "track": ["mine"]}), "A run is tracked by"),
    "data elsewhere": (config(where={"data": "/dev/null"}), "'/dev/null' is no folder"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_run_that_means_harm(name, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    content, said = HOSTILE[name]
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    refused(["resume", str(tmp_path)], said, tmp_path, capsys)


def test_a_run_without_a_file(tmp_path, capsys):
    refused(["resume", str(tmp_path)], "it has no config.json", tmp_path, capsys)
    os.mkfifo(tmp_path / "config.json")
    refused(["resume", str(tmp_path)], "it has no config.json", tmp_path, capsys)


@quick_on_torch
def test_a_run_goes_on_alone_and_with_its_own_data(tmp_path, capsys, monkeypatch):
    rng = np.random.default_rng(0)
    data, folder = tmp_path / "data.NPZ", tmp_path / "run"

    def put(count, tested=20):
        images, labels = rng.integers(0, 256, (count, 16, 16, 1), dtype="uint8"), np.arange(count) % 10
        with data.open("wb") as file:
            np.savez(file, train_images=images, train_labels=labels, test_images=images[:tested], test_labels=labels[:tested])

    put(64)
    monkeypatch.chdir(tmp_path)
    assert main(["fashion_resnet20", "--quick", "--data", data.name, "--out", str(folder)]) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with run_folder.alone(folder):
        assert main(["resume", str(folder)]) == 1
    assert "Another process trains in" in capsys.readouterr().err
    assert main(["resume", str(folder)]) == 0
    moved = data.rename(tmp_path / "moved.npz")
    assert main(["resume", str(folder)]) == 1
    assert f"--data '{data}' is no folder" in capsys.readouterr().err
    for data_too in (["--data", str(moved)], []):
        assert main(["resume", str(folder), *data_too]) == 0
    before = (folder / "config.json").read_bytes()
    kept, data = moved.read_bytes(), moved
    rng = np.random.default_rng(0)
    put(64, tested=21)
    assert main(["resume", str(folder)]) == 1
    assert "20 to test on then, 64 pictures to learn from in 8 batches and 21 to test on now" in capsys.readouterr().err
    data.write_bytes(kept)
    put(40)
    assert main(["resume", str(folder), "--data", str(tmp_path / "moved.npz")]) == 1
    assert (folder / "config.json").read_bytes() == before
    assert main(["resume", str(folder)]) == 1
    said = capsys.readouterr().err
    assert "are not those that" in said
    assert "64 pictures to learn from in 8 batches and 20 to test on then, 40 pictures to learn from in 5 batches" in said


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("network.settings={'classes': 3}", "`network.settings` has what other fields of the recipe say: classes"),
        (["augmentation.rand_magnitude=5", "augmentation.trivial=true"], "`augmentation.trivial` is in place of RandAugment"),
        (["schedule.warm_up=1", "schedule.hold=true"], "`schedule.hold` holds the rate at the share `schedule.start` of it, which is 0"),
        ("schedule.hold=true", "`schedule.hold` counts where `schedule.warm_up` is set"),
        ("network.dropout=1", "`network.dropout` must be"),
        ("data.squeeze=true", "`data.squeeze` counts where pictures are opened one by one, as of a folder, and these come as arrays"),
        ("data.test_crop=0.9", "`data.test_crop` counts where pictures are opened one by one"),
        ("data.interpolation=random", "`data.interpolation` counts where pictures are opened one by one"),
        (" data.test_interpolation = bicubic", "`data.test_interpolation` counts where pictures are opened one by one"),
        ("augmentation.pad=100000000", "`augmentation.pad` is at most 16 for pictures of 16 pixels"),
        ("epochs={[]: 1}", "`epochs` must be a whole number"),
    ],
)
def test_settings_that_are_not_for_the_user(setting, said, tmp_path, capsys):
    settings = [setting] if isinstance(setting, str) else setting
    words = [word for one in settings for word in ("--set", one)]
    assert main(["fashion_resnet20", "--quick", "--out", str(tmp_path / "run"), *words]) == 1
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_logs_that_are_damaged(tmp_path):
    for text in (b"epoch,loss\n1,2,3,4\n", b"hello\nworld", b"\xff\xfe", b"loss\n1\n"):
        (tmp_path / "log.csv").write_bytes(text)
        with pytest.raises(ValueError, match=r"log.csv' is not as it was written .*Move it away"):
            callbacks.rows(tmp_path / "log.csv")
