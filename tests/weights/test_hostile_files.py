"""Files made to hurt: links out of them, bombs, code. Nothing of it works, and neither the model nor the file changes."""

import contextlib
import json
import zipfile
import zlib

import h5py
import numpy as np
import pytest

from keras_resnet.weights import load
from keras_resnet.weights.shown import shown
from tests.arrays import values
from tests.weights import files, mutated_files
from tests.weights.mutated_archives import members, packed
from tests.weights.mutated_safetensors import joined, split
from tests.weights.spoilt import archive, changed, edited_h5, inside, keys_of, refused, replace


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
class TestHostileHDF5:
    """Numbers come from the file itself, and no file makes the reader take more memory than the model needs."""

    @pytest.fixture
    def key(self, model):
        return list(keys_of(".weights.h5", model))[-1]

    @pytest.fixture
    def shape(self, model):
        return list(keys_of(".weights.h5", model).values())[-1]

    def test_external_link(self, model, written, suffix, key, shape, tmp_path):
        with h5py.File(tmp_path / "secret.h5", "w") as file:
            file["numbers"] = np.ones(shape, "f4")

        def edit(file: h5py.File) -> None:
            del file[key]
            file[key] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "numbers")

        path = edited_h5(written[suffix], suffix, tmp_path / f"model{suffix}", edit)
        with refused(model, path, key, "links are not followed"):
            load.load_weights(model, path)

    def test_soft_link(self, model, written, suffix, key, tmp_path):
        def edit(file: h5py.File) -> None:
            file.move(key, "hidden")
            file[key] = h5py.SoftLink("/hidden")

        path = edited_h5(written[suffix], suffix, tmp_path / f"model{suffix}", edit)
        with refused(model, path, "links are not followed"):
            load.load_weights(model, path)

    @pytest.mark.parametrize("place", ["layers", "layers/conv", "another"])
    def test_second_name(self, model, written, suffix, key, place, tmp_path):
        """A group that holds itself would never end; one number under two names is not used once."""

        def edit(file: h5py.File) -> None:
            file[f"{place}/again"] = file["layers"] if place == "layers" else file[key]

        path = edited_h5(written[suffix], suffix, tmp_path / f"model{suffix}", edit)
        with refused(model, path, "second name"):
            load.load_weights(model, path)

    def test_deep_groups(self, model, written, suffix, tmp_path):
        path = edited_h5(written[suffix], suffix, tmp_path / f"model{suffix}", lambda file: file.create_group("/".join("a" * 2000)))
        with refused(model, path, "nested too deeply"):
            load.load_weights(model, path)

    def test_external_dataset(self, model, written, suffix, key, shape, tmp_path):
        (tmp_path / "secret").write_bytes(np.ones(shape, "f4").tobytes())

        def edit(file: h5py.File) -> None:
            del file[key]
            size = 4 * int(np.prod(shape))
            file.create_dataset(key, shape, "f4", external=[(str(tmp_path / "secret"), 0, size)])

        path = edited_h5(written[suffix], suffix, tmp_path / f"model{suffix}", edit)
        with refused(model, path, key, "another file"):
            load.load_weights(model, path)

    def test_virtual_dataset(self, model, written, suffix, key, shape, tmp_path):
        with h5py.File(tmp_path / "secret.h5", "w") as file:
            file["numbers"] = np.ones(shape, "f4")

        def edit(file: h5py.File) -> None:
            del file[key]
            layout = h5py.VirtualLayout(shape, "f4")
            layout[...] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "numbers", shape)
            file.create_virtual_dataset(key, layout)

        path = edited_h5(written[suffix], suffix, tmp_path / f"model{suffix}", edit)
        with refused(model, path, key, "another file"):
            load.load_weights(model, path)

    @pytest.mark.parametrize("kind", ["strings", "bytes", "compound", "references", "opaque"])
    def test_no_numbers(self, model, written, suffix, key, shape, kind, tmp_path):
        def edit(file: h5py.File) -> None:
            del file[key]
            if kind == "references":
                file.create_dataset(key, shape, h5py.ref_dtype)
                return
            types = {"strings": h5py.string_dtype(), "bytes": "S4", "compound": [("a", "f4"), ("b", "i4")], "opaque": "V4"}
            file.create_dataset(key, shape, types[kind])

        path = edited_h5(written[suffix], suffix, tmp_path / f"model{suffix}", edit)
        with refused(model, path, key, "not numbers"):
            load.load_weights(model, path)

    @pytest.mark.parametrize("place", ["expected", "left over", "optimizer/vars/0"])
    def test_shape_bomb(self, model, written, suffix, key, place, tmp_path):
        """A dataset of 4 TB that takes no byte in the file, in place of a weight or beside them."""

        def edit(file: h5py.File) -> None:
            name = place
            if place == "expected":
                del file[key]
                name = key
            file.create_dataset(name, (2**20, 2**20), "f4", chunks=(1024, 1024), compression="gzip")

        path = edited_h5(written[suffix], suffix, tmp_path / f"model{suffix}", edit)
        if place == "optimizer/vars/0":
            before = values(model)
            load.load_weights(model, path)
            for variable, value in zip(model.variables, before.values(), strict=True):
                variable.assign(value)
        else:
            with refused(model, path, "another shape" if place == "expected" else "left over"):
                load.load_weights(model, path)

    def test_chunk_bomb(self, model, written, suffix, key, shape, tmp_path):
        """Of the shape that is expected, but kept in one chunk of 1 GB that unpacks from nothing."""

        def edit(file: h5py.File) -> None:
            del file[key]
            file.create_dataset(key, shape, "f4", maxshape=(None,) * len(shape), chunks=(2**28, *shape[1:]), compression="gzip")

        path = edited_h5(written[suffix], suffix, tmp_path / f"model{suffix}", edit)
        with refused(model, path, key, "chunks"):
            load.load_weights(model, path)

    def test_packed_bomb(self, model, written, suffix, key, shape, tmp_path):
        """Of the right shape and chunk, but the chunk unpacks to 10 MB."""

        def edit(file: h5py.File) -> None:
            del file[key]
            dataset = file.create_dataset(key, shape, "f4", chunks=shape, compression="gzip")
            dataset.id.write_direct_chunk((0,) * len(shape), zlib.compress(b"\0" * 10_000_000))

        path = edited_h5(written[suffix], suffix, tmp_path / f"model{suffix}", edit)
        with refused(model, path, key, "unpacks to more"):
            load.load_weights(model, path)

    @pytest.mark.parametrize("filters", ["deflate twice", "shuffle behind", "checksum before"])
    def test_packed_in_another_order(self, model, written, suffix, key, shape, filters, tmp_path):
        """There a chunk's size does not bound what deflate gives."""

        def edit(file: h5py.File) -> None:
            del file[key]
            settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            settings.set_chunk(shape)
            first, second = {
                "deflate twice": (lambda: settings.set_deflate(4), lambda: settings.set_deflate(4)),
                "shuffle behind": (lambda: settings.set_deflate(4), settings.set_shuffle),
                "checksum before": (settings.set_fletcher32, lambda: settings.set_deflate(4)),
            }[filters]
            first()
            second()
            group, name = key.rsplit("/", 1)
            h5py.h5d.create(file[group].id, name.encode(), h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple(shape), settings)

        path = edited_h5(written[suffix], suffix, tmp_path / f"model{suffix}", edit)
        with refused(model, path, key, "gzip alone"):
            load.load_weights(model, path)

    def test_compressed_is_no_crime(self, written, suffix, tmp_path):
        """`h5repack` makes such files: packed where that is smaller, as it is where not."""

        def edit(file: h5py.File) -> None:
            found: dict[str, np.ndarray] = {}
            file.visititems(lambda key, item: found.update({key: item[()]}) if isinstance(item, h5py.Dataset) and item.shape else None)
            for key, value in found.items():
                replace(key, value, compression="gzip", shuffle=len(key) % 2 == 0, fletcher32=len(key) % 3 == 0)(file)

        path = edited_h5(written[suffix], suffix, tmp_path / f"model{suffix}", edit)
        fresh = files.small()
        load.load_weights(fresh, path)
        assert files.same_numbers(fresh, files.small(2))

    def test_other_compression(self, model, written, suffix, key, shape, tmp_path):
        path = edited_h5(written[suffix], suffix, tmp_path / f"model{suffix}", replace(key, np.zeros(shape, "f4"), compression="lzf"))
        with refused(model, path, key, "gzip"):
            load.load_weights(model, path)

    def test_no_value_at_all(self, written, suffix, tmp_path):
        """HDF5's null dataspace in place of a scalar."""
        scaled = files.small(residual_scale="learned")
        content = files.write(scaled, tmp_path / f"scaled{suffix}").read_bytes()
        key = next(key for key, size in keys_of(suffix, scaled).items() if size == ())
        path = edited_h5(content, suffix, tmp_path / f"model{suffix}", replace(key, h5py.Empty("f4")))
        with refused(scaled, path, key, "of another shape"):
            load.load_weights(scaled, path)

    def test_group_in_place_of_numbers(self, model, written, suffix, key, tmp_path):
        def edit(file: h5py.File) -> None:
            del file[key]
            file.create_group(key)

        path = edited_h5(written[suffix], suffix, tmp_path / f"model{suffix}", edit)
        with refused(model, path, "1 missing", key):
            load.load_weights(model, path)

    def test_named_type_in_place_of_numbers(self, model, written, suffix, key, tmp_path):
        def edit(file: h5py.File) -> None:
            del file[key]
            file[key] = np.dtype("f4")

        path = edited_h5(written[suffix], suffix, tmp_path / f"model{suffix}", edit)
        with refused(model, path, key):
            load.load_weights(model, path)


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
