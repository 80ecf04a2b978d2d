"""Studies in small: that they write what they say, and say what they found."""

import numpy as np
import pytest
from PIL import Image

import keras_resnet
from tests.arrays import as_numpy, normal
from tests.quick import quick_on_torch
from training.studies import degradation, gradient_norm, lesion
from training.studies.__main__ import main


@quick_on_torch
def test_degradation(tmp_path, capsys):
    found = degradation.study(tmp_path / "study", epochs=1, quick=True)
    assert list(found) == ["plain20", "plain56", "resnet20", "resnet56"]
    text = (tmp_path / "study" / "degradation.md").read_text(encoding="utf-8")
    for network, end in found.items():
        assert f"| {network} | {end['loss']:.4g} | {end['error']:.4g} |" in text
    assert degradation.said(found) in text
    with Image.open(tmp_path / "study" / "degradation.png") as picture:
        assert min(picture.size) > 300
    assert main(["degradation", "--quick", "--out", str(tmp_path / "study")]) == 1
    assert "exists. Pass another one" in capsys.readouterr().err


def test_what_is_said_of_the_order():
    def said(*losses: float) -> str:
        return degradation.said({name: {"loss": loss} for name, loss in zip(degradation.COLOURS, losses, strict=True)})

    assert said(0.2, 0.4, 0.1, 0.05) == "Plain-56 trains worse than plain-20; ResNet-56 better than both plain ones."
    assert said(0.4, 0.2, 0.1, 0.3) == "Plain-56 trains no worse than plain-20; ResNet-56 no better than both plain ones."


@quick_on_torch
def test_gradient_norms(tmp_path):
    found = gradient_norm.gradients("resnet20", "batch", seed=0, size=8, batch=4)
    assert list(found) == [f"stage{stage}_block{block}" for stage in (1, 2, 3) for block in (1, 2, 3)]
    assert np.isfinite(list(found.values())).all()
    assert min(found.values()) > 0
    norms = gradient_norm.study(tmp_path / "study", seeds=1, quick=True)
    assert [values[-1] for values in norms.values()] == [1.0] * 4
    assert (tmp_path / "study" / "gradient_norm.png").is_file()


@quick_on_torch
def test_removed_and_swapped_blocks():
    model = keras_resnet.create_model("preresnet20", input_shape=(8, 8, 3), widths=(4, 4, 4))
    images = normal(2, 8, 8, 3)
    layer, other = lesion.blocks(model)[1:3]
    before, x = as_numpy(model(images)), normal(2, 8, 8, 4)
    with lesion.removed([layer]):
        np.testing.assert_allclose(as_numpy(layer(x)), x, atol=1e-6)  # the shortcut alone
        assert np.abs(as_numpy(model(images)) - before).max() > 1e-6
    first = as_numpy(layer(x))
    with lesion.swapped(layer, other):
        np.testing.assert_array_equal(as_numpy(other(x)), first)
    np.testing.assert_array_equal(as_numpy(model(images)), before)


@quick_on_torch
def test_lesions(tmp_path):
    found = lesion.study(tmp_path / "study", epochs=1, quick=True)
    assert {"whole", "without stage1_block1", "without stage3_block1"} <= set(found)
    assert all(0 <= error <= 100 for error in found.values())
    assert (tmp_path / "study" / "lesion.png").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["degredation"], "no study 'degredation'. Closest: degradation"),
        (["degradation", "--seeds", "0"], "Seeds and epochs are 1 or more"),
    ],
)
def test_mistakes(words, said, capsys):
    assert main(words) == 1
    assert said in capsys.readouterr().err
