"""What a model's numbers are written to can be read again, bit by bit: safetensors in timm's layout, `.weights.h5` and `.keras`."""

import warnings

import keras
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

import keras_resnet
from keras_resnet.weights import load, rename
from tests.arrays import as_numpy, normal
from tests.weights import files

SUFFIXES = (".safetensors", ".weights.h5", ".keras")

VARIANTS = {
    "bottleneck": {},
    "avg_pool": dict(shortcut="avg_pool"),
    "projection_all": dict(shortcut="projection_all"),
    "grouped": dict(groups=2, group_width=32),
    "basic": dict(block="basic"),
    "without norm": dict(norm=None),
    "group norm": dict(norm="group"),
    "channels_first": dict(data_format="channels_first", input_shape=(3, 32, 32)),
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_round_trip(variant, suffix, tmp_path):
    model = files.small(1, **VARIANTS[variant])
    path = files.write(model, tmp_path / f"model{suffix}")
    content = path.read_bytes()
    fresh = files.small(**VARIANTS[variant])
    assert not files.same_numbers(fresh, model)
    load.load_weights(fresh, path)
    assert files.same_numbers(fresh, model)
    assert path.read_bytes() == content


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_learned_scale_and_random_depth(suffix, tmp_path):
    """A variable that timm does not know has its own path for a key; where random numbers stand is not part of the weights."""
    settings = dict(residual_scale="learned", stochastic_depth=0.2)
    model = files.small(3, **settings)
    fresh = files.small(**settings)
    keras_resnet.load_weights(fresh, files.write(model, tmp_path / f"model{suffix}"))
    assert files.same_numbers(fresh, model)


@pytest.mark.parametrize(
    ("make", "literal"),
    [
        (lambda: keras_resnet.ResNet20(), ["conv1.weight", "bn1.running_var", "layer1.0.conv1.weight", "layer3.2.bn2.bias", "fc.weight"]),
        (files.small, ["layer1.0.downsample.0.weight", "layer2.0.downsample.0.weight", "layer2.0.downsample.1.running_mean", "fc.bias"]),
        (
            lambda: files.small(shortcut="avg_pool"),
            ["layer2.0.downsample.1.weight", "layer2.0.downsample.2.weight", "layer2.0.downsample.2.running_var", "layer2.0.conv3.weight"],
        ),
    ],
    ids=["resnet20", "bottleneck", "avg_pool"],
)
def test_keys_are_timms(make, literal):
    model = make()
    keys = rename.torch_keys(model)
    assert len(keys) == len(model.weights)
    assert set(literal) <= set(keys)
    assert not [key for key in keys if "/" in key]


def test_pooled_shortcut_has_no_weight_at_place_0():
    assert not [key for key in rename.torch_keys(files.small(shortcut="avg_pool")) if "downsample.0" in key]


def test_layout_is_pytorchs(tmp_path):
    """One number moved by hand: `fc.weight[2, 5]` is our kernel's `[5, 2]`, and `conv1.weight[o, i, y, x]` its `[y, x, i, o]`."""
    model = files.small(1)
    tensors = files.state_dict(model)
    tensors["fc.weight"][2, 5], tensors["conv1.weight"][7, 2, 1, 4] = 123.0, 321.0
    safetensors.numpy.save_file(tensors, tmp_path / "model.safetensors")
    load.load_weights(model, tmp_path / "model.safetensors")
    assert as_numpy(model.get_layer("head").kernel)[5, 2] == 123
    assert as_numpy(model.get_layer("stem").conv_layer.kernel)[1, 4, 2, 7] == 321


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16, np.float64], ids=["bfloat16", "float16", "float64"])
def test_safetensors_of_other_types(dtype, tmp_path):
    model, fresh = files.small(1), files.small()
    tensors = files.state_dict(model, dtype)
    safetensors.numpy.save_file(tensors, tmp_path / "model.safetensors")
    load.load_weights(fresh, tmp_path / "model.safetensors")
    for ours, other in zip(fresh.weights, model.weights, strict=True):
        assert (as_numpy(ours) == as_numpy(other).astype(dtype).astype("float32")).all()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16", "bfloat16", "float16"])
def test_models_of_other_types(dtype, suffix, tmp_path):
    """Numbers are kept in the variables' type, which under a mixed policy is float32."""
    model, fresh = files.small(1, dtype=dtype), files.small(dtype=dtype)
    load.load_weights(fresh, files.write(model, tmp_path / f"model{suffix}"))
    assert files.same_numbers(fresh, model)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_more_variables_than_bfloat16_can_count(dtype, tmp_path):
    settings = dict(depths=(9, 9, 9), widths=(2, 2, 2), dtype=dtype, input_shape=(8, 8, 3))
    model, fresh = (keras_resnet.models.cifar_resnet(**settings) for _ in range(2))
    files.filled(model, 3)
    assert len(model.weights) > 256
    load.load_weights(fresh, files.write(model, tmp_path / "model.weights.h5"))
    assert files.same_numbers(fresh, model)


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
@pytest.mark.parametrize("into", ["fresh", "fitted"])
def test_compiled_and_fitted(suffix, into, tmp_path):
    """The optimizer's state in the file is skipped, and the optimizer and the metrics of the model that loads stay as they are."""

    def fitted() -> keras.Model:
        model = files.small()
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(normal(4, 32, 32, 3), np.arange(4), verbose=0)
        return model

    model = fitted()
    assert len(model.optimizer.variables) > len(model.trainable_variables)
    path = files.write(model, tmp_path / f"model{suffix}")
    other = files.filled(fitted() if into == "fitted" else files.small(), 5)
    state = [as_numpy(v) for v in other.optimizer.variables] if into == "fitted" else []
    load.load_weights(other, path)
    assert files.same_numbers(other, model)
    if into == "fitted":
        assert all((as_numpy(v) == before).all() for v, before in zip(other.optimizer.variables, state, strict=True))
        other.fit(normal(4, 32, 32, 3), np.arange(4), verbose=0)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_keras_itself_reads_what_it_wrote_after_ours(suffix, tmp_path):
    """Loading leaves nothing behind: the same model can be saved, loaded and called as before."""
    model, fresh = files.small(1), files.small()
    load.load_weights(fresh, files.write(model, tmp_path / f"model{suffix}"))
    fresh.save(tmp_path / "again.keras")
    x = normal(2, 32, 32, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        again = keras.saving.load_model(tmp_path / "again.keras")
    assert (as_numpy(again(x)) == as_numpy(model(x))).all()


def test_without_top_the_head_of_a_safetensors_file_is_not_used(tmp_path):
    model, fresh = files.small(1), files.small(include_top=False)
    load.load_weights(fresh, files.write(model, tmp_path / "model.safetensors"))
    for ours, other in zip(fresh.weights, model.weights[: len(fresh.weights)], strict=True):
        assert (as_numpy(ours) == as_numpy(other)).all()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("as_text", [True, False])
def test_create_model_takes_a_file(suffix, as_text, tmp_path):
    model = files.filled(keras_resnet.ResNet20(), 2)
    path = files.write(model, tmp_path / f"model{suffix}")
    weights = str(path) if as_text else path
    assert files.same_numbers(keras_resnet.create_model("resnet20", weights=weights), model)
    assert files.same_numbers(keras_resnet.ResNet20(weights=weights), model)


def test_any_input_size_and_name(tmp_path):
    """What the weights do not depend on is not compared."""
    model, fresh = files.small(1), files.small(input_shape=(None, None, 3), name="other")
    load.load_weights(fresh, files.write(model, tmp_path / "model.keras"))
    assert files.same_numbers(fresh, model)
