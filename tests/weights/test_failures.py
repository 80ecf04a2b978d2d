"""What does not fit or is damaged is refused in one clear error, and neither the model nor the file changes by a bit."""

import numpy as np
import pytest

import keras_resnet
from keras_resnet.weights import load, read
from tests.arrays import assert_unchanged, values
from tests.weights import files
from tests.weights.spoilt import SUFFIXES, changed, keys_of, refused


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

    def test_negative_variance(self, model, written, suffix, tmp_path):
        """Its square root would be NaN, which some backends' ReLU turns into 0, unseen."""
        key = next(key for key, shape in keys_of(suffix, model).items() if "running_var" in key or key.endswith("vars/3"))

        def change(found):
            found[key] = -found[key]

        path = changed(suffix, written[suffix], tmp_path / f"model{suffix}", change)
        with refused(model, path, "negative", key):
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


@pytest.mark.parametrize(
    "name", ["model.msgpack", "model.npy", "model", "model.weights", "model.onnx", "keras", "model.safetensors.zip", "model.pkl"]
)
def test_unknown_suffix(model, name, tmp_path):
    path = tmp_path / name
    path.write_bytes(b"anything")
    with refused(model, path, "suffix", *read.SUFFIXES):
        load.load_weights(model, path)


@pytest.mark.parametrize("weights", [3, True, b"model.keras", [1.0], object()])
def test_no_path(model, weights):
    before = values(model)
    with pytest.raises(ValueError, match="path of a file"):
        load.load_weights(model, weights)
    assert_unchanged(before, model)
