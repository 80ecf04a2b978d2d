"""The picture of a mask: its colours, outlines and names, and what it says beside the truth."""

import sys

import keras
import numpy as np
import pytest
from matplotlib.figure import Figure

from keras_resnet.vision.segmentation_plot import GREY, PALETTE, colour, outlines, overlaid, plot_segmentation
from tests.arrays import normal


def scene():
    mask = np.zeros((20, 30), "uint8")
    mask[2:10, 3:12], mask[8:18, 15:28], mask[:, -1] = 1, 2, 255
    return np.full((20, 30, 3), 100, "uint8"), mask


def test_a_figure_and_its_file(tmp_path):
    image, mask = scene()
    figure = plot_segmentation(image, mask, names=["nothing", "nucleus", "border"], path=tmp_path / "mask.png", title="Cells")
    assert isinstance(figure, Figure)
    assert (tmp_path / "mask.png").read_bytes().startswith(b"\x89PNG")
    assert len(figure.axes) == 2
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["nucleus", "border", "ignored"]
    assert figure.get_suptitle() == "Cells"
    shown = figure.axes[1].images[0].get_array()
    assert shown[0, 0].tolist() == pytest.approx([100 / 255] * 3)  # background is left as it is
    assert shown[2, 3].tolist() == pytest.approx(colour(1))
    assert shown[5, 29].tolist() == pytest.approx(GREY)
    assert shown[5, 7].tolist() == pytest.approx([0.6 * 100 / 255 + 0.4 * part for part in colour(1)])


def test_beside_the_truth():
    image, mask = scene()
    truth = mask.copy()
    truth[2:5, 3:12] = 0
    figure = plot_segmentation(image, mask, truth=truth, names={1: "nucleus"})
    assert [axes.get_title() for axes in figure.axes[:2]] == ["picture", "truth"]
    assert f"{100 * (1 - 27 / 580):.1f} %" in figure.axes[2].get_title()  # of those that are not ignored
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["nucleus", "2", "ignored"]
    ignored = plot_segmentation(image, mask, truth=np.full_like(mask, 255))
    assert ignored.axes[2].get_title() == "mask"


@pytest.mark.parametrize("make", [lambda x: x, lambda x: x[..., :1], lambda x: x[..., 0], lambda x: keras.ops.convert_to_tensor(x)])
@pytest.mark.parametrize(("low", "high", "dtype"), [(0, 255, "uint8"), (0, 1, "float32"), (-3, 4, "float32"), (0, 3000, "int32")])
def test_kinds_of_pictures(make, low, high, dtype):
    image = np.linspace(low, high, 20 * 30 * 3).reshape(20, 30, 3).astype(dtype)
    shown = plot_segmentation(make(image), keras.ops.convert_to_tensor(scene()[1])).axes[0].images[0].get_array()
    assert shown.shape == (20, 30, 3)
    assert 0 <= shown.min() < 0.02
    assert 0.98 < shown.max() <= 1


def test_names_that_look_like_formulas(tmp_path):
    figure = plot_segmentation(*scene(), names={1: r"$\frac$", 2: "$a_{$"}, path=tmp_path / "mask.png", title=r"$\frac$")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [r"$\frac$", "$a_{$", "ignored"]


def test_colours():
    assert len({colour(label) for label in range(1, 22)}) == 21
    assert colour(1) == colour(22)
    assert tuple(round(255 * part) for part in colour(1)) == (0xE6, 0x9F, 0x00)
    for label in (-3, 0, 254):
        assert all(0 <= part <= 1 for part in colour(label))
    # As a person with deuteranopia sees them (Machado et al. 2009, in linear light), no two of the seven are alike.
    codes = np.array([[int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)] for code in PALETTE])
    linear = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)
    seen = linear @ np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]).T
    distance = np.linalg.norm(seen[:, None] - seen[None], axis=-1) + 9 * np.eye(len(codes))
    assert distance.min() > 0.1


def test_outlines():
    mask = np.zeros((5, 6), int)
    mask[1:4, 1:4] = 1
    expected = np.zeros((5, 6), bool)
    expected[1:4, 1:4] = True
    expected[2, 2] = False
    assert np.array_equal(outlines(mask) & (mask == 1), expected)
    assert not outlines(np.ones((4, 4), int)).any()
    plain = overlaid(np.zeros((5, 6, 3), "float32"), mask, {1: (1.0, 1.0, 1.0)}, 0.5, contours=False)
    assert set(np.unique(plain)) == {0.0, 0.5}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (dict(image=normal(2, 20, 30, 3)), r"image\[0\]"),
        (dict(image=normal(20, 30, 5)), r"image\[..., :3\]"),
        (dict(image=np.zeros((20, 30), "complex64")), "complex64"),
        (dict(mask=normal(20, 30, 4)), r"mask.argmax"),
        (dict(mask=normal(20, 30)), r"mask.argmax"),
        (dict(mask=np.zeros((30, 20), int)), r"\(20, 30\).*\(30, 20\)"),
        (dict(truth=np.zeros((30, 20), int)), "`truth`"),
        (dict(names="nucleus"), "names"),
        (dict(opacity=1.5), "opacity` must be a number from 0 to 1. Received: opacity=1.5"),
        (dict(contours="thick"), "contours"),
    ],
)
def test_errors(arguments, says):
    image, mask = scene()
    with pytest.raises(ValueError, match=says):
        plot_segmentation(**dict(image=image, mask=mask) | arguments)


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="draws with matplotlib, which is not installed: pip install matplotlib"):
        plot_segmentation(*scene())
