"""The main job: it learns, writes what it promises, and its file is checked under any backend; each slip gets one clear error."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_resnet
from applications import digits

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """What one seed and one epoch leave in a folder that did not exist, and the accuracy."""
    out = tmp_path_factory.mktemp("digits") / "new" / "folder"
    accuracy = digits.main(["--epochs", "1", "--seeds", "1", "--out", str(out)])
    return out, accuracy


@pytest.fixture
def copied(written, tmp_path):
    """The files, to be spoilt."""
    for name in digits.FILES:
        shutil.copy(written[0] / name, tmp_path / name)
    return tmp_path


def test_files_are_written_and_nothing_else(written):
    out, accuracy = written
    assert sorted(path.name for path in out.iterdir()) == sorted(digits.FILES)
    assert (out / "digits.png").read_bytes().startswith(b"\x89PNG")
    with np.load(out / "digits.npz", allow_pickle=False) as arrays:
        assert arrays["images"].shape == (450, 8, 8, 1)
        read = arrays["probabilities"].argmax(axis=1)
        np.testing.assert_allclose(arrays["probabilities"].sum(axis=1), 1, atol=1e-5)
        assert np.mean(read == arrays["labels"]) == pytest.approx(accuracy, abs=1e-6)


def test_split_is_fixed_and_stratified():
    images, test_images, labels, test_labels = digits.load_split()
    assert images.shape == (1347, 8, 8, 1)
    assert test_images.shape == (450, 8, 8, 1)
    assert images.min() == 0
    assert images.max() == 1
    share = np.bincount(test_labels) / np.bincount(np.concatenate([labels, test_labels]))
    np.testing.assert_allclose(share, 0.25, atol=0.01)
    for first, second in zip(digits.load_split(), (images, test_images, labels, test_labels)):
        np.testing.assert_array_equal(first, second)


def test_shift_moves_whole_images_by_up_to_a_pixel():
    image = np.arange(1, 65, dtype="float32").reshape(8, 8)
    padded = np.pad(image, 1)
    allowed = {padded[i : i + 8, j : j + 8].tobytes() for i in range(3) for j in range(3)}
    shifted = digits.shift(np.tile(image[None, :, :, None], (200, 1, 1, 1)), np.random.default_rng(0))
    assert shifted.shape == (200, 8, 8, 1)
    assert {one.tobytes() for one in shifted} == allowed


def test_an_epoch_sees_each_image_at_most_once():
    images = np.zeros((150, 8, 8, 1), "float32")
    batches = digits.training_batches(images, np.arange(150), np.random.default_rng(0))
    seen = np.concatenate([next(batches)[1] for _ in range(150 // digits.BATCH)])
    assert len(seen) == len(set(seen)) == 128
    assert list(seen) != sorted(seen)


def test_check_agrees_on_the_same_backend(written, capsys):
    assert digits.main(["--check", str(written[0] / "digits.keras")]) < 1e-4
    assert "largest difference" in capsys.readouterr().out


def test_check_fails_where_probabilities_differ(copied, capsys):
    with np.load(copied / "digits.npz") as arrays:
        changed = dict(arrays)
    changed["probabilities"][3, 4] += 2e-4
    np.savez(copied / "digits.npz", **changed)
    with pytest.raises(SystemExit, match="more than 1e-04"):
        digits.main(["--check", str(copied / "digits.keras")])
    assert "2.0e-04" in capsys.readouterr().out
    changed["probabilities"][3, 4] = np.nan
    np.savez(copied / "digits.npz", **changed)
    with pytest.raises(SystemExit, match="more than 1e-04"):
        digits.main(["--check", str(copied / "digits.keras")])


@pytest.mark.parametrize("name", ["digits.keras", "digits.npz"])
@pytest.mark.parametrize("spoil", ["truncate", "overwrite", "empty"])
def test_check_names_a_damaged_file(copied, name, spoil):
    path = copied / name
    whole = path.read_bytes()
    path.write_bytes({"truncate": whole[: len(whole) // 2], "overwrite": b"not an archive", "empty": b""}[spoil])
    with pytest.raises(SystemExit, match=f"error: .*{re.escape(name)}.* is damaged") as caught:
        digits.main(["--check", str(copied / "digits.keras")])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["digits.keras", "digits.npz"])
def test_check_names_a_missing_file(copied, name):
    (copied / name).unlink()
    with pytest.raises(SystemExit, match=f"error: there is no file .*{re.escape(name)}"):
        digits.main(["--check", str(copied / "digits.keras")])


def test_check_takes_only_keras_files(copied):
    with pytest.raises(SystemExit, match=r"takes the \.keras file"):
        digits.main(["--check", str(copied / "digits.png")])


@pytest.mark.parametrize("option", ["--epochs", "--seeds"])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "many"])
def test_counts_are_checked_before_training(option, value, tmp_path, capsys):
    with pytest.raises(SystemExit):
        digits.main([f"{option}={value}", "--out", str(tmp_path / "out")])
    error = capsys.readouterr().err
    assert f"argument {option}: must be a whole number of at least 1. Received: {value!r}" in error
    assert not (tmp_path / "out").exists()


def test_out_is_checked_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(digits, "train", lambda *_: pytest.fail("trained before the folder was checked"))
    (tmp_path / "file").touch()
    for out in ("file", "file/below"):
        with pytest.raises(SystemExit, match=r"error: --out .* cannot be used as a folder"):
            digits.main(["--out", str(tmp_path / out)])
    (tmp_path / "digits.png").mkdir()
    with pytest.raises(SystemExit, match=r"digits\.png' is a folder"):
        digits.main(["--out", str(tmp_path)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits.png", "file"]


def test_a_run_that_fails_leaves_older_files_as_they_were(copied, monkeypatch):
    before = {name: (copied / name).read_bytes() for name in digits.FILES}

    def fail(*_):
        raise RuntimeError("interrupted")

    untrained = keras_resnet.ResNet20(input_shape=(8, 8, 1))
    monkeypatch.setattr(digits, "train", lambda seed, epochs: (untrained, {"accuracy": [0.1], "val_accuracy": [0.1]}))
    monkeypatch.setattr(digits, "draw", fail)
    with pytest.raises(RuntimeError, match="interrupted"):
        digits.main(["--epochs", "1", "--seeds", "1", "--out", str(copied)])
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == before


@pytest.mark.full
def test_mean_of_three_seeds_reaches_98_5_percent(tmp_path):
    # As a user runs it, in a process of its own, on this process's backend.
    command = [sys.executable, "-m", "applications.digits", "--out", str(tmp_path)]
    environment = {**os.environ, "KERAS_BACKEND": keras.backend.backend()}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    accuracies = [float(found) for found in re.findall(r"seed \d: test accuracy ([\d.]+) %", result.stdout)]
    assert len(accuracies) == 3
    assert np.mean(accuracies) >= 98.5
