"""The window over pictures of any size: what it gives is what the network gives, and one clear error where it cannot."""

import tracemalloc

import keras
import numpy as np
import pytest

from keras_resnet.vision.sliding_window import sliding_window
from keras_resnet.vision.windows import Blend, importance, starts
from tests.arrays import as_numpy, normal


def pointwise(x):
    """A network without neighbours: what it says of a pixel does not depend on the window."""
    x = x.astype("float32")
    return np.concatenate([np.tanh(x), x[..., :1] * 2 - 1], axis=-1)


def network(dims: int = 2, channels: int = 2, classes: int = 3, data_format: str = "channels_last", **settings) -> keras.Model:
    """One convolution, to which the border of a window matters."""
    first = data_format == "channels_first"
    image = keras.Input((channels, *(None,) * dims) if first else (*(None,) * dims, channels))
    layer = {2: keras.layers.Conv2D, 3: keras.layers.Conv3D}[dims]
    return keras.Model(image, layer(classes, 3, padding="same", data_format=data_format, **settings)(image))


@pytest.mark.parametrize("flips", [False, True])
@pytest.mark.parametrize("blend", ["gaussian", "mean"])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, (0.75, 0.1)])
@pytest.mark.parametrize("size", [(16, 16), (33, 47), (16, 40), (5, 40), (7, 3), (1, 1)])
def test_a_pointwise_network_gives_the_whole_picture(size, overlap, blend, flips):
    image = normal(*size, 2)
    y = sliding_window(pointwise, image, 16, overlap, flips=flips, blend=blend, batch_size=3, verbose=False)
    assert y.dtype == np.float32
    assert np.abs(y - pointwise(image)).max() < 1e-6 * max(1, np.abs(pointwise(image)).max())


@pytest.mark.parametrize("size", [(8, 8, 8), (9, 20, 5), (3, 11, 8)])
@pytest.mark.parametrize("flips", [False, True])
def test_volumes(size, flips):
    volume = normal(*size, 1)
    y = sliding_window(pointwise, volume, (8, 8, 4), flips=flips, verbose=False)
    assert np.abs(y - pointwise(volume)).max() < 1e-6 * np.abs(pointwise(volume)).max()
    model = network(3, 1)
    assert sliding_window(model, volume, 8, verbose=False).shape == (*size, 3)
    assert np.array_equal(sliding_window(model, volume[None], 8, verbose=False)[0], sliding_window(model, volume, 8, verbose=False))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_one_window_is_predict(data_format):
    if data_format == "channels_first" and keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow convolves no channels first on the CPU")
    model = network(data_format=data_format)
    image = normal(24, 20, 2) if data_format == "channels_last" else normal(2, 24, 20)
    y = sliding_window(model, image, (24, 20), batch_size=1, verbose=False)
    assert np.array_equal(y, model.predict_on_batch(image[None])[0])


@pytest.mark.parametrize("flips", [False, True, (1,)])
def test_flips_compose_with_windows(flips):
    """By definition: each window of each flip alone, weighted and summed in double precision."""
    model, image, window = network(), normal(20, 29, 2), (12, 16)
    sets = {False: [()], True: [(), (0,), (1,), (0, 1)], (1,): [(), (1,)]}[flips]
    weights = importance(window, "gaussian").astype("float64")[..., None]
    total, count = np.zeros((20, 29, 3)), np.zeros((20, 29, 1))
    for row in starts(20, 12, 0.5):
        for column in starts(29, 16, 0.5):
            place = (slice(row, row + 12), slice(column, column + 16))
            for axes in sets:
                total[place] += weights * np.flip(as_numpy(model(np.flip(image[place], axes)[None].copy()))[0], axes)
                count[place] += weights
    y = sliding_window(model, image, window, flips=flips, batch_size=5, verbose=False)
    assert np.abs(y - total / count).max() < 1e-6 * np.abs(total / count).max() * 4
    one = sliding_window(model, image, window, flips=flips, batch_size=1, verbose=False)
    assert np.abs(y - one).max() < 1e-6 * np.abs(y).max() * 4


def test_flipping_the_picture_flips_the_result():
    model, image = network(), normal(40, 40, 2)
    y = sliding_window(model, image, 16, flips=True, verbose=False)
    mirrored = sliding_window(model, image[:, ::-1], 16, flips=True, verbose=False)
    assert np.abs(y - mirrored[:, ::-1]).max() < 1e-5
    assert np.abs(sliding_window(model, image, 16, verbose=False) - y).max() > 1e-2


def test_every_call_has_one_shape_and_the_last_batch_is_filled_up():
    shapes = []

    def model(x):
        shapes.append((x.shape, x.dtype.name))
        return pointwise(x)

    image = np.arange(3 * 37 * 21 * 3, dtype="uint8").reshape(3, 37, 21, 3)
    y = sliding_window(model, image, 16, batch_size=7, verbose=False)
    assert y.shape == (3, 37, 21, 4)
    assert np.abs(y - pointwise(image)).max() < 1e-4  # of 511
    windows = 3 * len(starts(37, 16, 0.5)) * len(starts(21, 16, 0.5))
    assert shapes == [((7, 16, 16, 3), "uint8")] * -(-windows // 7)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX alone compiles at each new shape")
def test_jax_compiles_once():
    traced = []

    class Counted(keras.layers.Layer):
        def call(self, x):
            traced.append(x.shape)
            return x * 2

    image = keras.Input((None, None, 1))
    model = keras.Model(image, Counted()(image))
    traced.clear()
    for size in ((70, 33), (16, 16), (9, 100)):
        sliding_window(model, normal(*size, 1), 16, flips=True, verbose=False)
    assert traced == [(4, 16, 16, 1)]


def test_starts_reach_both_ends():
    assert starts(16, 16, 0.5) == starts(3, 16, 0.5) == [0]
    assert starts(40, 16, 0.5) == [0, 8, 16, 24]
    assert starts(41, 16, 0.5) == [0, 8, 16, 24, 25]
    assert starts(18, 16, 0.999) == [0, 1, 2]


def test_the_weights_are_monais():
    weights = importance((8, 8), "gaussian")
    np.testing.assert_allclose(weights[3], [0.00193, 0.038774, 0.286505, 0.778801, 0.778801, 0.286505, 0.038774, 0.00193], atol=5e-7)
    assert weights.min() == np.float32(1e-3)
    for axes in ((0,), (1,), (0, 1)):
        np.testing.assert_allclose(np.flip(weights, axes), weights, atol=1e-7)  # flips average alike
    assert (importance((3, 5), "mean") == 1).all()


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.8])
def test_parts_add_to_one(overlap):
    grid, total = [starts(53, 16, overlap), starts(16, 16, overlap), starts(29, 10, overlap)], np.zeros((53, 16, 29))
    parts = Blend(grid, (16, 16, 10), "gaussian")
    for i in grid[0]:
        for j in grid[1]:
            for k in grid[2]:
                total[i : i + 16, j : j + 16, k : k + 10] += parts((i, j, k))
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_small_pictures_are_padded_in_the_middle_as_asked():
    seen = []

    def model(x):
        seen.append(x.copy())
        return x

    image = np.arange(1.0, 7, dtype="float32").reshape(2, 3, 1)
    for padding, expected in {
        "constant": [[0, 1, 2, 3, 0], [0, 4, 5, 6, 0], [0] * 5],
        "edge": [[1, 1, 2, 3, 3], [4, 4, 5, 6, 6], [4, 4, 5, 6, 6]],
        "reflect": [[2, 1, 2, 3, 2], [5, 4, 5, 6, 5], [2, 1, 2, 3, 2]],
    }.items():
        assert np.array_equal(sliding_window(model, image, (3, 5), padding=padding, batch_size=1, verbose=False), image)
        assert np.array_equal(seen.pop()[0, ..., 0], expected)


def test_activation_comes_before_the_mean():
    image = normal(20, 20, 3) * 5
    y = sliding_window(lambda x: x, image, 16, activation="softmax", verbose=False)
    expected = np.exp(image) / np.exp(image).sum(axis=-1, keepdims=True)
    assert np.abs(y - expected).max() < 1e-6
    first = sliding_window(lambda x: x, image.transpose(2, 0, 1), 16, activation="softmax", data_format="channels_first", verbose=False)
    assert np.abs(first - y.transpose(2, 0, 1)).max() < 1e-6


def test_out_may_be_a_file(tmp_path):
    image = normal(2, 40, 30, 2)
    path = tmp_path / "scores.npy"
    out = np.lib.format.open_memmap(path, "w+", "float32", (2, 40, 30, 3))
    out[...] = np.nan  # what is in it does not matter
    assert sliding_window(pointwise, image, 16, out=out, verbose=False) is out
    out.flush()
    expected = sliding_window(pointwise, image, 16, verbose=False)
    assert np.array_equal(np.load(path), expected)
    first = np.empty((2, 3, 40, 30), "float32")

    def turned(x):
        return np.moveaxis(pointwise(np.moveaxis(x, 1, -1)), -1, 1)

    sliding_window(turned, np.moveaxis(image, -1, 1), 16, out=first, data_format="channels_first", verbose=False)
    assert np.array_equal(first, np.moveaxis(expected, -1, 1))


@pytest.mark.parametrize("flips", [False, (1,)])
def test_a_large_picture_streams_into_a_file(flips, tmp_path):
    """4096x4096 from a file to a file of 128 MiB, in the memory of a few windows; what the files take of it the system can have back."""
    side, window = 4096, 256
    image = np.lib.format.open_memmap(tmp_path / "image.npy", "w+", "uint8", (side, side, 1))
    for row in range(0, side, window):
        image[row : row + window] = (np.arange(row, row + window)[:, None, None] // 7 + np.arange(side)[:, None]) % 251
    out = np.lib.format.open_memmap(tmp_path / "scores.npy", "w+", "float32", (side, side, 2))

    def model(x):
        return np.concatenate([x * np.float32(2), np.float32(250) - x], axis=-1)

    tracemalloc.start()
    sliding_window(model, image, window, 0.25, flips=flips, batch_size=2, out=out, verbose=False)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    scores = window * window * 2 * 4  # bytes of a window's
    print(f"{most / 2**20:.0f} MiB at most, {most / scores:.1f} windows; the result has {out.nbytes / 2**20:.0f} MiB")  # shown by -s
    assert most < 24 * scores < image.nbytes
    for row in range(0, side, window):
        x = np.asarray(image[row : row + window])
        assert np.abs(out[row : row + window] - model(x)).max() < 1e-3  # of 500


def test_several_outputs():
    image = keras.Input((None, None, 2))
    heads = {"mask": keras.layers.Conv2D(3, 1, name="mask")(image), "edges": keras.layers.Conv2D(1, 1, name="edges")(image)}
    x = normal(20, 20, 2)
    for outputs in (heads, list(heads.values())):
        model = keras.Model(image, outputs)
        with pytest.raises(ValueError, match=r"several outputs.*'(mask', 'edges|edges', 'mask)'.*output=None"):
            sliding_window(model, x, 16, verbose=False)
        with pytest.raises(ValueError, match="output='border'"):
            sliding_window(model, x, 16, output="border", verbose=False)
        assert sliding_window(model, x, 16, output="edges", verbose=False).shape == (20, 20, 1)
    assert sliding_window(model, x, 16, output=0, verbose=False).shape == (20, 20, 3)


def test_tensors_and_half_precision(mixed_bfloat16):
    model = network()
    x = normal(30, 30, 2)
    y = sliding_window(model, keras.ops.convert_to_tensor(x), 16, verbose=False)
    assert y.dtype == np.float32
    assert np.array_equal(y, sliding_window(model, x, 16, verbose=False))
    half = sliding_window(lambda batch: keras.ops.cast(batch, "bfloat16"), x, 16, verbose=False)
    assert np.abs(half - x).max() < 2**-8 * np.abs(x).max() * 1.1


def test_the_window_a_model_is_built_for_is_the_default():
    image = keras.Input((12, 10, 1))
    model = keras.Model(image, keras.layers.Conv2D(2, 1)(image))
    assert sliding_window(model, normal(30, 30, 1), verbose=False).shape == (30, 30, 2)
    with pytest.raises(ValueError, match=r"windows of \(12, 10\) only.*window=16"):
        sliding_window(model, normal(30, 30, 1), 16, verbose=False)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.layer = keras.layers.Conv2D(3, 3, padding="same")

    def call(self, x):
        return self.layer(x)


@pytest.mark.parametrize("make", [Subclassed, lambda: keras.Sequential([keras.layers.Conv2D(3, 3, padding="same")])])
def test_models_that_do_not_know_their_input(make):
    model = make()
    y = sliding_window(model, normal(30, 20, 2), (30, 20), batch_size=1, verbose=False)
    assert np.array_equal(y, model.predict_on_batch(normal(30, 20, 2)[None])[0])


def test_the_bar_counts_windows(capsys):
    sliding_window(pointwise, normal(32, 16, 1), 16, flips=True, verbose=True)
    assert "/12 " in capsys.readouterr().err
    sliding_window(pointwise, normal(32, 16, 1), 16, verbose=False)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_named_before_the_first_window(value):
    image = normal(2, 40, 30, 3)
    image[1, 17, 21, 2] = value
    calls = []
    with pytest.raises(ValueError, match=f"{value} at height 17, width 21, channel 2 of picture 1"):
        sliding_window(calls.append, image, 16, verbose=False)
    with pytest.raises(ValueError, match=r"height 17, width 21, channel 2\. np"):
        sliding_window(calls.append, image[1], 16, verbose=False)
    assert calls == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (dict(window=0), "window=0"),
        (dict(window=(16, 16, 16)), "shape"),
        (dict(window=(16,)), "window"),
        (dict(overlap=1.0), "overlap"),
        (dict(overlap=-0.1), "overlap"),
        (dict(overlap=(0.5,)), "overlap"),
        (dict(flips=(2,)), "flips"),
        (dict(flips=(0, 0)), "flips"),
        (dict(flips="yes"), "flips"),
        (dict(batch_size=0), "batch_size"),
        (dict(blend="linear"), "blend"),
        (dict(padding="wrap"), "padding"),
        (dict(activation="nothing"), "activation"),
        (dict(output="mask"), "has one"),
        (dict(verbose=1), "verbose"),
        (dict(data_format="last"), "data_format"),
        (dict(out=np.zeros((20, 20, 3), "float64")), r"\(20, 20, 3\).*float64"),
        (dict(out=np.zeros((20, 20, 2), "float32")), r"shape=\(20, 20, 2\)"),
        (dict(image=np.zeros((20, 20))), r"image\[..., None\]"),
        (dict(image=np.zeros((0, 20, 2))), "none of them 0"),
        (dict(image=[[1.0]]), "list"),
        (dict(image=np.zeros((20, 20, 2), "complex64")), "complex64"),
        (dict(model="unet"), "model"),
        (dict(model=lambda x: x[:, ::2, ::2]), r"stride 1.*\(4, 8, 8, 2\).*\(4, 16, 16, 2\)"),
        (dict(model=lambda x: x[..., 0]), "classes"),
        (dict(model=lambda x: None), "tensor of scores. Received: NoneType"),
    ],
)
def test_errors(arguments, says):
    settings = dict(model=pointwise, image=normal(20, 20, 2), window=16, verbose=False) | arguments
    with pytest.raises(ValueError, match=says):
        sliding_window(**settings)


def test_errors_of_models():
    with pytest.raises(ValueError, match=r"takes 3 channels.*\(20, 20, 2\)"):
        sliding_window(network(channels=3), normal(20, 20, 2), verbose=False)
    whole = network()
    half = keras.Model(whole.input, keras.layers.AveragePooling2D(2)(whole.output))
    with pytest.raises(ValueError, match=r"stride 1.*\(4, 8, 8, 3\)"):
        sliding_window(half, normal(20, 20, 2), 16, verbose=False)
    inputs = [keras.Input((4, 4, 1)), keras.Input((4, 4, 1))]
    with pytest.raises(ValueError, match="one input"):
        sliding_window(keras.Model(inputs, keras.layers.Add()(inputs)), normal(20, 20, 1), verbose=False)
