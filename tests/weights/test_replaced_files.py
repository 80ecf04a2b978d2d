"""A file of safetensors that another takes the place of while it is read: one error, and no model of two checkpoints."""

import os
import shutil

import pytest

from keras_resnet.weights import load, read
from tests.arrays import assert_unchanged, values
from tests.weights import files


@pytest.fixture
def two(written, tmp_path):
    """A file in its place, and one that is about to take it."""
    place, other = tmp_path / "model.safetensors", tmp_path / "other.safetensors"
    place.write_bytes(written[".safetensors"])
    files.write(files.small(3), other)
    return place, other


@pytest.mark.parametrize("taking", [os.replace, shutil.copyfile])
@pytest.mark.parametrize("reads", [1, 60])
def test_replaced(model, two, taking, reads, monkeypatch):
    """Before the second tensor, and after the check of all numbers, when the first variables have been set."""
    monkeypatch.setattr(read._Mapped, "SPAN", 0)
    count, original = [0], read._Mapped.read

    def slowly(mapped, key):
        count[0] += 1
        if count[0] == reads + 1:
            taking(two[1], two[0])
        return original(mapped, key)

    monkeypatch.setattr(read._Mapped, "read", slowly)
    before = values(model)
    with pytest.raises(ValueError, match=r"model\.safetensors' was changed while it was read\. Load it again"):
        load.load_weights(model, two[0])
    assert count[0] == reads + 1
    assert_unchanged(before, model)


def test_replaced_between_header_and_map(model, two, monkeypatch):
    original = read._check_header

    def then_another(path):
        original(path)
        os.replace(two[1], path)

    monkeypatch.setattr(read, "_check_header", then_another)
    with pytest.raises(ValueError, match="was changed while it was read"):
        load.load_weights(model, two[0])


def test_left_alone(two, monkeypatch):
    """Mapped anew for every tensor, with what others do to a file that they only read."""
    monkeypatch.setattr(read._Mapped, "SPAN", 0)
    original = read._Mapped.read

    def while_others_read(mapped, key):
        two[0].read_bytes()
        return original(mapped, key)

    monkeypatch.setattr(read._Mapped, "read", while_others_read)
    load.load_weights(files.small(1), two[0])
