"""HDF5 files made to hurt: numbers come from the file itself, and none makes the reader take more memory than the model needs."""

import zlib

import h5py
import numpy as np
import pytest

from keras_resnet.weights import load
from tests.arrays import values
from tests.weights import files
from tests.weights.spoilt import edited_h5, keys_of, refused, replace


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
class TestHostileHDF5:
    """As it is, and in a `.keras` archive."""

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
