"""The layer of pictures: timm's numbers, the same on every backend and on every way in, and one clear error at what is no picture."""

import os
import subprocess
import sys
import zlib

import keras
import numpy as np
import pytest
from PIL import Image

from keras_resnet.vision import preprocessing as settings
from keras_resnet.vision.preprocessing import Preprocessing
from tests.arrays import as_numpy, normal
from tests.check_layer import run
from tests.vision.make_golden import MEAN, PATH, cases
from tests.vision.photographs import NAMES, photograph

BACKENDS = ("torch", "jax", "tensorflow")
FORMATS = ("channels_last", "channels_first")
# Of the 0..255 of a pixel. Weights of 15 bits beside Pillow's 22 turn few roundings; Pillow 13 begins with the columns of some pictures
# that it squashes, earlier ones never.
NEAR_TIMM = {"center": 0.005, "border": 0.005, "squash": 0.25}


def pixels(layer: Preprocessing, y: np.ndarray) -> np.ndarray:
    """0..255 again, channels last."""
    return y * np.asarray(layer.std, "float32") * 255 + np.asarray(layer.mean, "float32") * 255


@pytest.fixture(scope="module")
def golden():
    with np.load(PATH) as file:
        return dict(file)


@pytest.mark.parametrize("name", NAMES)
def test_timm_and_each_way_in(name, golden):
    tested = 0
    for i, (photo, interpolation, mode, size, crop) in enumerate(cases()):
        if photo != name:
            continue
        layer = Preprocessing(size, crop, mode, interpolation, mean=MEAN)
        picture = photograph(name)
        batch = as_numpy(run(layer, picture[None]))  # on the backend
        listed = as_numpy(layer([picture, Image.fromarray(picture)]))  # by NumPy
        assert (batch.shape, listed.shape) == ((1, *layer.size, 3), (2, *layer.size, 3))
        assert np.abs(batch - listed).max() < 1e-6  # not a single pixel is rounded in another way: that were 0.017
        difference = np.abs(pixels(layer, batch)[0] - golden[str(i)])
        assert difference.mean() < NEAR_TIMM[mode], (interpolation, mode, size, difference.mean())
        assert difference.max() < (1.01 if mode != "squash" else 8)
        tested += 1
    assert tested == 6


def test_the_same_pixels_on_every_backend():
    """By the checksum of what is rounded: one pixel that another backend rounds in another way changes it."""
    layer = Preprocessing(72, 0.9, "border", mode="tf")
    y = as_numpy(layer(np.stack([photograph("landscape"), photograph("landscape")[::-1]])))
    whole = np.round((y + 1) * 127.5)
    assert np.abs((y + 1) * 127.5 - whole).max() < 1e-3
    assert zlib.crc32(whole.astype("uint8").tobytes()) == 1621828417


@pytest.mark.parametrize("data_format", FORMATS)
def test_in_a_model_and_its_file(tmp_path, data_format):
    first = data_format == "channels_first"
    layer = Preprocessing((40, 52), 0.95, "center", data_format=data_format)
    expected = as_numpy(layer(photograph("cat")))
    for shape in ((None, None, 3), photograph("cat").shape):
        image = keras.Input(shape, dtype="uint8")
        y = layer(image)
        assert tuple(y.shape) == ((None, 3, 40, 52) if first else (None, 40, 52, 3))
        model = keras.Model(image, y)
        assert np.abs(model.predict(photograph("cat")[None], verbose=0) - expected).max() < 1e-6
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        assert loaded.layers[1].get_config() == layer.get_config()
        assert (as_numpy(loaded(photograph("cat")[None])) == expected).all()
    if first:
        last = Preprocessing((40, 52), 0.95, "center", data_format="channels_last")
        assert (as_numpy(last(photograph("cat"))).transpose(0, 3, 1, 2) == expected).all()


OPENS = """
import sys, keras, numpy as np, keras_resnet.vision.preprocessing
folder = sys.argv[1]
picture = np.load(f"{folder}/picture.npy")
y = keras.saving.load_model(f"{folder}/model.keras").predict(picture, verbose=0)
assert abs(y - np.load(f"{folder}/expected.npy")).max() < 1e-6, keras.backend.backend()
print(keras.backend.backend(), y.shape)
"""


def test_another_backend_opens_the_file(tmp_path):
    other = BACKENDS[(BACKENDS.index(keras.backend.backend()) + 1) % len(BACKENDS)]
    pytest.importorskip(other)
    image = keras.Input((None, None, 3), dtype="uint8")
    model = keras.Model(image, Preprocessing(32, crop_mode="squash", interpolation="bilinear")(image))
    picture = photograph("odd")[None]
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "picture.npy", picture)
    np.save(tmp_path / "expected.npy", model.predict(picture, verbose=0))
    environment = {**os.environ, "KERAS_BACKEND": other, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", OPENS, str(tmp_path)], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{other} (1, 32, 32, 3)"


def compiled(layer: Preprocessing):
    """The layer as one compiled function of pictures of any size; on TensorFlow it does not know the size."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(lambda x: layer(x), input_signature=[tf.TensorSpec((None, None, None, 3), "uint8")])
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(lambda x: layer(x))
    import torch

    traced = torch.compile(layer, backend="eager", dynamic=False)
    return lambda x: traced(keras.ops.convert_to_tensor(x))


@pytest.mark.parametrize("mode", ["center", "squash", "border"])
def test_compiled(mode):
    for size, interpolation in ((33, "bicubic"), ((21, 32), "bilinear")):
        layer = Preprocessing(size, 0.93, mode, interpolation)
        function = compiled(layer)
        for height, width in ((50, 70), (71, 49), (20, 90), (9, 3)):
            picture = photograph("odd")[:height, :width][None]
            assert np.abs(as_numpy(function(picture)) - as_numpy(layer(picture))).max() < 1e-6


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.data calls Keras's operations only on TensorFlow")
def test_in_tf_data():
    import tensorflow as tf

    layer = Preprocessing(24)
    pictures = tf.data.Dataset.from_generator(lambda: map(photograph, NAMES), output_signature=tf.TensorSpec((None, None, 3), "uint8"))
    (batch,) = pictures.map(lambda picture: layer(picture)[0]).batch(len(NAMES))
    assert np.abs(batch.numpy() - as_numpy(layer([photograph(name) for name in NAMES]))).max() < 1e-6
    with pytest.raises(ValueError, match="unknown rank"):
        tf.data.Dataset.from_tensors(b"").map(lambda content: layer(tf.io.decode_image(content)))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64", "int32", "int64"])
def test_types_of_pictures(dtype):
    picture = photograph("cat")
    layer = Preprocessing(48)
    expected = as_numpy(layer(picture))
    jax_has_none = dtype in ("float64", "int64") and keras.backend.backend() == "jax"
    tensor = picture.astype(dtype) if jax_has_none else keras.ops.cast(keras.ops.convert_to_tensor(picture), dtype)
    rounding = 0 if "int" in dtype else 1.2 / 255 / min(layer.std)  # half a step in each pass, of which the second widens the first
    for y in (layer(tensor), layer([tensor])):
        assert keras.backend.standardize_dtype(y.dtype) == "float32"
        assert np.abs(as_numpy(y) - expected).max() <= rounding + 1e-6
    assert (as_numpy(layer(picture.astype("float32"))) != expected).any()  # which is not rounded on the way


def test_mixed_precision(mixed_bfloat16):
    picture = photograph("cat")
    layer, wide = Preprocessing(48), Preprocessing(48, dtype="float32")
    for pictures in (picture, [picture], picture.astype("float32")):
        y = layer(pictures)
        assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
        exact = as_numpy(keras.ops.cast(wide(pictures), "bfloat16"))  # rounded once, at the end
        assert (as_numpy(y) == exact).all()


@pytest.mark.parametrize("mode", ["torch", "tf", "caffe"])
def test_modes_of_keras_applications(mode):
    picture = photograph("cat")[:32, :32]
    expected = keras.applications.imagenet_utils.preprocess_input(picture.astype("float32"), "channels_last", mode)
    assert np.abs(as_numpy(Preprocessing(32, 1.0, mode=mode)(picture))[0] - expected).max() < (1e-4 if mode == "caffe" else 2e-6)


@pytest.mark.parametrize("mode", ["torch", "caffe"])
def test_other_numbers_of_channels(mode):
    layer = Preprocessing(16, 1.0, mode=mode)
    picture = photograph("cat")[:16, :16]
    rgb = as_numpy(layer(picture))
    six = as_numpy(layer(np.concatenate([picture, picture], -1)))
    assert (six == np.concatenate([rgb, rgb], -1)).all()
    first = {"torch": (picture[..., :1] / 255 - 0.485) / 0.229, "caffe": picture[..., :1] - 103.939}[mode]
    assert np.abs(as_numpy(layer(picture[..., :1]))[0] - first).max() < 1e-4


def test_borders_are_the_mean():
    strip = photograph("landscape")[:20, :80]
    y = as_numpy(Preprocessing(40, 1.0, "border")(strip))[0]
    assert np.abs(y[:15]).max() < 0.5 / 255 / min(settings.IMAGENET_STD) + 1e-6
    assert np.abs(y[15:25]).min(-1).max() > 0.1
    assert (np.concatenate([y[:15], y[25:]]) == y[0, 0]).all()


def test_antialias():
    stripes = np.zeros((64, 64, 3), "uint8")
    stripes[:, ::4] = 255
    smooth, rough = (as_numpy(Preprocessing(16, 1.0, antialias=flag, mode="tf")(stripes)) for flag in (True, False))
    assert np.abs(smooth[:, :, 2:-2] + 0.5).max() < 0.02  # a quarter of white
    assert rough[:, :, 2:-2].max() < -0.9  # all points lie between black pixels
    larger, same = (as_numpy(Preprocessing(128, 1.0, antialias=flag, mode="tf")(stripes)) for flag in (True, False))
    assert (larger == same).all()  # nothing shrinks


def test_pillows_other_kinds():
    layer = Preprocessing(32)
    picture = Image.fromarray(photograph("cat"))
    for kind in ("L", "RGBA", "CMYK", "P"):
        other = picture.convert(kind)
        assert (as_numpy(layer(other)) == as_numpy(layer(other.convert("RGB")))).all()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (dict(size=0), "size"),
        (dict(size=(224, -1)), "size"),
        (dict(size=2.5), "size"),
        (dict(size=(1, 2, 3)), "size"),
        (dict(crop=0), "crop"),
        (dict(crop=1.2), "crop"),
        (dict(crop="all"), "crop"),
        (dict(crop=float("nan")), "crop"),
        (dict(crop_mode="middle"), "crop_mode"),
        (dict(interpolation="nearest"), "interpolation"),
        (dict(antialias=1), "antialias"),
        (dict(mean="imagenet"), "mean"),
        (dict(mean=()), "mean"),
        (dict(std=(0.2, 0.0, 0.2)), "std"),
        (dict(std=(0.2, float("inf"))), "std"),
        (dict(mode="keras"), "mode"),
        (dict(data_format="CHW"), "data_format"),
    ],
)
def test_bad_arguments(arguments, named):
    with pytest.raises(ValueError, match=named):
        Preprocessing(**arguments)


@pytest.mark.parametrize(
    ("pictures", "says"),
    [
        ([], "without pictures"),
        (np.zeros((5, 5), "uint8"), r"picture\[..., None\]"),
        (np.zeros((1, 2, 5, 5, 3), "uint8"), "shape"),
        (np.zeros((0, 5, 5, 3), "uint8"), "none be 0"),
        (np.zeros((5, 0, 3), "uint8"), "none be 0"),
        (np.zeros((3, 32, 32), "uint8"), "channels last"),
        (np.zeros((2, 3, 32, 32), "uint8"), "channels last"),
        (np.zeros((5, 5, 3), "uint16"), "dtype=uint16"),
        (np.zeros((5, 5, 3), "bool"), "dtype=bool"),
        ([np.zeros((5, 5, 3), "uint8"), np.zeros((5, 5, 4), "uint8")], "same number of channels"),
        ([np.zeros((1, 5, 5, 3), "uint8")], "shape"),
        (["photo.jpg"], "open each first"),
        ("photo.jpg", "Received: str"),
        (None, "Received: NoneType"),
    ],
)
def test_bad_pictures(pictures, says):
    with pytest.raises(ValueError, match=says) as caught:
        Preprocessing(16)(pictures)
    assert "Arguments received" not in str(caught.value)


def test_random_sizes_against_pillow():
    """Shorter side to 48, then cropped, for sizes that nobody chose; Pillow itself resizes, in two steps, so that rows come first."""
    layer = Preprocessing(48, 1.0, mode="tf")
    worst = 0.0
    for height, width in np.random.default_rng(0).integers(1, 300, (40, 2)).tolist():
        picture = (128 + 40 * normal(height, width, 3)).clip(0, 255).astype("uint8")
        tall, wide = (48 * length // min(height, width) for length in (height, width))
        top, left = (round((length - 48) / 2) for length in (tall, wide))
        resized = Image.fromarray(picture).resize((wide, height), Image.Resampling.BICUBIC).resize((wide, tall), Image.Resampling.BICUBIC)
        expected = np.asarray(resized)[top : top + 48, left : left + 48]
        worst = max(worst, np.abs((as_numpy(layer([picture]))[0] + 1) * 127.5 - expected).mean())
    assert worst < 0.01
