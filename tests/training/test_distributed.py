"""The program on two processes: the numbers of one, files of the first alone, and ends that are errors or checkpoints."""

import json
import os
import pathlib
import signal

import keras
import numpy as np
import pytest
from PIL import Image

from keras_resnet import learning
from tests.launching import Together
from training import callbacks, distributed, interrupted
from training.__main__ import main

QUICK = ["fashion_resnet20", "--quick", "--set", "network.settings.depths=1,1,1", "--set", "data.size=8", "--set", "data.test_size=8"]
QUICK += ["--set", "batch=6", "--set", "augmentation.pad=0", "--set", "augmentation.flip=false", "--set", "distribution.timeout=30"]


def ends(words, folder: pathlib.Path, code: int = 0) -> str:
    """What two processes said, which are to end so."""
    with Together("training", words, folder) as those:
        assert those.codes() == [code, code], those.said()
        return those.said()


def weights(folder: pathlib.Path) -> list[np.ndarray]:
    return keras.models.load_model(folder / "model.keras").get_weights()


def test_two_processes_are_one(tmp_path, capsys):
    words = [*QUICK, "--set", "distribution.sync_norm=true", "--set", "optimizer.average=0.8"]
    with Together("training", [*words, "--out", str(tmp_path / "two")], tmp_path / "said") as those:
        assert those.codes() == [0, 0], those.said()
        said = [(tmp_path / "said" / f"rank{rank}.txt").read_text() for rank in range(2)]
    assert "of the test pictures" in said[0]
    assert "Epoch" in said[0]
    assert "Epoch" not in said[1]
    assert "of the test pictures" not in said[1]
    assert main([*words, "--out", str(tmp_path / "one")]) == 0
    files = {name: sorted(path.name for path in (tmp_path / name).iterdir()) for name in ("one", "two")}
    assert files["one"] == files["two"]
    logs = {name: callbacks.rows(tmp_path / name / "log.csv") for name in ("one", "two")}
    for one, two in zip(logs["one"], logs["two"], strict=True):
        for key in ("loss", "accuracy", "val_loss", "val_accuracy"):
            assert one[key] == pytest.approx(two[key], abs=1e-4), key
    for one, two in zip(weights(tmp_path / "one"), weights(tmp_path / "two"), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-4)
    result = json.loads((tmp_path / "two" / "result.json").read_text())
    assert result["replicas"] == 2
    assert result["accuracy"] == pytest.approx(logs["two"][-1]["val_accuracy"])
    assert np.sum(result["confusion"]) == 32  # of which the last batch has 2


class FourOthers(learning.Replicas):
    """As if four devices were there."""

    count = 4


@pytest.mark.parametrize(("batch", "said"), [("6", "a batch of 6. Take a multiple of 4"), ("2", "a batch of 2. Take a multiple of 4")])
def test_a_batch_that_they_do_not_divide(batch, said, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(learning, "distribute", lambda *_, **__: FourOthers(None, False))
    assert main([*QUICK, "--set", f"batch={batch}", "--out", str(tmp_path / "run")]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["fsdp", "model"])
def test_what_is_refused(kind, tmp_path, capsys):
    assert main([*QUICK, "--set", f"distribution.kind={kind}", "--out", str(tmp_path / "run")]) == 1
    assert "Pass kind='data'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_an_error_that_another_process_is_the_reason_of(tmp_path):
    class Two:
        processes = 2

    for said in ("Gloo AllGather failed: Read error", "Collective ops is aborted by: Socket closed", "NCCL communicator was aborted"):
        with pytest.raises(interrupted.Lost, match="python -m training resume"), distributed.while_all_live(Two(), tmp_path):
            raise RuntimeError(said)
    with pytest.raises(interrupted.Lost, match="python -m training resume"), distributed.while_all_live(Two(), tmp_path):
        raise ValueError("UNKNOWN: Gloo AllGather failed: Read error: Connection reset by peer")
    with pytest.raises(ValueError, match="collective"), distributed.while_all_live(Two(), tmp_path):
        raise ValueError("No recipe 'collective'")
    with pytest.raises(RuntimeError, match="memory"), distributed.while_all_live(Two(), tmp_path):
        raise RuntimeError("out of memory")
    with pytest.raises(OSError, match="full"), distributed.while_all_live(Two(), tmp_path):
        raise OSError(28, "full", "/data/collective/run")
    with pytest.raises(RuntimeError, match="Gloo"), distributed.while_all_live(learning.Replicas(None, False), tmp_path):
        raise RuntimeError("Gloo")


@pytest.mark.full
@pytest.mark.parametrize("recipe", ["segmentation_nnunet2d", "diffusion_ddpm_cifar10", "imagenet_resnet50_a2"])
def test_other_tasks(recipe, tmp_path):
    words = [recipe, "--quick", "--set", "batch=2", "--set", "augmentation.repeats=1", "--out", str(tmp_path / "run")]
    ends(words, tmp_path / "said")
    assert (tmp_path / "run" / "result.json").is_file()


@pytest.mark.full
def test_what_any_process_could_not_read_is_named(tmp_path):
    for number in range(64):
        path = tmp_path / "data" / ("train", "val")[number % 2] / str(number // 2 % 2) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number % 8 < 2:  # four of each class to learn from, and of each to test on
            path.write_bytes(b"no picture")
        else:
            Image.new("RGB", (40, 36), (4 * number,) * 3).save(path)
    bad = {str(path) for path in (tmp_path / "data").rglob("*.png") if path.stat().st_size < 20}
    words = ["imagenet_resnet50", "--quick", "--data", str(tmp_path / "data"), "--set", "data.classes=2", "--set", "steps=none"]
    said = ends([*words, "--set", "batch=4", "--out", str(tmp_path / "run")], tmp_path / "said")
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert set(result["unread"]) == bad
    assert len(bad) == 16
    assert result["unopened"] == 0
    assert "Pictures that could not be read: 16." in said


@pytest.mark.full
def test_a_folder_that_exists_ends_both(tmp_path):
    assert "exists. Go on with `resume" in ends([*QUICK, "--out", str(tmp_path)], tmp_path / "said", 1)


def checkpoints(folder: pathlib.Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").glob("step_*"))


@pytest.mark.full
def test_one_that_dies_ends_the_others(tmp_path):
    folder = tmp_path / "run"
    with Together("training", [*QUICK, "--set", "epochs=300", "--out", str(folder)], tmp_path / "said") as those:
        those.wait_for(lambda: len(checkpoints(folder)) > 1)
        os.kill(those.processes[1].pid, signal.SIGKILL)
        first, second = those.codes()
        said = (tmp_path / "said" / "rank0.txt").read_text()
    assert second == -signal.SIGKILL
    assert first == 1, said
    assert said.count("error: Another") == 1
    assert said.splitlines()[-1].startswith("error: Another process of this run has ended")
    assert said.splitlines()[-1].endswith(f"python -m training resume {folder}")
    assert not (folder / "result.json").exists()
    config = json.loads((folder / "config.json").read_text())
    config["recipe"]["epochs"] = int(callbacks.rows(folder / "log.csv")[-1]["epoch"]) + 2
    (folder / "config.json").write_text(json.dumps(config))
    ends(["resume", str(folder)], tmp_path / "again")
    assert (folder / "result.json").is_file()


@pytest.mark.full
def test_both_stop_where_one_is_asked_to(tmp_path):
    words = [*QUICK, "--set", "epochs=40", "--set", "distribution.sync_norm=true", "--set", "optimizer.average=0.9"]
    folder = tmp_path / "stopped"
    with Together("training", [*words, "--out", str(folder)], tmp_path / "said") as those:
        those.wait_for(lambda: len(checkpoints(folder)) > 1)
        those.processes[1].send_signal(signal.SIGTERM)
        assert those.codes() == [143, 143], those.said()
        assert "Go on with: python -m training resume" in those.said()
    assert not (folder / "result.json").exists()
    ends(["resume", str(folder)], tmp_path / "again")
    ends([*words, "--out", str(tmp_path / "straight")], tmp_path / "third")
    for one, other in zip(weights(folder), weights(tmp_path / "straight"), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.full
def test_what_fails_on_one_ends_all(tmp_path):
    folder = tmp_path / "run"
    with Together("training", [*QUICK, "--set", "epochs=300", "--out", str(folder)], tmp_path / "said") as those:
        those.wait_for(lambda: len(checkpoints(folder)) > 1)
        (folder / "checkpoints").rename(tmp_path / "elsewhere")
        (folder / "checkpoints").write_text("no folder")
        first, second = those.codes()
        assert first == 1, those.said()
        # JAX itself aborts the others when the first process is gone.
        assert second == (-signal.SIGABRT if keras.backend.backend() == "jax" else 1), those.said()
        assert "error: " in (tmp_path / "said" / "rank0.txt").read_text()
