"""A user's slip gets one clear error: what was passed, what is allowed, what to do. Weights files have their own tests in `weights/`."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_resnet
from tests import tolerances
from tests.arrays import as_numpy, assert_unchanged, normal, values
from tests.weights import files


def says(error: type[Exception], call, *parts: str) -> None:
    """`call()` raises `error`, whose message has each of `parts`."""
    with pytest.raises(error) as raised:
        call()
    print(raised.value)  # shown by -s
    for part in parts:
        assert part in str(raised.value), f"{part!r} is not in: {raised.value}"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("resnet51", ["resnet50"]),
        ("ResNet50", ["resnet50"]),
        ("resnet-50", ["resnet50"]),
        ("plane20", ["plain20"]),
        ("UNet", ['keras_resnet.UNet("resnet34")', "Closest: unet"]),
        ("deeplab_v3_plus", ['keras_resnet.DeepLabV3Plus("resnet34")']),
        ("zzz", []),
        ("", []),
        (50, []),
        (None, []),
    ],
)
def test_unknown_model(name, parts):
    says(ValueError, lambda: keras_resnet.create_model(name), repr(name), "list_models()", *parts)


@pytest.mark.parametrize("classes", [0, -1, 2.5, "10", None, True, [10]])
def test_classes(classes):
    says(ValueError, lambda: keras_resnet.ResNet20(classes=classes), "`classes`", f"classes={classes!r}", "at least 1", "include_top=False")


@pytest.mark.parametrize(
    "shape", [(32, 32), (32,), (1, 32, 32, 3), (32, 32, None), (32, 32, 0), (0, 32, 3), (-32, 32, 3), (32.0, 32, 3), ("a", 32, 3), 32, ()]
)
@pytest.mark.parametrize("make", [keras_resnet.ResNet20, keras_resnet.ResNet18])
def test_input_shape(make, shape):
    says(ValueError, lambda: make(weights=None, input_shape=shape), "(height, width, channels)", f"input_shape={shape!r}", "at least 1")


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        (dict(input_shape=(31, 64, 3)), ["31x64", "32x32 or larger", "resnet20"]),
        (dict(input_shape=(64, 16, 3)), ["64x16", "32x32 or larger"]),
        (dict(input_shape=(3, 16, 16), data_format="channels_first"), ["16x16", "32x32 or larger"]),
        (dict(input_tensor="image"), ["KerasTensor", "str"]),
        (dict(pooling="mean"), ["pooling='mean'", "'avg' or 'max'"]),
        (dict(output_stride=12), ["output_stride=12", "8, 16, 32"]),
        (dict(data_format="last"), ["'last'", "channels_last"]),
        (dict(block="wide"), ["block='wide'", "'basic', 'bottleneck'"]),
        (dict(groups=2), ["groups", "bottleneck"]),
        (dict(shortcut="identiti"), ["shortcut='identiti'", "'identity'", "'projection'"]),
        (dict(norm="weight"), ["norm='weight'", "'batch'", "'group'", "'layer'"]),
        (dict(depths=(2, 2)), ["equally long", "(2, 2)"]),
        (dict(depths=(2, 0, 2, 2)), ["depths=(2, 0, 2, 2)", "at least 1"]),
        (dict(depths=4), ["depths=4"]),
        (dict(residual_scale="half"), ["residual_scale='half'", "learned"]),
        (dict(residual_scale="or any number"), ["residual_scale='or any number'", "finite number"]),
        (dict(residual_scale=float("nan")), ["residual_scale=nan"]),
        (dict(include_top="no"), ["include_top='no'", "True or False"]),
        (dict(remat="no"), ["remat='no'", "True or False"]),
        (dict(zero_init_residual=1), ["zero_init_residual=1"]),
        (dict(dtype="int32"), ["dtype='int32'", "floating-point"]),
        (dict(output_stride=8.0), ["output_stride=8.0"]),
        (dict(stem_width=0), ["stem_width=0"]),
        (dict(norm_momentum=1.5), ["norm_momentum=1.5", "from 0 to below 1"]),
        (dict(norm_epsilon=-1e-5), ["norm_epsilon=-1e-05", "from 0"]),
        (dict(norm_epsilon="small"), ["norm_epsilon='small'"]),
        (dict(widths=(8, 8, 8, 8.0)), ["widths=(8, 8, 8, 8.0)"]),
        (dict(stochastic_depth=1.0), ["stochastic_depth=1.0", "below 1"]),
        (dict(stochastic_depth=-0.1), ["stochastic_depth=-0.1", "from 0"]),
        (dict(stochastic_depth=1.5, depths=(1,), widths=(8,)), ["stochastic_depth=1.5"]),
        (dict(stochastic_depth="0.1"), ["stochastic_depth='0.1'"]),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else "",
)
def test_settings(settings, parts):
    says(ValueError, lambda: keras_resnet.ResNet18(weights=None, **settings), *parts)


def test_smallest_images():
    """What the messages call allowed is allowed."""
    assert keras_resnet.ResNet20(input_shape=(4, 4, 3)).output_shape == (None, 10)
    says(ValueError, lambda: keras_resnet.ResNet20(input_shape=(3, 8, 3)), "3x8", "4x4 or larger")
    assert files.small(input_shape=(32, 32, 3))(normal(1, 32, 32, 3)).shape == (1, 5)


def test_input_tensor_and_input_shape_that_disagree():
    image = keras.Input((32, 32, 3))
    says(ValueError, lambda: keras_resnet.ResNet20(input_tensor=image, input_shape=(64, 64, 3)), "(32, 32, 3)", "(64, 64, 3)", "agree")


@pytest.mark.parametrize(("slip", "meant"), [("class", "classes"), ("input_shap", "input_shape"), ("depth", "depths"), ("xyz", "classes")])
def test_unknown_argument(slip, meant):
    says(TypeError, lambda: keras_resnet.create_model("resnet20", **{slip: 1}), repr(slip), meant)


def test_features_of_a_stranger():
    image = keras.Input((4,))
    stranger = keras.Model(image, keras.layers.Dense(2)(image), name="stranger")
    says(ValueError, lambda: keras_resnet.features(stranger), "'stranger'", "stage1_block1")


@pytest.mark.parametrize("built", [(None, None, 3), (64, 64, 3)], ids=["any size", "64"])
@pytest.mark.parametrize(
    ("shape", "parts"),
    [
        ((32, 32, 3), ["'small' takes images of the shape (None, ", "shape=(32, 32, 3)", "image[None]"]),
        ((1, 1, 64, 64, 3), ["'small' takes images of the shape (None, ", "shape=(1, 1, 64, 64, 3)"]),
        ((1, 64, 64, 4), ["'small' takes images of the shape (None, ", "shape=(1, 64, 64, 4)"]),
        ((1, 16, 16, 3), ["16"]),
        ((0, 64, 64, 3), ["without images", "shape=(0, 64, 64, 3)"]),
    ],
    ids=lambda value: str(value) if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("way", ["call", "predict", "evaluate", "fit"])
def test_images_that_do_not_fit(built, shape, parts, way):
    """One error, of a few lines, that says what came; the model stays as it was, also where it was trained before."""
    if shape[0] == 0 and way == "call":
        pytest.skip("an empty batch has empty logits")
    model = files.small(1, input_shape=built, classifier_activation=None)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images, labels = normal(2, 64, 64, 3), np.zeros(2)
    model.fit(images, labels, verbose=0)
    before, state = values(model), [as_numpy(v) for v in model.optimizer.variables]
    run = {
        "call": lambda x, y: model(x),
        "predict": lambda x, y: model.predict(x, verbose=0),
        "evaluate": lambda x, y: model.evaluate(x, y, verbose=0),
        "fit": lambda x, y: model.fit(x, y, verbose=0),
    }[way]
    with pytest.raises(ValueError, match=r"shape|Images|images") as raised:
        run(normal(*shape), np.zeros(shape[0]))
    message = str(raised.value)
    print(f"{built} {shape} {way}: {message}")  # shown by -s
    assert len(message) < 300
    for part in [*parts, "32x32 or larger" if shape == (1, 16, 16, 3) and built[0] is None else ""]:
        assert part in message, f"{part!r} is not in: {message}"
    assert_unchanged(before, model)
    assert all((as_numpy(v) == value).all() for v, value in zip(model.optimizer.variables, state, strict=True))
    model.fit(images, labels, verbose=0)
    assert np.isfinite(model.predict(images, verbose=0)).all()


def test_grey_images_may_come_without_their_channel():
    model = files.small(1, input_shape=(32, 32, 1))
    x = normal(2, 32, 32)
    assert (as_numpy(model(x)) == as_numpy(model(x[..., None]))).all()


def test_numpy_numbers_are_numbers():
    model = files.small(
        depths=(np.int64(1), np.int32(1)), classes=np.int64(4), residual_scale=np.float32(0.5), norm_epsilon=np.float64(1e-3)
    )
    again = keras.models.clone_model(model)
    assert again.output_shape == (None, 4)
    assert keras_resnet.layers.BasicBlock(np.int64(8)).get_config()["filters"] == 8


BLOCKS = ["BasicBlock", "Bottleneck", "PreActBasicBlock", "PreActBottleneck", "Stem", "Shortcut"]


@pytest.mark.parametrize("name", BLOCKS)
def test_layers_check_rank_and_channels(name):
    """Without the check a block built for 6 channels would take 12, as a convolution in groups."""
    layer = getattr(keras_resnet.layers, name)(8)
    says(ValueError, lambda: layer(normal(8, 8, 6)), name, "(n, height, width, channels)", "(8, 8, 6)")
    says(ValueError, lambda: layer(keras.Input((8, 6))), name, "(None, 8, 6)")
    says(ValueError, lambda: layer(keras.Input((8, 8, None))), name, "(None, 8, 8, None)")
    layer(normal(1, 8, 8, 6))
    for channels in (12, 3, 1):
        says(ValueError, lambda channels=channels: layer(normal(1, 8, 8, channels)), str(channels), "6")


def test_things_of_another_kind():
    says(ValueError, lambda: keras_resnet.features(1), "keras.Model", "int")
    says(ValueError, lambda: keras_resnet.load_weights(5, "model.safetensors"), "keras.Model", "int")
    says(ValueError, lambda: keras_resnet.list_models(5), "pattern=5")
    says(ValueError, lambda: keras_resnet.create_model("resnet20", weights=""), "weights=''")


def run_python(program: str, backend: str | None, *arguments: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name not in ("KERAS_BACKEND", "KERAS_HOME")}
    environment |= {} if backend is None else {"KERAS_BACKEND": backend}
    return subprocess.run([sys.executable, "-c", program, *arguments], env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(("slip", "meant"), [("tensorfow", "tensorflow"), ("Torch", "torch"), ("pytorch", "torch"), ("xyz", None)])
def test_misspelt_backend(slip, meant):
    done = run_python("import keras_resnet", slip)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith("ValueError: KERAS_BACKEND is")
    assert repr(slip) in last
    assert "Allowed: 'tensorflow', 'jax', 'torch'" in last
    assert "before importing keras_resnet" in last
    assert (f"Did you mean {meant!r}?" in last) == (meant is not None)


HIDDEN = """
import importlib.util, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == sys.argv[1] else found(name, *rest)
import keras_resnet
"""


@pytest.mark.parametrize("backend", ["jax", "torch", "tensorflow"])
def test_backend_that_is_not_installed(backend):
    done = run_python(HIDDEN, backend, backend)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith(("ImportError", "ModuleNotFoundError"))
    assert f'pip install "keras-resnet-zoo[{backend}]"' in last
    assert "'numpy'" in last
    assert f"{backend!r}, " not in last.split("installed here:")[1] + ", "


def test_a_backend_without_fast_paths(tmp_path):
    """Keras's numpy backend has no twin here, and infers by the reference what this backend infers."""
    model = files.small(1, classifier_activation=None)
    x = normal(2, 32, 32, 3)
    np.save(tmp_path / "x.npy", x)
    files.write(model, tmp_path / "model.weights.h5")
    program = """
import sys, numpy as np, keras
from tests.weights import files
assert keras.backend.backend() == "numpy"
model = files.small(classifier_activation=None)
from keras_resnet import load_weights
load_weights(model, sys.argv[1] + "/model.weights.h5")
np.save(sys.argv[1] + "/y.npy", model(np.load(sys.argv[1] + "/x.npy")))
"""
    done = run_python(program, "numpy", str(tmp_path))
    assert done.returncode == 0, done.stderr
    logits = np.load(tmp_path / "y.npy")
    assert np.ptp(logits) > 0.01
    assert tolerances.difference(logits, as_numpy(model(x))) < tolerances.LOGITS_FLOAT32
