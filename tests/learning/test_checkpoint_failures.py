"""Checkpoints that were torn, full disks, folders that are read-only: a clear error, and no good file lost."""

import errno
import json
import os
import pathlib
import shutil
import time

import numpy as np
import pytest

from keras_resnet.backend import replicas as known
from keras_resnet.learning import Checkpoint, checkpoint_files, restore_checkpoint, save_checkpoint
from keras_resnet.weights import whole_files
from tests.learning.made_runs import everything, model, moved
from tests.quick import quick_on_torch


def torn(path: pathlib.Path) -> None:
    file = path / checkpoint_files.TENSORS
    file.write_bytes(file.read_bytes()[:-7])


def flipped(path: pathlib.Path) -> None:
    file = path / checkpoint_files.TENSORS
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(bytes(data))


def rewritten(path: pathlib.Path) -> None:
    file = path / checkpoint_files.PAGE
    file.write_text(file.read_text().replace('"epoch": 2', '"epoch": 7'))


def emptied(path: pathlib.Path) -> None:
    (path / checkpoint_files.PAGE).write_text("")


def lost(path: pathlib.Path) -> None:
    (path / checkpoint_files.TENSORS).unlink()


@quick_on_torch
@pytest.mark.parametrize("damage", [torn, flipped, rewritten, emptied, lost])
def test_a_damaged_one_is_passed_over(tmp_path, damage):
    chain = model()
    first = save_checkpoint(tmp_path, chain, epoch=1)
    before = everything(chain)
    moved(chain)
    damage(save_checkpoint(tmp_path, chain, epoch=2).path)
    other, checkpoint = model(), Checkpoint(tmp_path)
    with pytest.warns(UserWarning, match="Passed over: .*step_000000003: its .* Taken: .*step_000000000"):
        assert checkpoint.restore(other) == 1
    for mine, theirs in zip(everything(other), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    checkpoint.set_model(moved(other))
    checkpoint.save(2)  # which counts the damaged one as none
    assert sorted(os.listdir(tmp_path)) == ["damaged_step_000000003", "step_000000000", "step_000000003"]
    damage_all = [damage(path) for path in checkpoint_files.listed(tmp_path)]
    assert len(damage_all) == 2
    assert first.path.exists()
    if damage is not rewritten:
        with pytest.raises(ValueError, match="All checkpoints are damaged"):
            restore_checkpoint(tmp_path, other)


@quick_on_torch
def test_a_disk_that_is_full(tmp_path, monkeypatch):
    chain = model()
    save_checkpoint(tmp_path, chain)
    moved(chain)

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"could not be written \(No space left on device\); those that are there"):
        save_checkpoint(tmp_path, chain)
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["step_000000000"]
    assert restore_checkpoint(tmp_path, model()).step == 0


@quick_on_torch
def test_a_folder_that_cannot_be_written_to(tmp_path):
    chain = model()
    save_checkpoint(tmp_path, chain)
    moved(chain)
    tmp_path.chmod(0o500)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip("this user may write anywhere")
        with pytest.raises(OSError, match="could not be written"):
            save_checkpoint(tmp_path, chain)
    finally:
        tmp_path.chmod(0o700)
    assert os.listdir(tmp_path) == ["step_000000000"]
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is that of a file"):
        save_checkpoint(tmp_path / "file", chain)


@quick_on_torch
def test_what_a_killed_process_left_is_swept(tmp_path):
    own = whole_files.staged(tmp_path).name
    dead = own.replace(f"-{os.getpid()}-", "-999999999-")
    elsewhere = [f".{kind}-0123456789ab-{os.getpid()}-{i}" for kind in ("writing", "removing") for i in range(2)]
    for name in (own, dead, dead.replace("writing", "removing"), ".writing-77-0a", *elsewhere):
        (tmp_path / name).mkdir()
        (tmp_path / name / "state").write_text("half")
    others = [".wiring-harness-notes", ".rendering-final-v2.blend", ".writing-on-the-wall"]
    for name in others:
        (tmp_path / name).write_text("not ours")
    days_ago = time.time() - 2 * whole_files.DAY
    for name in (own, ".writing-77-0a", elsewhere[0], elsewhere[2], *others):  # the processes of other machines are none of this one's
        for path in (tmp_path / name / "state", tmp_path / name):
            if path.exists():
                os.utime(path, (days_ago, days_ago))
    (tmp_path / elsewhere[2] / "state").write_text("more")  # its folder itself is as old as it was
    assert Checkpoint(tmp_path).restore(model()) == 0
    assert set(os.listdir(tmp_path)) == {own, elsewhere[1], elsewhere[2], elsewhere[3], *others}


def test_no_number_that_is_not_finite_is_saved(tmp_path):
    chain = model()
    save_checkpoint(tmp_path, chain)
    chain.layers[0].kernel.assign(np.full((6, 8), np.nan, "float32"))
    with pytest.raises(ValueError, match=r"Not saved: 1 variables hold numbers that are not finite, such as .*kernel"):
        save_checkpoint(tmp_path, chain)
    assert os.listdir(tmp_path) == ["step_000000000"]


@quick_on_torch
def test_a_page_of_another_version(tmp_path):
    path = save_checkpoint(tmp_path, model()).path
    page = json.loads((path / checkpoint_files.PAGE).read_text())
    page.pop("digest")
    page["format"] = 2
    page["digest"] = checkpoint_files._digest(page)
    (path / checkpoint_files.PAGE).write_text(json.dumps(page))
    with pytest.raises(ValueError, match="is of the format 2, and this version reads 1"):
        restore_checkpoint(tmp_path, model())
    shutil.rmtree(path)
    assert restore_checkpoint(tmp_path, model()) is None


class Engine:
    """The second of two processes, of which the first restored `restored`; `failed` says whether that one could not."""

    processes, rank = 2, 1

    def __init__(self, restored: str, failed: bool = False):
        self.restored, self.failed = np.frombuffer(restored.encode(), "uint8"), failed

    def summed(self, array: np.ndarray) -> np.ndarray:
        array = array.copy()
        if array.ndim == 2:  # what is said
            array[0, : len(self.restored)] = self.restored
        else:  # how long that is, of both; else whether one failed
            array[0] += len(self.restored) if len(array) == 2 else self.failed
        return array


@pytest.fixture
def together():
    yield lambda *settings: known.train_as(known.Replicas(2, False, Engine(*settings)))
    known.train_as(known.Replicas())


@quick_on_torch
def test_all_processes_take_the_checkpoint_of_the_first(tmp_path, together):
    chain = model()
    paths = [save_checkpoint(tmp_path, moved(chain)).path for _ in range(2)]
    for path in paths:  # the first one's last may be torn, and this one's not
        together(path.name)
        other = Checkpoint(tmp_path, write=False)
        other.restore(model())
        assert other.last.path == path
    together("")
    other.restore(model())
    assert other.last is None
    together("step_000000009")
    with pytest.raises(ValueError, match=r"step_000000009 is not here, which the first process restored"):
        other.restore(model())
    together(paths[0].name, True)
    with pytest.raises(ValueError, match="Another process of this run could not do its part"):
        other.restore(model())
    Checkpoint(tmp_path, write=False).put_back(model())  # asks nobody
