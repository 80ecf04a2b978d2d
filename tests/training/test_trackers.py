"""What the trackers of a run are passed, and what they do where they are not installed."""

import importlib.util
import pathlib
import re
import signal
import sys
import types

import pytest

from tests.quick import quick_on_torch
from training import trackers
from training.__main__ import main

QUICK = ["fashion_resnet20", "--quick", "--set", "epochs=2"]


@quick_on_torch
def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert main([*QUICK, "--track", "tensorboard", "--out", str(tmp_path / "run")]) == 0
    found = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert {"loss/train", "loss/test", "accuracy/test", "learning_rate/train"} <= set(found.Tags()["tensors"])
    assert [one.step for one in found.Tensors("loss/train")] == [1, 2]
    log = (tmp_path / "run" / "log.csv").read_text().splitlines()
    column = log[0].split(",").index("loss")
    for one, line in zip(found.Tensors("loss/train"), log[1:], strict=True):
        assert one.tensor_proto.float_val[0] == pytest.approx(float(line.split(",")[column]), rel=1e-5)


class Wandb(types.ModuleType):
    """The three calls of the real one, which wants an account; it was tried offline by hand."""

    def __init__(self):
        super().__init__("wandb")
        self.__spec__ = importlib.util.spec_from_loader("wandb", None)
        self.runs: list[dict] = []  # what each was begun with
        self.steps: list[int] = []
        self.finished = 0
        self.logged = lambda step: None

    def init(self, **settings):
        self.runs.append(settings)
        return self

    def log(self, row, step):
        assert row["loss"] > 0
        self.steps.append(step)
        self.logged(step)

    def finish(self):
        self.finished += 1


@pytest.fixture
def wandb(monkeypatch):
    stand_in = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    return stand_in


@quick_on_torch
def test_weights_and_biases(tmp_path, wandb):
    assert main([*QUICK, "--track", "wandb", "--out", str(tmp_path / "mine")]) == 0
    assert (wandb.steps, wandb.finished) == ([1, 2], 1)
    assert main([*QUICK, "--track", "wandb", "--out", str(tmp_path / "other" / "mine")]) == 0
    first, second = wandb.runs
    assert first["name"] == second["name"] == "mine"
    assert first["id"] != second["id"]
    assert first["id"] == (tmp_path / "mine" / "wandb_id").read_text()
    assert first["config"]["epochs"] == 2


@quick_on_torch
def test_a_run_that_is_resumed_goes_on_in_its_own_curves(tmp_path, wandb):
    wandb.logged = lambda step: signal.raise_signal(signal.SIGTERM) if len(wandb.steps) == 1 else None
    assert main([*QUICK, "--track", "wandb", "--out", str(tmp_path / "run")]) == 143
    assert main(["resume", str(tmp_path / "run")]) == 0
    first, second = wandb.runs
    assert first["id"] == second["id"]
    assert second["resume"] == "allow"
    assert (wandb.steps, wandb.finished) == ([1, 2], 2)


@pytest.mark.parametrize("content", [b"", b"0123", b"\xff" * 16, b"../" * 8])
def test_a_name_of_curves_that_is_torn_is_drawn_anew(content, tmp_path, wandb):
    (tmp_path / "wandb_id").write_bytes(content)
    for _ in range(2):
        trackers.Track(tmp_path, ["wandb"], "fashion_resnet20", {}).on_train_begin()
    first, second = wandb.runs
    assert re.fullmatch("[0-9a-f]{16}", first["id"])
    assert first["id"] == second["id"] == (tmp_path / "wandb_id").read_text()


def test_a_name_of_curves_is_written_whole(tmp_path, wandb, monkeypatch):
    def torn(place, text, encoding):
        open(place, "w").close()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "write_text", torn)
    with pytest.raises(OSError, match="It could not be written"):
        trackers.Track(tmp_path, ["wandb"], "fashion_resnet20", {}).on_train_begin()
    assert list(tmp_path.iterdir()) == []


def test_a_tracker_that_is_not_there(tmp_path, monkeypatch, capsys):
    with pytest.raises(ValueError, match=r"A run is tracked by 'tensorboard' or 'wandb'. Received: 'mlflow'"):
        trackers.check(["mlflow"])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main([*QUICK, "--track", "wandb", "--out", str(tmp_path / "run")]) == 1
    assert "--track wandb needs the package wandb, which is not installed: `pip install wandb`." in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
