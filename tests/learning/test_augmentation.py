"""Augmentation against its definitions, Pillow's operations, and the same numbers on every backend."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_resnet.backend.compiled import compiled
from keras_resnet.learning import Batches, Mix, PadAndCrop, RandAugment, RandomErasing, RandomResizedCrop, TrivialAugment
from keras_resnet.learning.augmentation.draws import Draws, quantiles, seed_of
from tests.arrays import as_numpy
from tests.quick import quick_on_torch


def draws(*numbers: int) -> Draws:
    return Draws(seed_of(numbers or (0,)))


def places(count: int, height: int, width: int) -> np.ndarray:
    """Pictures whose channels are a pixel's row, its column, and 1."""
    rows, columns = np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij")
    return np.repeat(np.stack([rows, columns, np.ones_like(rows)], -1)[None], count, 0).astype("float32")


def changed(layer, images, *numbers: int) -> np.ndarray:
    return as_numpy(layer.change(keras.ops.convert_to_tensor(images), draws(*numbers)))


def test_numbers_are_the_same_on_every_backend():
    def numbers(seed, other):
        these = Draws((seed[0], seed[1]))
        found = these.bits(4), these.uniform(3), these.normal(3), these.beta(0.2, 3), these.below(5, 8)
        return *found, Draws((other[0], other[1])).bits(2)

    seeds = np.array([7, 3], "int32"), np.array([-1, 2**31 - 1], "int32")
    bits, uniform, normal, beta, below, others = map(as_numpy, compiled(numbers)(*map(keras.ops.convert_to_tensor, seeds)))
    assert bits.tolist() == [641767359, 459822155, -160658310, -297780888]
    assert others.tolist() == [-1810133066, -190479736]
    assert below.tolist() == [0, 2, 0, 1, 1, 3, 2, 3]
    np.testing.assert_allclose(uniform, [0.5455678, 0.60983497, 0.291862], rtol=1e-6)
    np.testing.assert_allclose(normal, [-0.55776775, -0.628278, -0.99312013], rtol=1e-5)
    np.testing.assert_allclose(beta, [9.7099137e-01, 1.6724516e-05, 4.8253241e-05], rtol=1e-5)


@quick_on_torch
def test_numbers_are_random():
    these = draws(1)
    u = as_numpy(these.uniform(200_000)).astype("float64")
    counts = np.histogram(u, 100, (0, 1))[0]
    assert ((counts - 2000) ** 2 / 2000).sum() < 150  # chi-square of 99: beyond 148 in one of a thousand
    again = as_numpy(draws(2).uniform(200_000))
    for one, other in ((u[1:], u[:-1]), (u[256:], u[:-256]), (u, again), (u, as_numpy(these.uniform(200_000)))):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.01  # 4.5 deviations
    normal = as_numpy(these.normal(100_000))
    assert abs(normal.mean()) < 0.015
    assert abs(normal.std() - 1) < 0.01
    assert (abs((normal > 2).mean() - 0.02275)) < 0.002


@quick_on_torch
@pytest.mark.parametrize("alpha", [1e-9, 0.1, 0.2, 1.0, 3.0, 100.0, 1e6])
def test_quantiles_of_beta(alpha):
    table = quantiles(alpha).astype("float64")
    assert (np.diff(table) >= 0).all()
    middle = (table[1:] + table[:-1]) / 2
    assert alpha > 10 or (table[0] == 0 and table[-1] == 1)
    assert middle.mean() == pytest.approx(0.5, abs=1e-6)
    assert middle.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=2e-3 if alpha < 10 else 5e-3)
    assert ((middle - 0.5) ** 4).mean() == pytest.approx(3 / (16 * (2 * alpha + 1) * (2 * alpha + 3)), rel=2e-3 if alpha < 10 else 2e-2)


@quick_on_torch
def test_pad_and_crop():
    images = places(64, 6, 7)
    found = changed(PadAndCrop(2, fill=-9.0), images)
    starts, mirrored = [], 0
    for one in found:
        one, back = (one, False) if np.diff(one[:, :, 1][one[:, :, 2] == 1][:2])[0] > 0 else (one[:, ::-1], True)
        mirrored += back
        inside = np.argwhere(one[:, :, 2] == 1)[0]
        start = (one[tuple(inside)][:2] - 0.5 - inside).astype(int)
        starts.append((int(start[0]), int(start[1])))
        wide = np.pad(images[0], ((2, 2), (2, 2), (0, 0)), constant_values=-9)
        np.testing.assert_array_equal(one, wide[start[0] + 2 : start[0] + 8, start[1] + 2 : start[1] + 9])
    assert {row for row, _ in starts} == {column for _, column in starts} == {-2, -1, 0, 1, 2}
    assert len(set(starts)) > 12  # of 25: rows and columns apart
    assert 20 < mirrored < 44
    assert changed(PadAndCrop(2), images.astype("uint8")).dtype == np.uint8


@quick_on_torch
@pytest.mark.parametrize("dtype", ["float32", "uint8", "bfloat16"])
def test_pad_and_crop_by_reflection(dtype):
    images = np.random.default_rng(0).integers(0, 200, (1, 6, 7, 3)).repeat(32, 0)
    found = as_numpy(ops.cast(PadAndCrop(2, flip=False, mode="reflect")(ops.cast(images, dtype), training=True), "float32"))
    wide = np.pad(images[0], ((2, 2), (2, 2), (0, 0)), mode="reflect")
    parts = [wide[i : i + 6, j : j + 7] for i in range(5) for j in range(5)]
    assert all(any((one == part).all() for part in parts) for one in found)
    assert any((one != images[0]).any() for one in found)
    with pytest.raises(ValueError, match=r"`padding` must be at most 5 for pictures of 6 x 7 and mode='reflect'. Received: padding=6"):
        PadAndCrop(6, mode="reflect")(images.astype("float32"), training=True)


def boxes(found: np.ndarray) -> np.ndarray:
    """Top, left, height and width of what pictures of `places` were cut from, and whether mirrored."""
    size = found.shape[1]
    down = (found[:, -1, 0, 0] - found[:, 0, 0, 0]) / (size - 1) * size
    across = (found[:, 0, -1, 1] - found[:, 0, 0, 1]) / (size - 1) * size
    middle = found[:, :, :, :2].mean((1, 2))
    return np.stack([middle[:, 0] - down / 2, middle[:, 1] - abs(across) / 2, down, abs(across), across < 0], 1)


@quick_on_torch
def test_random_resized_crop():
    layer = RandomResizedCrop(8, area=(0.2, 0.5))
    images = places(200, 40, 60)
    # Enlarged parts would hold at their border, so that lines would bend: as small as 8 none is.
    found = changed(layer, images)
    assert found.shape == (200, 8, 8, 3)
    top, left, height, width, mirrored = boxes(found).T
    for value in (top, left, height, width):
        np.testing.assert_allclose(value, np.round(value), atol=2e-3)
    assert top.min() >= -2e-3
    assert left.min() >= -2e-3
    assert (top + height).max() <= 40.01
    assert (left + width).max() <= 60.01
    area, ratio = height * width / 2400, width / height
    assert 0.18 < area.min() < 0.25
    assert 0.45 < area.max() < 0.52
    assert 0.34 < area.mean() < 0.37
    assert 0.7 < ratio.min() < 0.8
    assert 1.25 < ratio.max() < 1.4
    assert abs(np.log(ratio).mean()) < 0.04
    assert 75 < mirrored.sum() < 125
    still = as_numpy(layer(images[:2], training=False))
    np.testing.assert_allclose(boxes(still), [[0, 0, 40, 60, 0]] * 2, atol=1e-3)


@quick_on_torch
def test_a_crop_that_never_fits_is_in_the_middle():
    """A picture ten times as wide as high, of which all is wanted."""
    found = boxes(changed(RandomResizedCrop(4, area=(1.0, 1.0), flip=False), places(3, 12, 120)))
    np.testing.assert_allclose(found, [[0, 52, 12, 16, 0]] * 3, atol=1e-3)


@quick_on_torch
def test_random_erasing():
    images = np.ones((400, 20, 30, 2), "float32")
    found = changed(RandomErasing(0.5, area=(0.1, 0.3), fill=-1.0), images)
    hit = (found == -1).any((1, 2, 3))
    assert 160 < hit.sum() < 240
    areas, ratios = [], []
    for one in found[hit]:
        rows, columns = np.nonzero((one[:, :, 0] == -1).any(1))[0], np.nonzero((one[:, :, 0] == -1).any(0))[0]
        box = one[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert (box == -1).all()
        areas.append(box[:, :, 0].size / 600)
        ratios.append(box.shape[0] / box.shape[1])
    assert min(areas) > 0.085
    assert max(areas) < 0.33
    assert 0.17 < np.mean(areas) < 0.22
    assert min(ratios) > 0.25
    assert max(ratios) < 4
    noisy = changed(RandomErasing(1.0, area=(0.5, 0.6), ratio=(1.0, 1.0), fill="normal"), images[:2])
    erased = noisy[noisy != 1]
    assert abs(erased.mean()) < 0.15
    assert abs(erased.std() - 1) < 0.15


@quick_on_torch
@pytest.mark.parametrize("per", ["image", "batch"])
def test_mix_up(per):
    images = np.arange(8, dtype="float32").reshape(8, 1, 1, 1) * np.ones((8, 4, 4, 1), "float32")
    labels = np.arange(8)
    found, targets = map(as_numpy, Mix(8, mixup=0.5, cutmix=0, per=per).change((images, labels), draws()))
    share = targets[np.arange(8), labels]
    np.testing.assert_allclose(targets.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(targets[np.arange(8), labels[::-1]], 1 - share, atol=1e-6)
    np.testing.assert_allclose(found[:, 0, 0, 0], share * labels + (1 - share) * labels[::-1], rtol=1e-5, atol=1e-6)
    assert len(set(share.round(5).tolist())) == (8 if per == "image" else 1)
    assert found.std((1, 2, 3)).max() < 1e-6


@quick_on_torch
def test_cut_mix_weighs_what_it_pastes():
    images = np.arange(64, dtype="float32").reshape(64, 1, 1, 1) * np.ones((64, 9, 12, 1), "float32")
    labels = np.arange(64)[:, None]
    found, targets = map(as_numpy, Mix(64, mixup=0, smoothing=0.1).change((images, labels), draws()))
    own = (found == images).mean((1, 2, 3))
    expected = 0.9 * (own[:, None] * np.eye(64) + (1 - own)[:, None] * np.eye(64)[::-1]) + 0.1 / 64
    np.testing.assert_allclose(targets, expected, atol=1e-6)
    assert ((found == images) | (found == images[::-1])).all()
    for one, picture in zip(found, images, strict=True):
        pasted = (one != picture)[:, :, 0]
        assert pasted.sum() == pasted.any(1).sum() * pasted.any(0).sum()  # one box
    assert 0.55 < own.mean() < 0.8  # 0.5 but for what is beyond the border


@quick_on_torch
def test_the_switch_and_the_chance():
    images = np.arange(200, dtype="float32").reshape(200, 1, 1, 1) * np.ones((200, 8, 8, 1), "float32") + 1
    found, targets = map(as_numpy, Mix(200, 1.0, 1.0, switch=0.3, chance=0.8).change((images, np.arange(200)), draws(5)))
    blended = (found.std((1, 2, 3)) < 1e-3) & (np.abs(found - images).max((1, 2, 3)) > 1e-3)
    untouched = targets.max(1) == 1
    assert 0.45 < blended.mean() < 0.67  # 0.8 * 0.7
    assert 0.12 < untouched.mean() < 0.3  # and boxes of less than a pixel
    one, soft = Mix(3, smoothing=0.1)((images[:2], np.array([0, 2])), training=False)
    assert as_numpy(soft).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert (as_numpy(one) == images[:2]).all()


LAYERS = {
    "crop": lambda: PadAndCrop(2),
    "reflected": lambda: PadAndCrop(2, mode="reflect"),
    "resized": lambda: RandomResizedCrop(8),
    "erasing": lambda: RandomErasing(0.7, fill="normal"),
    "rand_augment": lambda: RandAugment(),
    "cutout": lambda: RandAugment(6, translate=0.6, cutout=0.25),
    "trivial_augment": lambda: TrivialAugment(),
    "mix": lambda: Mix(5, 0.5, 1.0),
}
# Sums over what each makes of the same two batches, from PyTorch: other backends make the same pictures.
SUMS = {
    "crop": -680.429,
    "reflected": 1030.243,
    "resized": -894.000,
    "erasing": -7795.105,
    "rand_augment": -6412.546,
    "cutout": -654.783,
    "trivial_augment": -5396.472,
    "mix": -3653.666,
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_same_pictures_on_every_backend(name):
    images = np.random.default_rng(0).integers(0, 256, (6, 12, 12, 3)).astype("float32")
    layer = LAYERS[name]()
    labels = np.array([0, 3, 1, 4, 2, 2], "int32")

    def change(images, labels, seed):
        draws = Draws((seed[0], seed[1]))
        return keras.tree.flatten(layer.change((images, labels) if name == "mix" else images, draws))

    together, total = compiled(change), 0.0
    for number in range(2):
        seed = np.array([3, number], "int32")
        for found in together(*map(keras.ops.convert_to_tensor, (images, labels, seed))):
            found = as_numpy(found).astype("float64").ravel()
            total += (found * np.cos(np.arange(found.size))).sum()
    print(name, total)  # shown by -s
    assert total == pytest.approx(SUMS[name], abs=0.05)


@quick_on_torch
@pytest.mark.parametrize("name", ["crop", "resized", "erasing", "rand_augment", "trivial_augment"])
def test_a_layer_by_its_seed(name):
    images = np.random.default_rng(0).integers(0, 256, (6, 12, 12, 3)).astype("float32")
    layer = type(LAYERS[name]()).from_config({**LAYERS[name]().get_config(), "seed": 5})
    first, second = as_numpy(layer(images, training=True)), as_numpy(layer(images, training=True))
    assert (first != second).any()
    again = type(layer).from_config(layer.get_config())
    np.testing.assert_array_equal(as_numpy(again(images, training=True)), first)
    assert tuple(layer.compute_output_shape(images.shape)) == first.shape
    if name != "resized":
        np.testing.assert_array_equal(as_numpy(layer(images)), images)


def test_in_a_model_only_training_is_augmented(tmp_path):
    chain = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            PadAndCrop(1, seed=1),
            RandomErasing(1.0, fill=200.0, seed=2),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    chain.compile("sgd", "mse")
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    plain = as_numpy(chain(images))
    chain.fit(images, np.zeros((4, 2)), verbose=0, epochs=2)
    states = [as_numpy(layer.generator.state).tolist() for layer in chain.layers[:2]]
    assert states == [[1, 2], [2, 2]]  # once a step
    np.testing.assert_array_equal(as_numpy(chain(images)), as_numpy(chain(images)))
    assert (as_numpy(chain(images)) != plain).any()  # it has learned
    chain.save(tmp_path / "model.keras")
    np.testing.assert_allclose(as_numpy(keras.saving.load_model(tmp_path / "model.keras")(images)), as_numpy(chain(images)), rtol=1e-5)


def test_in_tf_data():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the pipeline of TensorFlow")
    tf = pytest.importorskip("tensorflow")
    layer = PadAndCrop(1, seed=1)
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    data = tf.data.Dataset.from_tensor_slices(images).batch(2).map(lambda x: layer(x, training=True))
    found = [one.numpy() for one in data]
    twin = PadAndCrop(1, seed=1)
    np.testing.assert_array_equal(found[0], as_numpy(twin(images[:2], training=True)))
    np.testing.assert_array_equal(found[1], as_numpy(twin(images[2:], training=True)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PadAndCrop(mode="edge"), "`mode` must be one of 'constant', 'reflect'"),
        (lambda: PadAndCrop(0), "`padding` must be an integer of at least 1"),
        (lambda: PadAndCrop(seed=-1), "`seed` must be an integer from 0"),
        (lambda: PadAndCrop()(np.zeros((8, 8, 3), "float32")), r"PadAndCrop takes pictures .* Received: shape=\(8, 8, 3\)"),
        (lambda: RandomResizedCrop(0), "`size` must be an integer of at least 1, or two"),
        (lambda: RandomResizedCrop(8, area=(0.5, 1.5)), "`area` must be two numbers above 0 and at most 1"),
        (lambda: RandomResizedCrop(8, ratio=(2, 1)), "`ratio` must be two numbers above 0, the smaller one first"),
        (lambda: RandomErasing(1.5), "`chance` must be a number from 0"),
        (lambda: RandomErasing(fill="noise"), "`fill` must be a finite number, or 'normal'"),
        (lambda: Mix(2, mixup=0, cutmix=0), "One of `mixup` and `cutmix` must be above 0"),
        (lambda: Mix(2, per="pixel"), "`per` must be one of 'image', 'batch'"),
        (lambda: Mix(2)(np.zeros((2, 8, 8, 3))), r"Mix takes \(images, labels\)"),
        (
            lambda: Mix(3)((np.zeros((2, 8, 8, 3)), np.zeros((2, 4))), training=True),
            "Labels must have the shape",
        ),
        (lambda: RandAugment(magnitude=11), "`magnitude` must be a number from 0"),
        (lambda: RandAugment(cutout=1.5), "`cutout` must be a number from 0"),
        (lambda: RandAugment(translate=-0.1), "`translate` must be a number from 0"),
        (lambda: RandAugment()(np.zeros((2, 8, 8, 2))), "RandAugment takes pictures of 1 or 3 channels"),
        (lambda: TrivialAugment()(np.zeros((2, 8, 8, 2))), "TrivialAugment takes pictures of 1 or 3 channels"),
        (lambda: Batches(np.zeros((3, 8, 8, 3)), [1]), "3 images, 1 labels"),
        (lambda: Batches(np.zeros((1, 8, 8, 3)), [1], PadAndCrop()), r"`augment` must be a list of augmentations"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
