"""The table of networks in docs/ has a line for every row and says what it says; what it says of built networks `test_truth` checks."""

import re

import keras
import pytest

import keras_resnet
from keras_resnet.constructors import constructor_name
from keras_resnet.zoo import NETWORKS, TASKS
from tests import docs_table

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="a file is the same on every backend")


LINES = docs_table.PATH.read_text(encoding="utf-8").splitlines()


def test_the_table_has_every_row_in_order():
    assert docs_table.PATH.read_text(encoding="utf-8").startswith(docs_table.HEAD)
    assert set(docs_table.HEADINGS) == set(TASKS)
    expected = [
        (heading, builder, name)
        for task, heading in docs_table.HEADINGS.items()
        for builder, names in docs_table.families(task).items()
        for name in names
    ]
    found, heading, builder = [], "", ""
    for row in LINES:
        if row.startswith("## "):
            heading = row.removeprefix("## ")
        elif row.startswith("### "):
            builder = re.fullmatch(r"### `keras_resnet\.models\.(\w+)`", row)[1]
        elif row.startswith("| `") and heading in docs_table.HEADINGS.values():
            found.append((heading, builder, row.split("`")[1]))
    assert found == expected, "run `make docs`"


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_and_paper(name):
    row = next(row for row in LINES if row.startswith(f"| `{name}` |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert getattr(keras_resnet, cells[1].strip("`")).__name__ == constructor_name(name)
    assert cells[3] == f"{NETWORKS[name].params:,}", "run `make docs`"
    paper = docs_table.paper_of(name)
    assert re.fullmatch(r"\d{4}\.\d{4,5}", paper)
    assert cells[6] == f"[{paper}](https://arxiv.org/abs/{paper})", "run `make docs`"


def test_decoders_on_encoders():
    text = "\n".join(LINES)
    table = text[text.index(docs_table.ON_ENCODERS) + len(docs_table.ON_ENCODERS) :].splitlines()
    expected = [f'`{decoder}("{encoder}")`' for decoder in docs_table.DECODERS for encoder in docs_table.ENCODERS]
    assert [row.split("|")[1].strip() for row in table] == expected, "run `make docs`"
