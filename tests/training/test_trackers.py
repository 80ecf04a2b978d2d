"""What the trackers of a run are passed, and what they do where they are not installed."""

import importlib.util
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


@quick_on_torch
def test_weights_and_biases(tmp_path, monkeypatch):
    """With a stand-in that has the three calls of the real one, which wants an account; it was tried offline by hand."""
    seen: dict = {"rows": []}

    class Run:
        def log(self, row, step):
            seen["rows"].append((step, row["loss"]))

        def finish(self):
            seen["finished"] = True

    stand_in = types.ModuleType("wandb")
    stand_in.init = lambda **settings: seen.update(settings) or Run()
    stand_in.__spec__ = importlib.util.spec_from_loader("wandb", None)
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    assert main([*QUICK, "--track", "wandb", "--out", str(tmp_path / "mine")]) == 0
    assert [step for step, _ in seen["rows"]] == [1, 2]
    assert seen["finished"]
    assert seen["name"] == "mine"
    assert seen["id"] == (tmp_path / "mine" / "wandb_id").read_text()
    assert main([*QUICK, "--track", "wandb", "--out", str(tmp_path / "other" / "mine")]) == 0
    assert seen["id"] != (tmp_path / "mine" / "wandb_id").read_text()  # of equal names
    assert seen["config"]["epochs"] == 2


def test_a_tracker_that_is_not_there(tmp_path, monkeypatch, capsys):
    with pytest.raises(ValueError, match=r"A run is tracked by 'tensorboard' or 'wandb'. Received: 'mlflow'"):
        trackers.check(["mlflow"])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main([*QUICK, "--track", "wandb", "--out", str(tmp_path / "run")]) == 1
    assert "--track wandb needs the package wandb, which is not installed: `pip install wandb`." in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
