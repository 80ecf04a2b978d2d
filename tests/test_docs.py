"""The table of networks in docs/ has a line for every row and says what it says; what it says of built networks `test_truth` checks."""

import re

import keras
import pytest

from keras_resnet.zoo import ZOO
from tests import docs_table

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="a file is the same on every backend")


def test_the_table_has_every_row_in_order():
    text = docs_table.PATH.read_text()
    assert text.startswith(docs_table.HEAD)
    expected = [(builder, name) for builder, names in docs_table.families().items() for name in names]
    found, builder = [], ""
    for row in text.splitlines():
        if row.startswith("## "):
            builder = re.fullmatch(r"## `keras_resnet\.models\.(\w+)`", row)[1]
        elif row.startswith("| `"):
            found.append((builder, row.split("`")[1]))
    assert found == expected, "run `make docs`"


@pytest.mark.parametrize("name", ZOO)
def test_parameters_and_paper(name):
    row = next(row for row in docs_table.PATH.read_text().splitlines() if row.startswith(f"| `{name}` |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[2] == f"{ZOO[name].params:,}", "run `make docs`"
    paper = docs_table.paper_of(name)
    assert re.fullmatch(r"\d{4}\.\d{4,5}", paper)
    assert cells[5] == f"[{paper}](https://arxiv.org/abs/{paper})", "run `make docs`"
