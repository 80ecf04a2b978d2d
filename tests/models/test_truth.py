"""Every row of the zoo, built once: its parameters, multiply-adds and activations are those published, and its line in docs/ is true.

`zoo_truth.csv` holds what others publish: timm's tables (multiply-adds with norms, in G to two digits, and activations in M), torchvision's
(multiply-adds without norms), keras.applications' networks (parameters), and for small images the papers' networks, counted by hand.
"""

import csv
import pathlib

import keras
import pytest

import keras_resnet
from keras_resnet.zoo import NETWORKS, ZOO
from tests import docs_table

with pathlib.Path(__file__).with_name("zoo_truth.csv").open(encoding="utf-8", newline="") as file:
    TRUTH = list(csv.DictReader(file))
DOCS = set(docs_table.PATH.read_text(encoding="utf-8").splitlines())

# A count does not depend on the backend. PyTorch counts for all: it alone has variables without memory, so that a network of 900 M
# parameters is built in a second.
torch_counts = pytest.mark.skipif(keras.backend.backend() != "torch", reason="PyTorch counts for all")


@torch_counts
@pytest.mark.parametrize("name", keras_resnet.list_models(task="classification"))
def test_row(name):
    with docs_table.without_values():
        model = keras_resnet.create_model(name)
    own = keras_resnet.profile(model)
    assert own.params == ZOO[name].params
    assert all(layer.counted for layer in own.layers)
    assert docs_table.line(name, own) in DOCS, "run `make docs`"
    for published in (row for row in TRUTH if row["model"] == name):
        size, source = int(published["size"]), published["source"]
        found = keras_resnet.profile(model, (size, size, 3))
        macs = found.macs_with_norms if source == "timm" else found.macs
        assert found.params == int(published["params"])
        if published["gmacs"]:
            assert (source, size, printed(macs / 1e9, published["gmacs"])) == (source, size, published["gmacs"])
        if published["macts"]:
            assert (source, size, printed(found.activations / 1e6, published["macts"])) == (source, size, published["macts"])


# In thousand millions, as Peebles and Xie 2022 count them, arXiv:2212.09748, section 5.1.
PUBLISHED = {"adm_256": 1120, "adm_512": 1983}


@torch_counts
@pytest.mark.parametrize("name", [*keras_resnet.list_models(task="segmentation"), *keras_resnet.list_models(task="diffusion")])
def test_row_of_another_task(name):
    own = docs_table.counted(name)
    assert own.params == NETWORKS[name].params
    assert all(layer.counted for layer in own.layers)
    assert docs_table.line(name, own) in DOCS, "run `make docs`"
    if name in PUBLISHED:
        assert own.macs / 1e9 == pytest.approx(PUBLISHED[name], rel=5e-4)


@torch_counts
@pytest.mark.parametrize("decoder", docs_table.DECODERS)
@pytest.mark.parametrize("encoder", docs_table.ENCODERS)
def test_decoder_on_an_encoder(decoder, encoder):
    assert docs_table.line_on_encoder(decoder, encoder) in DOCS, "run `make docs`"


def printed(number: float, like: str) -> str:
    """The number with as many digits behind the point as the published one."""
    return f"{number:.{len(like.partition('.')[2])}f}"


def test_enough_is_published():
    """The table stands beside the rows, not instead of them: most have a count by others, and 40 have multiply-adds."""
    assert len({row["model"] for row in TRUTH if row["gmacs"] and row["model"] in ZOO}) >= 40
    assert {row["source"] for row in TRUTH} == {"timm", "torchvision", "keras.applications", "arXiv:1512.03385", "arXiv:1603.05027"}
