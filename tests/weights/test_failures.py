"""What does not fit or is damaged is refused in one clear error, and neither the model nor the file changes by a bit."""

import contextlib
import io
import pathlib
import zipfile
from collections.abc import Callable, Iterator

import h5py
import numpy as np
import pytest
import safetensors.numpy

import keras_resnet
from keras_resnet.weights import load
from tests.arrays import assert_unchanged, values
from tests.weights import files

SUFFIXES = (".safetensors", ".weights.h5", ".keras")


@pytest.fixture(scope="module")
def model():
    """One model for all tests: none of them may change it."""
    return files.small(1)


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict[str, bytes]:
    """What a file of each format holds, made from a model with other numbers."""
    folder, other = tmp_path_factory.mktemp("written"), files.small(2)
    return {suffix: files.write(other, folder / f"model{suffix}").read_bytes() for suffix in SUFFIXES}


@contextlib.contextmanager
def refused(model, path, *expected: str, error: type[Exception] = ValueError) -> Iterator[None]:
    """The load in the block fails with a message that names the file and each of `expected`; nothing changes."""
    before = values(model)
    content = path.read_bytes() if path.is_file() else None
    with pytest.raises(error) as raised:
        yield
    message = str(raised.value)
    for part in (str(path), *expected):
        assert part in message, f"{part!r} is not in: {message}"
    assert_unchanged(before, model)
    assert (path.read_bytes() if path.is_file() else None) == content
    print(message)  # shown by -s


def inside(content: bytes) -> bytes:
    """The HDF5 file in a `.keras` archive."""
    return zipfile.ZipFile(io.BytesIO(content)).read("model.weights.h5")


def archive(content: bytes, path: pathlib.Path, member: str = "model.weights.h5") -> pathlib.Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(member, content)
    return path


def edited_h5(content: bytes, suffix: str, path: pathlib.Path, edit: Callable[[h5py.File], object]) -> pathlib.Path:
    """A file of `suffix` at `path` with the HDF5 file edited."""
    buffer = io.BytesIO(inside(content) if suffix == ".keras" else content)
    with h5py.File(buffer, "r+") as file:
        edit(file)
    if suffix == ".keras":
        return archive(buffer.getvalue(), path)
    path.write_bytes(buffer.getvalue())
    return path


def replace(key: str, value: object, **settings) -> Callable[[h5py.File], object]:
    def edit(file: h5py.File) -> None:
        del file[key]
        file.create_dataset(key, data=value, **settings)

    return edit


def keys_of(suffix: str, model) -> dict[str, tuple]:
    if suffix == ".safetensors":
        return {key: value.shape for key, value in files.state_dict(model).items() if "num_batches" not in key}
    return {key: tuple(variable.shape) for key, variable in load.h5_variables(model).items()}


def changed(suffix: str, content: bytes, path: pathlib.Path, change: Callable[[dict[str, np.ndarray]], object]) -> pathlib.Path:
    """A file at `path` whose tensors, by key, were changed."""
    if suffix == ".safetensors":
        tensors = safetensors.numpy.load(content)
        change(tensors)
        safetensors.numpy.save_file(tensors, path)
        return path

    def edit(file: h5py.File) -> None:
        found: dict[str, np.ndarray] = {}
        file.visititems(lambda key, item: found.update({key: item[()]}) if isinstance(item, h5py.Dataset) else None)
        before = dict(found)
        change(found)
        for key in before:
            if key not in found or found[key] is not before[key]:
                del file[key]
        for key, value in found.items():
            if value is not before.get(key):
                file[key] = value

    return edited_h5(content, suffix, path, edit)


@pytest.mark.parametrize("suffix", SUFFIXES)
class TestThatDoNotFit:
    """Missing, left over, misshapen: each named, together, with the nearest name."""

    def test_missing(self, model, written, suffix, tmp_path):
        key = list(keys_of(suffix, model))[4]
        path = changed(suffix, written[suffix], tmp_path / f"model{suffix}", lambda tensors: tensors.pop(key))
        with refused(model, path, "1 missing", key, "'small'"):
            load.load_weights(model, path)

    def test_left_over(self, model, written, suffix, tmp_path):
        path = changed(suffix, written[suffix], tmp_path / f"model{suffix}", lambda t: t.update({"more/weight": np.ones((2, 3), "f4")}))
        with refused(model, path, "1 left over", "more/weight"):
            load.load_weights(model, path)

    def test_misspelt_gets_the_nearest(self, model, written, suffix, tmp_path):
        key = next(key for key in keys_of(suffix, model) if "conv2" in key)
        slip = key.replace("conv2", "convv2")
        path = changed(suffix, written[suffix], tmp_path / f"model{suffix}", lambda t: t.update({slip: t.pop(key)}))
        with refused(model, path, "1 missing", "1 left over", f"{key} (nearest: {slip})", f"{slip} (nearest: {key})"):
            load.load_weights(model, path)

    def test_misshapen(self, model, written, suffix, tmp_path):
        key, shape = list(keys_of(suffix, model).items())[-1]
        path = changed(suffix, written[suffix], tmp_path / f"model{suffix}", lambda t: t.update({key: np.zeros((9, *shape), "f4")}))
        with refused(model, path, "1 of another shape", key, f"file {(9, *shape)}, model {shape}"):
            load.load_weights(model, path)

    def test_same_count_another_shape(self, model, written, suffix, tmp_path):
        """A tensor with as many numbers in another order of axes is not reshaped into place."""
        key, shape = next((key, shape) for key, shape in keys_of(suffix, model).items() if len(shape) == 2)
        path = changed(suffix, written[suffix], tmp_path / f"model{suffix}", lambda t: t.update({key: np.ones(shape[::-1], "f4")}))
        with refused(model, path, "1 of another shape", key):
            load.load_weights(model, path)

    @pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
    def test_not_finite(self, model, written, suffix, number, tmp_path):
        key, shape = list(keys_of(suffix, model).items())[-1]  # the last to be assigned

        def break_one(tensors: dict) -> None:
            tensors[key] = np.ones(shape, "f4")
            tensors[key].flat[1] = number

        path = changed(suffix, written[suffix], tmp_path / f"model{suffix}", break_one)
        with refused(model, path, "not finite", key, f"1 of {np.prod(shape)}"):
            load.load_weights(model, path)

    def test_too_large_for_the_variable(self, model, written, suffix, tmp_path):
        """Finite in the file's float64, infinite in the model's float32."""
        key, shape = list(keys_of(suffix, model).items())[-1]
        path = changed(suffix, written[suffix], tmp_path / f"model{suffix}", lambda t: t.update({key: np.full(shape, 1e300)}))
        with refused(model, path, "not finite", key):
            load.load_weights(model, path)

    def test_complex_numbers(self, model, written, suffix, tmp_path):
        key, shape = list(keys_of(suffix, model).items())[-1]
        path = changed(suffix, written[suffix], tmp_path / f"model{suffix}", lambda t: t.update({key: np.ones(shape, "complex64")}))
        with refused(model, path):
            load.load_weights(model, path)

    def test_truth_values(self, model, written, suffix, tmp_path):
        key, shape = list(keys_of(suffix, model).items())[-1]
        path = changed(suffix, written[suffix], tmp_path / f"model{suffix}", lambda t: t.update({key: np.ones(shape, bool)}))
        with refused(model, path, "not numbers", key):
            load.load_weights(model, path)

    @pytest.mark.parametrize(
        "settings",
        [dict(block="basic"), dict(depths=(1, 2)), dict(classes=6), dict(widths=(8, 24)), dict(norm=None), dict(shortcut="avg_pool")],
        ids=lambda settings: "-".join(settings),
    )
    def test_another_architecture(self, written, suffix, settings, tmp_path):
        if "shortcut" in settings and suffix != ".safetensors":
            settings = dict(shortcut="projection_all", norm="group")  # option D has the same variables, and Keras's files the same names
        other = files.small(3, **settings)
        path = tmp_path / f"model{suffix}"
        path.write_bytes(written[suffix])
        with refused(other, path, "do not fit"):
            load.load_weights(other, path)

    def test_long_lists_are_cut(self, written, suffix, tmp_path):
        other = keras_resnet.ResNet20()
        path = tmp_path / f"model{suffix}"
        path.write_bytes(written[suffix])
        with refused(other, path, "missing", "... and "):
            load.load_weights(other, path)
        with pytest.raises(ValueError, match="do not fit") as raised:
            load.load_weights(other, path)
        assert str(raised.value).count("\n") < 40


@pytest.mark.parametrize("suffix", SUFFIXES)
class TestDamaged:
    """A file that was cut off, or never was what its name says."""

    @pytest.mark.parametrize("share", [0, 1e-4, 0.01, 0.3, 0.7, 0.99, 1])
    def test_cut_off(self, model, written, suffix, share, tmp_path):
        path = tmp_path / f"model{suffix}"
        content = written[suffix]
        path.write_bytes(content[: min(int(share * len(content)), len(content) - 1)])
        with refused(model, path, "cannot be read", "damaged"):
            load.load_weights(model, path)

    @pytest.mark.parametrize("size", [1, 8, 9, 1000, 100_000])
    def test_random_bytes(self, model, suffix, size, tmp_path):
        path = tmp_path / f"model{suffix}"
        path.write_bytes(np.random.default_rng(size).bytes(size))
        with refused(model, path, "cannot be read"):
            load.load_weights(model, path)

    def test_bytes_overwritten(self, model, written, suffix, tmp_path):
        """Wherever a file is damaged: it is refused, or it loads whole; never half of it, and never another error."""
        path = tmp_path / f"model{suffix}"
        outcomes = set()
        for seed in range(25):
            generator = np.random.default_rng(seed)
            content = bytearray(written[suffix])
            reach = len(content) if seed % 2 else min(len(content), 4000)  # headers are at the start
            for place in generator.integers(0, reach - 8, 5):
                content[place : place + 8] = generator.bytes(8)
            path.write_bytes(content)
            before = values(model)
            try:
                load.load_weights(model, path)
                outcomes.add("loaded")
                for variable, value in zip(model.variables, before.values(), strict=True):
                    variable.assign(value)
            except ValueError:
                outcomes.add("refused")
                assert_unchanged(before, model)
        assert "refused" in outcomes

    @pytest.mark.parametrize("other", SUFFIXES)
    def test_another_format_under_this_name(self, model, written, suffix, other, tmp_path):
        if other == suffix:
            return
        path = tmp_path / f"model{suffix}"
        path.write_bytes(written[other])
        with refused(model, path, "cannot be read"):
            load.load_weights(model, path)

    def test_directory(self, model, suffix, tmp_path):
        path = tmp_path / f"model{suffix}"
        path.mkdir()
        with refused(model, path, error=FileNotFoundError):
            load.load_weights(model, path)

    def test_no_such_file(self, model, suffix, tmp_path):
        path = tmp_path / f"model{suffix}"
        with refused(model, path, "no weights file", "working directory", error=FileNotFoundError):
            load.load_weights(model, path)
        with pytest.raises(FileNotFoundError, match="no weights file"):
            keras_resnet.ResNet20(weights=path)
        assert not path.exists()


@pytest.mark.parametrize("name", ["model.h5", "model.npz", "model", "model.weights", "model.onnx", "keras", "model.safetensors.zip"])
def test_unknown_suffix(model, name, tmp_path):
    path = tmp_path / name
    path.write_bytes(b"anything")
    with refused(model, path, "suffix", *SUFFIXES):
        load.load_weights(model, path)


@pytest.mark.parametrize("name", ["model.pth", "model.PT", "pytorch_model.bin", "last.ckpt", "model.pkl"])
def test_pickles_are_refused_with_advice(model, name, tmp_path):
    path = tmp_path / name
    path.write_bytes(b"cos\nsystem\n(S'touch /tmp/never'\ntR.")
    with refused(model, path, "run code", "safetensors.torch.save_file", "weights_only=True"):
        load.load_weights(model, path)


@pytest.mark.parametrize("weights", [3, True, b"model.keras", [1.0], object()])
def test_no_path(model, weights):
    before = values(model)
    with pytest.raises(ValueError, match="path of a file"):
        load.load_weights(model, weights)
    assert_unchanged(before, model)


def test_names_of_published_weights_are_not_known_yet():
    with pytest.raises(ValueError, match=r"'imagenet'.*Names of published weights"):
        keras_resnet.ResNet20(weights="imagenet")


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
