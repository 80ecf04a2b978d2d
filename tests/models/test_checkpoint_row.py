"""Whose weights a network has, through clones and files; and files in which that is spoilt."""

import copy
import dataclasses
import json
import zipfile

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet.models.checkpoint_row import FIELDS
from keras_resnet.weights import catalogue
from tests.arrays import as_numpy, normal
from tests.check_layer import run

ROW = dataclasses.asdict(catalogue.find("resnet18", "fb_swsl_ig1b_ft_in1k"))


def network(checkpoint: dict | None = ROW) -> keras.Model:
    model = keras_resnet.models.resnet((1,), (8,), block="basic", stem_width=8, input_shape=(32, 32, 3), classes=3, name="small")
    model.checkpoint = checkpoint
    return model


def spoil(path, change) -> None:
    """Changes the row in the configuration of a `.keras` file."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    config["config"]["checkpoint"] = change(config["config"]["checkpoint"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**members, "config.json": json.dumps(config).encode()}.items():
            archive.writestr(name, content)


def test_copies_and_files_keep_it(tmp_path):
    model = network()
    model.save(tmp_path / "model.keras")
    for other in (model, copy.deepcopy(model), keras.saving.load_model(tmp_path / "model.keras")):
        assert other.checkpoint == ROW
        assert (other.name, type(other)) == ("small", type(model))
        assert keras_resnet.preprocessing(other).mean == ROW["mean"]


def test_what_starts_from_random_numbers_has_none():
    model = network()
    assert keras.models.clone_model(model).checkpoint is None
    model.checkpoint = None
    for other in (model, network(None)):
        assert other.checkpoint is None
        assert "checkpoint" not in other.get_config()


def test_it_changes_no_number():
    images, model, plain = normal(2, 32, 32, 3), network(), network(None)
    plain.set_weights([as_numpy(variable) for variable in model.weights])
    assert (as_numpy(run(model, images)) == as_numpy(run(plain, images))).all()
    assert np.allclose(model.predict(images, verbose=0), as_numpy(plain(images)), atol=1e-6)


@pytest.mark.parametrize("field", FIELDS)
def test_a_file_that_lacks_a_field(field, tmp_path):
    network().save(tmp_path / "model.keras")
    spoil(tmp_path / "model.keras", lambda row: {name: value for name, value in row.items() if name != field})
    with pytest.raises(ValueError, match=f"`checkpoint` lacks the field '{field}'"):
        keras.saving.load_model(tmp_path / "model.keras")


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [None, True, {}, [1, 2, "3"], [0.5, 0.5, float("nan")], "", -1, float("inf")])
def test_a_field_of_another_type(field, value):
    if isinstance(value, str) and field in ("crop_mode", "interpolation", "mode"):
        value = 0
    if field in ("crop", "test_crop") and value == -1:
        value = "1"  # what numbers are allowed, `Preprocessing` says
    with pytest.raises(ValueError, match=f"`checkpoint` must hold .* as '{field}'"):
        network({**ROW, field: value})


@pytest.mark.parametrize("row", [[], "resnet18", 5, [["crop", 1]]])
def test_no_row(row, tmp_path):
    network().save(tmp_path / "model.keras")
    spoil(tmp_path / "model.keras", lambda _: row)
    with pytest.raises(ValueError, match="row of the catalogue"):
        keras.saving.load_model(tmp_path / "model.keras")
