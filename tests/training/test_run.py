"""Runs from recipe to report, and their ends before that."""

import contextlib
import json
import re
import shutil
import signal
import time

import keras
import numpy as np
import pytest
from PIL import Image

from keras_resnet import learning
from tests.quick import ON_TORCH, quick_on_torch
from training import callbacks, epochs, recipes, run
from training.__main__ import main
from training.data import stream
from training.data.find import dataset

QUICK = ["--quick", "--set", "network.settings.depths=1,1,1", "--set", "batch=4", "--set", "data.size=8", "--set", "data.test_size=8"]
FIRST = {recipe.network.name: name for name, recipe in reversed(recipes.RECIPES.items())}  # the first with each network
FEW = {"resnet20", "preresnet110", "densenetbc100_k12", "resnetv2_50x1_bit", "nnunet2d_deep", "ddpm_cifar10"}
CHOSEN = {FIRST[network] for network in FEW} | {
    "cifar100_wrn28_10",
    "fashion_resnet18",
    "imagenet_resnet50_torchvision",
    "imagenet_resnet50_a1",
}


def go(folder, *words: str, recipe: str = "fashion_resnet20") -> int:
    return main([recipe, *QUICK, "--out", str(folder), *words])


@quick_on_torch
@pytest.mark.parametrize("name", [name if name in CHOSEN else pytest.param(name, marks=pytest.mark.full) for name in recipes.RECIPES])
def test_every_recipe(name, tmp_path):
    found = run.start(recipes.quick(recipes.recipe(name)), run.Where("made_up"), tmp_path / "run", verbose=0)
    assert found["recipe"] == name
    losses = [row["loss"] for row in callbacks.rows(tmp_path / "run" / run.LOG)]
    assert len(losses) == 2
    assert np.isfinite(losses).all()
    assert (tmp_path / "run" / run.MODEL).is_file()


def test_what_a_run_leaves(tmp_path, capsys):
    folder = tmp_path / "runs" / "mine"
    assert go(folder, "--set", "epochs=3") == 0
    result = json.loads((folder / "result.json").read_text())
    said = capsys.readouterr().out
    assert f"{100 * result['accuracy']:.2f} % of the test pictures" in said
    log = callbacks.rows(folder / "log.csv")
    assert [row["epoch"] for row in log] == [1, 2, 3]
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "images_per_second", "learning_rate"} <= set(log[0])
    assert all(0 <= row["data_wait"] <= 1 + 1e-6 for row in log)
    assert result["accuracy"] == pytest.approx(log[-1]["val_accuracy"])
    assert [row["learning_rate"] for row in log] == pytest.approx([0.1, 0.01, 0.01])  # of the last step of each
    confusion = np.array(result["confusion"])
    assert confusion.sum() == 32
    assert np.trace(confusion) / 32 == pytest.approx(result["accuracy"])
    with Image.open(folder / "report.png") as picture:
        assert min(picture.size) > 300
    recipe, where, backend = run.config_of(folder)
    assert (recipe.epochs, where.data, backend) == (3, "made_up", keras.backend.backend())
    # The model takes values as they are in pictures.
    test = dataset(recipe, "made_up").test
    scores = keras.models.load_model(folder / "model.keras").predict(test.images, verbose=0)
    np.testing.assert_allclose(scores.sum(-1), 1, rtol=1e-5)
    assert (scores.argmax(-1) == test.labels).mean() == pytest.approx(result["accuracy"])
    network = next(layer for layer in keras.models.load_model(folder / "model.keras").layers if isinstance(layer, keras.Model))
    logits = network.predict((test.images - np.array(recipe.data.mean)) / np.array(recipe.data.deviation), verbose=0)
    np.testing.assert_allclose(scores, np.exp(logits) / np.exp(logits).sum(-1, keepdims=True), rtol=1e-4, atol=1e-6)
    # A second one is refused, and resuming what is complete changes nothing.
    before = (folder / "log.csv").read_bytes()
    assert go(folder) == 1
    assert "exists. Go on with `resume" in capsys.readouterr().err
    assert (folder / "log.csv").read_bytes() == before


def test_a_run_says_how_long_it_waited_for_its_data(tmp_path, monkeypatch):
    read = stream.endless

    def slowly(*arguments):
        for batch in read(*arguments):
            time.sleep(0.3)  # longer than the training takes
            yield batch

    monkeypatch.setattr(stream, "endless", slowly)
    assert go(tmp_path / "run", "--set", "steps=6") == 0
    last = callbacks.rows(tmp_path / "run" / "log.csv")[-1]
    assert 0.5 < last["data_wait"] <= 1 + 1e-6


ON_EACH = [] if ON_TORCH else pytest.mark.full


@pytest.mark.parametrize(
    ("kind", "place", "said"),
    [
        ("train", 1, "Stopped behind batch 1 of epoch 2."),
        pytest.param("test", 3, "Stopped behind batch 3 of epoch 2.", marks=ON_EACH),  # with the averages in the network
        pytest.param("test", 7, "Stopped behind epoch 2.", marks=ON_EACH),  # the last batch to test on
    ],
)
def test_a_run_that_was_stopped_goes_on_to_the_same_weights(kind, place, said, tmp_path, monkeypatch, capsys):
    words = ("--set", "optimizer.average=0.8", "--set", "schedule.warm_up=0.5", "--set", "epochs=3")
    words += ("--set", "network.settings.stochastic_depth=0.5")
    assert go(tmp_path / "straight", *words) == 0

    method, number = f"on_{kind}_batch_begin", {"epoch": 0}
    begun = getattr(learning.TerminateOnNonFinite, method)

    def terminated(self, batch, logs=None):
        if self.epoch == 1 and batch == place:
            signal.raise_signal(signal.SIGTERM)
            number["tested"] = place
        if kind == "test" and self.epoch == 1 and batch > place:
            number["tested"] = batch
        begun(self, batch, logs)

    with monkeypatch.context() as patch:
        patch.setattr(learning.TerminateOnNonFinite, method, terminated)
        before = signal.getsignal(signal.SIGTERM)
        assert go(tmp_path / "stopped", *words) == 143
        assert signal.getsignal(signal.SIGTERM) is before
    assert number["tested"] == place  # and no batch behind it
    assert said in capsys.readouterr().err
    assert not (tmp_path / "stopped" / "result.json").exists()
    assert main(["resume", str(tmp_path / "stopped")]) == 0
    models = [keras.models.load_model(tmp_path / name / "model.keras") for name in ("straight", "stopped")]
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(one, other, rtol=0 if ON_TORCH else 1e-6, atol=0 if ON_TORCH else 1e-7)
    logs = [callbacks.rows(tmp_path / name / "log.csv") for name in ("straight", "stopped")]
    assert [row["epoch"] for row in logs[1]] == [1, 2, 3]
    for one, other in zip(logs[0], logs[1]):
        rest = one["epoch"] == 2 and kind == "train"  # its row is of the rest of the epoch
        for name in ("val_loss", "val_accuracy") if rest else ("loss", "val_loss", "val_accuracy"):
            assert one[name] == pytest.approx(other[name], rel=1e-5), name
    times = [json.loads((tmp_path / name / "result.json").read_text())["seconds"] for name in ("straight", "stopped")]
    assert min(times) > 0


@quick_on_torch
def test_averages_move_once_a_step_of_the_optimizer(tmp_path, monkeypatch):
    made = []

    class Seen(learning.AveragedWeights):
        def on_train_end(self, logs=None):
            made.append(self)

    monkeypatch.setattr(learning, "AveragedWeights", Seen)
    wanted = ("steps=4", "epochs=3", "optimizer.accumulate=2", "optimizer.average=0.81")
    assert go(tmp_path / "run", *(word for one in wanted for word in ("--set", one))) == 0
    [averages] = made
    assert (averages.batches, averages.updates) == (12, 6)
    assert averages.momentum**averages.every == pytest.approx(0.81)


@quick_on_torch
def test_the_time_of_a_run_is_that_of_all_its_starts(tmp_path, monkeypatch):
    assert go(tmp_path) == 1  # it exists
    folder = tmp_path / "run"
    assert go(folder) == 0
    first = json.loads((folder / "result.json").read_text())
    page = json.loads(max(folder.glob("checkpoints/step_*/checkpoint.json")).read_text())
    monkeypatch.setattr(epochs.Clock, "set_state", lambda self, state: setattr(self, "_before", state["seconds"] + 1000))
    assert main(["resume", str(folder)]) == 0
    again = json.loads((folder / "result.json").read_text())
    assert 0 < page["parts"]["clock"]["seconds"] < first["seconds"]
    assert again["seconds"] > 1000 + page["parts"]["clock"]["seconds"]
    name = keras.backend.backend()
    assert again["framework"].split()[0] == name
    assert re.match(r"\d+\.\d+", again["framework"].split()[1])
    assert "cores" in again["device"] or "NVIDIA" in again["device"]
    assert re.fullmatch(r"[0-9a-f]{7,}( with changes)?|unknown", again["commit"])


@quick_on_torch
def test_a_run_without_its_checkpoints_begins_anew_and_says_so(tmp_path, capsys):
    folder = tmp_path / "run"
    assert go(folder) == 0
    assert "begins anew" not in capsys.readouterr().err
    shutil.rmtree(folder / "checkpoints")
    assert main(["resume", str(folder)]) == 0
    assert "There is no checkpoint in" in capsys.readouterr().err


@quick_on_torch
def test_ctrl_c_that_a_library_swallows_ends_the_program_nevertheless(tmp_path, monkeypatch, capsys):
    prepared = run._prepared

    def swallowing(*arguments):
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        return prepared(*arguments)

    monkeypatch.setattr(run, "_prepared", swallowing)
    before = signal.getsignal(signal.SIGINT)
    assert go(tmp_path / "run") == 130
    assert "Stopped" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGINT) is before


def test_rows_behind_the_checkpoint_are_written_anew(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,loss,val_loss\n1,0.5,\n2,0.4,0.6\n3,0.3,0.5\n")
    assert callbacks.rows(path)[0] == {"epoch": 1, "loss": 0.5}
    assert [row["epoch"] for row in callbacks.Log(path, first=2).rows] == [1, 2]
    assert callbacks.Log(path).rows == []
    assert callbacks.rows(tmp_path / "none.csv") == []


@quick_on_torch
def test_a_loss_that_is_not_finite(tmp_path, capsys):
    assert go(tmp_path / "run", "--set", "optimizer.rate=1e18", "--set", "steps=none") == 1
    said = capsys.readouterr().err
    assert "error: The loss is" in said
    assert "of the examples" in said


@quick_on_torch
def test_a_folder_of_pictures_of_which_some_are_damaged(tmp_path, capsys):
    for number, name in enumerate(("dark", "light")):
        (tmp_path / "data" / name).mkdir(parents=True)
        for place in range(12):
            Image.new("RGB", (40, 36 + place), (200 * number + place,) * 3).save(tmp_path / "data" / name / f"{place}.jpg")
    (tmp_path / "data" / "dark" / "5.jpg").write_bytes(b"no picture")
    words = ["imagenet_resnet50", "--quick", "--data", str(tmp_path / "data"), "--set", "data.classes=2", "--out", str(tmp_path / "run")]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert f"passed over: {tmp_path / 'data' / 'dark' / '5.jpg'}" in said
    assert "Pictures that could not be read: 1." in said
    assert main([*words[:-1], str(tmp_path / "other"), "--stop-at-damaged"]) == 1
    assert "It was not to be passed over" in capsys.readouterr().err


@quick_on_torch
def test_a_network_that_learnt_each_class_by_itself_says_so(tmp_path):
    folder = tmp_path / "run"
    assert go(folder, "--set", "loss.kind=binary") == 0
    model, images = keras.models.load_model(folder / "model.keras"), dataset(run.config_of(folder)[0], "made_up").test.images
    network = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    logits = network.predict((images - 72.94) / 90.02, verbose=0)
    np.testing.assert_allclose(model.predict(images, verbose=0), 1 / (1 + np.exp(-logits)), rtol=1e-4, atol=1e-6)


@quick_on_torch
def test_mixed_precision(tmp_path):
    assert go(tmp_path / "run", "--mixed-precision", "bfloat16") == 0
    model = keras.models.load_model(tmp_path / "run" / "model.keras")
    network = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    assert network.layers[1].compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "float32"  # as it was before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fashion_resnet2O"], "Closest: fashion_resnet20"),
        (["fashion_resnet20", "--set", "epoch=2"], "Closest: epochs"),
        (["fashion_resnet20", "--quick", "--set", "batch=64"], "fewer than a batch of 64"),
        (["fashion_resnet20", "--quick", "--set", "network.name=resnet19"], "no network named 'resnet19'"),
        (["fashion_resnet20", "--quick", "--set", "loss.kind=noise"], "`loss.kind` of a classification"),
        (["fashion_resnet20", "--data", "nowhere"], "is no folder, no .npz file and no name"),
        (["segmentation_nnunet2d", "--data", "nowhere"], "folders images and masks"),
        (["resume", "nowhere"], "There is no run in 'nowhere'"),
        (["resume"], "Which run?"),
        (["resume", "nowhere", "--quick"], "resumed as it was begun"),
        (["fashion_resnet20", "nowhere"], "Only resume takes a folder"),
    ],
)
def test_mistakes(words, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_list_and_show(capsys):
    assert main(["list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(recipes.RECIPES)
    assert main(["fashion_resnet20", "--show", "--data", "digits", "--mixed-precision", "float16"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["data"]["name"], shown["precision"]) == ("digits", "float16")
