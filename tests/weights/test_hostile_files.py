"""Files made to hurt: bombs, code, names that steer a terminal. Nothing of it works, and neither the model nor the file changes."""

import contextlib
import json
import zipfile

import numpy as np
import pytest

from keras_resnet.weights import load
from keras_resnet.weights.shown import shown
from tests.weights import files, mutated_files
from tests.weights.mutated_archives import members, packed
from tests.weights.mutated_safetensors import joined, split
from tests.weights.spoilt import archive, changed, inside, refused


@pytest.mark.parametrize("seed", range(8))
def test_packed_keras_archive_with_bytes_overwritten(model, written, seed, tmp_path):
    path = archive(inside(written[".keras"]), tmp_path / "model.keras")
    content = bytearray(path.read_bytes())
    place = len(content) * (seed + 1) // 10
    content[place : place + 16] = np.random.default_rng(seed).bytes(16)
    path.write_bytes(content)
    with refused(model, path, "cannot be read", "damaged"):
        load.load_weights(model, path)


def test_keras_archive_without_weights(model, tmp_path):
    path = archive(b"{}", tmp_path / "model.keras", "config.json")
    with refused(model, path, "model.weights.h5"):
        load.load_weights(model, path)


def test_keras_archive_that_unpacks_to_too_much(model, tmp_path):
    """100 MB of zeros take 100 kB in the archive; the model needs 60 kB."""
    path = archive(b"\0" * 100_000_000, tmp_path / "model.keras")
    assert path.stat().st_size < 200_000
    with refused(model, path, "unpack to 100,000,000 bytes", "at most"):
        load.load_weights(model, path)


def test_keras_archive_that_lies_about_its_size(model, written, tmp_path):
    """The directory says that the member is small; what comes out of it is not read beyond that."""
    path = archive(b"\0" * 100_000_000, tmp_path / "model.keras")
    content = bytearray(path.read_bytes())
    for place in range(len(content) - 4):
        if content[place : place + 4] == (100_000_000).to_bytes(4, "little"):
            content[place : place + 4] = (1000).to_bytes(4, "little")
    path.write_bytes(content)
    with refused(model, path, "cannot be read"):
        load.load_weights(model, path)


def test_keras_archive_with_a_password(model, written, tmp_path):
    path = archive(inside(written[".keras"]), tmp_path / "model.keras")
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    path.write_bytes(content)
    with refused(model, path, "cannot be read"):
        load.load_weights(model, path)


def test_code_in_a_keras_file_is_not_run(model, written, tmp_path):
    """Of a `.keras` file only the numbers are read: a configuration that no Keras would open does not matter."""
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", '{"class_name": "Lambda", "config": {"function": "__import__"}}')
        file.writestr("model.weights.h5", inside(written[".keras"]))
    fresh = files.small()
    load.load_weights(fresh, path)
    assert files.same_numbers(fresh, files.small(2))


class TestText:
    """What files say stands in errors so that it fits a line and steers no terminal."""

    @pytest.mark.parametrize("key", ["\x1b[31mred\x1b[2J", "a\r\nb", "\u202eskool", "x" * 100_000, "\0", "\x7f"])
    def test_names(self, model, written, key, tmp_path):
        path = changed(".safetensors", written[".safetensors"], tmp_path / "model.safetensors", lambda t: t.update({key: np.ones(2, "f4")}))
        with refused(model, path, "1 left over", shown(key)), said() as message:
            load.load_weights(model, path)
        assert "".join(message[0].split("\n")).isprintable()
        assert len(message[0]) < 1000

    def test_shapes(self, model, written, tmp_path):
        header, data = split(written[".safetensors"])
        header["bn1.bias"]["shape"] = [8, *[1] * 60]
        path = tmp_path / "model.safetensors"
        path.write_bytes(joined(header, data))
        with refused(model, path, "bn1.bias (file (8, 1, 1"), said() as message:
            load.load_weights(model, path)
        assert len(message[0]) < 1000


@contextlib.contextmanager
def said():
    """The message of the error that the block raises, which goes on."""
    found: list[str] = []
    try:
        yield found
    except ValueError as error:
        found.append(str(error))
        raise


@pytest.mark.parametrize("second", [{}, {"dtype": "I32"}, {"shape": [5, 1]}, {"data_offsets": [0, 20]}])
def test_safetensors_with_a_name_twice(model, written, second, tmp_path):
    """safetensors itself takes one of them, and says nothing."""
    header, data = split(written[".safetensors"])
    text = json.dumps(header)
    path = tmp_path / "model.safetensors"
    path.write_bytes(joined(f'{text[:-1]}, "fc.bias": {json.dumps({**header["fc.bias"], **second})}}}', data))
    with refused(model, path, "'fc.bias' is in it twice"):
        load.load_weights(model, path)


def test_safetensors_with_a_header_of_100_mb(model, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(joined("{" + " " * 20_000_000 + "}", b""))
    with refused(model, path, "header says to have 20,000,00"):
        load.load_weights(model, path)


class TestNumPy:
    """Big Transfer's `.npz` files."""

    @pytest.fixture
    def big_transfer(self):
        return mutated_files.kind("npz")

    def test_wrong_check_sum(self, big_transfer, tmp_path):
        """It is compared at a member's end, which NumPy does not reach where a member is longer than its array."""
        path = tmp_path / "model.npz"
        parts = members(big_transfer.content)
        path.write_bytes(packed([(parts[0][0], parts[0][1] + b"more"), *parts[1:]]))
        with refused(big_transfer.model, path, "goes on behind its array"):
            load.load_weights(big_transfer.model, path)

    @pytest.mark.parametrize("header", ["{'descr': '<f4', 'fortran_order': False, 'shape': (", "__import__('os')", "-" * 9000, "\0", ""])
    def test_header_that_is_no_header(self, big_transfer, header, tmp_path):
        """NumPy's reader raises more than its own errors: tokenize's, for one."""
        path = tmp_path / "model.npz"
        parts = members(big_transfer.content)
        spoilt = b"\x93NUMPY\x01\0" + len(header).to_bytes(2, "little") + header.encode()
        path.write_bytes(packed([(parts[0][0], spoilt), *parts[1:]]))
        with refused(big_transfer.model, path, "cannot be read"):
            load.load_weights(big_transfer.model, path)
