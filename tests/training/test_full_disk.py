"""Disks that are full or read-only, checkpoints that are torn or another model's: one clear error, and no good file lost."""

import contextlib
import json
import os
import pathlib
import subprocess

import pytest

from keras_resnet.learning import checkpoint
from training import callbacks, run
from training.__main__ import main

WORDS = ["fashion_resnet20", "--quick", "--set", "network.settings.depths=1,1,1", "--set", "batch=4", "--set", "data.size=8"]


def go(folder: pathlib.Path, *words: str) -> int:
    return main([*WORDS, "--set", "data.test_size=8", *words, "--out", str(folder)])


def mounted(place: pathlib.Path, *words: str) -> None:
    done = subprocess.run(["mount", *words, str(place)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this user may not mount: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path):
    """A disk of 4 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted(place, "-t", "tmpfs", "-o", "size=4m", "tmpfs")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def filled(place: pathlib.Path) -> None:
    with contextlib.suppress(OSError), open(place / "filler", "wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)


def files(place: pathlib.Path) -> dict[str, bytes]:
    """What is there, but for the filler."""
    return {str(path): path.read_bytes() for path in place.rglob("*") if path.is_file() and path.name != "filler"}


@pytest.mark.parametrize("name", ["config.json", "log.csv", "checkpoint", "model.keras", "result.json", "report.png"])
def test_a_disk_that_gets_full(name, disk, monkeypatch, capsys):
    there: dict[str, bytes] = {}

    def at_last(write):
        def writing(path, *rest):
            if name in (path.name, "checkpoint" if len(rest) == 3 else ""):
                there.update(files(disk))
                filled(disk)
            return write(path, *rest)

        return writing

    with monkeypatch.context() as patch:
        patch.setattr(run, "written", at_last(run.written))
        patch.setattr(callbacks, "written", at_last(callbacks.written))
        patch.setattr(checkpoint.files, "write", at_last(checkpoint.files.write))
        assert go(disk / "run") == 1
    said = capsys.readouterr().err
    assert said.count("error:") == 1
    assert "No space left on device" in said
    assert "Traceback" not in said
    assert files(disk) == there  # nothing lost, no half left
    (disk / "filler").unlink()
    if name == "config.json":
        assert list(disk.iterdir()) == []
        assert go(disk / "run") == 0
    else:
        assert main(["resume", str(disk / "run")]) == 0
    assert sorted(os.listdir(disk / "run")) == ["checkpoints", "config.json", "log.csv", "model.keras", "report.png", "result.json"]
    assert [row["epoch"] for row in callbacks.rows(disk / "run" / "log.csv")] == [1, 2]


def test_a_folder_that_is_read_only(disk, capsys):
    assert go(disk / "run") == 0
    before = files(disk)
    mounted(disk, "-o", "remount,ro")
    try:
        capsys.readouterr()
        assert main(["resume", str(disk / "run")]) == 1
        assert capsys.readouterr().err.count("Read-only file system") == 1
        assert go(disk / "other") == 1
        said = capsys.readouterr().err
        assert "cannot be made" in said
        assert "Read-only file system" in said
        assert files(disk) == before
    finally:
        mounted(disk, "-o", "remount,rw")


def test_checkpoints_that_are_torn(tmp_path, capsys):
    assert go(tmp_path / "run", "--checkpoint-every", "2") == 0
    last, first = sorted((tmp_path / "run" / "checkpoints").iterdir(), reverse=True)
    tensors = last / "state.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-9])
    with pytest.warns(UserWarning, match=f"Passed over: .*{last.name}: its state.safetensors is not what was written. Taken"):
        assert main(["resume", str(tmp_path / "run")]) == 0
    assert sorted(path.name for path in last.parent.iterdir()) == [f"damaged_{last.name}", first.name, last.name]
    (last / "checkpoint.json").write_text("[]")  # the second damage at one step
    with pytest.warns(UserWarning, match=r"Passed over: .*its checkpoint.json cannot be read \(TypeError\)"):
        assert main(["resume", str(tmp_path / "run")]) == 0
    assert sorted(path.name for path in last.parent.glob("damaged_*")) == [f"damaged_{last.name}", f"damaged_{last.name}_1"]
    for path in (first, last):
        page = path / "checkpoint.json"
        page.write_text(page.read_text().replace('"step"', '"stop"'))
    before = files(tmp_path)
    capsys.readouterr()
    assert main(["resume", str(tmp_path / "run")]) == 1
    assert "All checkpoints are damaged" in capsys.readouterr().err
    assert files(tmp_path) == before


def test_a_checkpoint_of_another_model(tmp_path, capsys):
    assert go(tmp_path / "run") == 0
    path = tmp_path / "run" / "config.json"
    config = json.loads(path.read_text())
    config["recipe"]["network"]["settings"]["depths"] = [2, 1, 1]
    path.write_text(json.dumps(config))
    before = files(tmp_path)
    capsys.readouterr()
    assert main(["resume", str(tmp_path / "run")]) == 1
    said = capsys.readouterr().err
    assert "is of another run" in said
    assert "Nothing was changed" in said
    assert files(tmp_path) == before
