"""Digits by diffusion: all of it runs and writes what it says, and its measures measure."""

import keras
import numpy as np
import pytest

from applications import diffuse_digits
from tests.quick import quick_on_torch


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("diffuse") / "new"
    return out, diffuse_digits.main(["--quick", "--out", str(out)])


@quick_on_torch
def test_files(written):
    out, score = written
    assert sorted(path.name for path in out.iterdir()) == sorted(diffuse_digits.FILES)
    assert (out / "diffuse_digits.png").read_bytes().startswith(b"\x89PNG")
    with np.load(out / "diffuse_digits.npz", allow_pickle=False) as arrays:
        assert arrays["images"].shape == (20, 8, 8, 1)
        assert arrays["labels"].tolist() == [digit for digit in range(10) for _ in range(2)]
        assert np.mean(arrays["read"] == arrays["labels"]) == score
        assert 0.1 < arrays["reader_accuracy"] <= 1
        assert arrays["losses"][0] < 1.2


@quick_on_torch
def test_the_saved_model_writes_the_same(written):
    model = keras.saving.load_model(written[0] / "diffuse_digits.keras")
    with np.load(written[0] / "diffuse_digits.npz", allow_pickle=False) as arrays:
        again = model.sample(20, steps=4, labels=arrays["labels"], guidance=2.0, seed=0, verbose=False)
        assert np.abs(again - arrays["images"]).max() < 1e-3


@pytest.mark.full
@pytest.mark.timeout(900)  # what is promised
def test_the_default_run_reads_90_percent(tmp_path):
    """Five minutes of processor time. 0.90 is asked for; 1.00 was measured on PyTorch, and 0.98 with a quarter of the epochs on JAX."""
    score = diffuse_digits.main(["--out", str(tmp_path)])
    with np.load(tmp_path / "diffuse_digits.npz", allow_pickle=False) as arrays:
        assert np.bincount(arrays["labels"]).tolist() == [100] * 10
        assert arrays["reader_accuracy"] > 0.95
        assert np.mean(arrays["read"] == arrays["labels"]) == score
    assert score >= 0.9


def test_nearest():
    known = np.zeros((2, 8, 8, 1))
    known[1] = 1
    assert diffuse_digits.nearest(known, known) == 0
    assert diffuse_digits.nearest(np.full((1, 8, 8, 1), 0.8), known) == pytest.approx(0.2)


def test_images_reach_from_minus_one_to_one():
    images, test_images, labels, test_labels = diffuse_digits.load_images()
    assert (images.min(), images.max()) == (-1, 1)
    assert (len(images), len(test_images)) == (len(labels), len(test_labels)) == (1347, 450)


@pytest.mark.parametrize("arguments", [["--epochs", "0"], ["--guidance", "-1"], ["--steps", "2000"]])
def test_wrong_arguments(arguments, tmp_path, capsys):
    """Before anything is trained."""
    with pytest.raises(SystemExit):
        diffuse_digits.main([*arguments, "--out", str(tmp_path)])
    assert arguments[0] in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
