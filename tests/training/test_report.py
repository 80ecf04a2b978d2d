"""The picture at the end of a run, of classes with any names."""

import pytest
from PIL import Image

from tests.quick import quick_on_torch
from training import machine, report
from training.recipes import recipe

LOG = [{"epoch": 1, "loss": 2.0, "accuracy": 0.5, "images_per_second": 100.0}]


@quick_on_torch
@pytest.mark.parametrize("name", [r"$\frac$", "$a_{$", "two\nlines", "\u732b", "long " * 50, ""])
def test_names_of_classes(name, tmp_path):
    found = {"accuracy": 0.5, "confusion": [[1, 0], [1, 0]], "classes": [name, "other"], "replicas": 1, "seconds": 61.0, **machine.facts()}
    report.draw(tmp_path / "report.png", recipe("fashion_resnet20"), LOG, found)
    with Image.open(tmp_path / "report.png") as picture:
        assert picture.size == (2200, 495)
