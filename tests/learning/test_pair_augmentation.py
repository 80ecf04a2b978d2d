"""A picture and its mask are changed alike: same geometry, no new labels, the same by seed, in every kind of loader."""

import itertools
import pickle

import keras
import numpy as np
import pytest

from keras_resnet.learning.pair_augmentation import CHANCES, PairAugmentation
from tests.arrays import normal
from tests.learning.made_pairs import labels, ramp

FULL = dict(
    flip=True,
    scale=(0.7, 1.4),
    rotation=30,
    elastic=4,
    elastic_spacing=48,
    brightness=0.2,
    contrast=0.25,
    gamma=(0.7, 1.5),
    noise=0.1,
    blur=1.0,
    low_resolution=(0.5, 1.0),
    inverted_gamma=(0.7, 1.5),
    chance=1,
)
GEOMETRY = [
    dict(flip=True),
    dict(flip=(1,)),
    dict(crop=32),
    dict(crop=32, foreground=1.0),
    dict(scale=(0.5, 2.0), chance=1),
    dict(rotation=180, chance=1),
    dict(elastic=3, chance=1),
    dict(crop=48, foreground=0.5, flip=True, scale=(0.7, 1.4), rotation=30, elastic=3, chance=1),
    dict(crop=80, scale=(0.7, 1.4), rotation=30),
]
SETTINGS = pytest.mark.parametrize("settings", GEOMETRY, ids=str)


@SETTINGS
@pytest.mark.parametrize("shape", [(64, 70), (24, 40, 36)])
def test_mask_and_picture_have_one_geometry(settings, shape):
    """The mask's labels are places too: along each axis it says to half a pixel what the picture says."""
    image, settings = ramp(*shape), settings | (dict(crop=settings["crop"] // 3) if len(shape) == 3 and "crop" in settings else {})
    augment = PairAugmentation(**settings, ignore_label=-1)
    moved = 0
    for seed in range(4):
        for axis in range(len(shape)):
            new, mask = augment(image, image[..., axis].astype("int32"), seed=seed)
            assert new.shape[:-1] == mask.shape
            inside = mask >= 0
            assert inside.mean() > 0.3
            assert np.abs(new[..., axis][inside] - mask[inside]).max() <= 0.5 + 1e-3
            assert (new[~inside] == 0).all()
            moved += new.shape != image.shape or not np.array_equal(new, image)
    assert moved > 0


@SETTINGS
@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "uint16"])
def test_masks_gain_no_labels_and_keep_their_type_and_axis(settings, dtype):
    mask = (labels(64, 70) * 50).astype(dtype)
    for seed in range(6):
        for one in (mask, mask[..., None]):
            new = PairAugmentation(**settings)(normal(64, 70, 1), one, seed=seed)[1]
            assert new.dtype == dtype
            assert set(np.unique(new)) <= {0, 50, 100, 150, 255}
            assert new.ndim == one.ndim


def test_a_picture_that_equals_its_mask_still_does():
    """Of whole pixels exactly: crops and flips move no value."""
    mask = labels(64, 70)
    augment = PairAugmentation(crop=(40, 90), foreground=0.5, flip=True, fill=255)
    for seed in range(10):
        image, new = augment(mask[..., None], mask, seed=seed)
        assert np.array_equal(image[..., 0], new)
        assert image.dtype == new.dtype == np.uint8
        assert (new == 255).sum() >= 40 * 20


@pytest.mark.parametrize("dims", [2, 3])
def test_flips_are_those_of_the_axes(dims):
    image, seen = normal(*(4, 5, 6)[:dims], 2), set()
    mask = np.arange(image[..., 0].size).reshape(image.shape[:-1])
    for seed in range(60):
        new, new_mask = PairAugmentation(flip=True)(image, mask, seed=seed)
        (axes,) = (
            axes
            for count in range(dims + 1)
            for axes in itertools.combinations(range(dims), count)
            if np.array_equal(new, np.flip(image, axes))
        )
        assert np.array_equal(new_mask, np.flip(mask, axes))
        seen.add(axes)
    assert len(seen) == 2**dims


def test_crops_reach_every_place_and_stay_inside():
    image = ramp(10, 12)
    corners = {tuple(PairAugmentation(crop=(4, 9))(image, image[..., 0].astype(int), seed=seed)[0][0, 0]) for seed in range(300)}
    assert corners == set(itertools.product(range(7), range(4)))


@pytest.mark.parametrize("settings", [dict(), dict(scale=(0.6, 1.6), rotation=180, chance=1)])
@pytest.mark.parametrize("shape", [(100, 90), (30, 40, 50)])
def test_crops_hold_foreground_where_asked(settings, shape):
    mask = np.zeros(shape, "uint8")
    mask[(3,) * len(shape)] = 1  # a pixel at the border: shrunk, nearest may step over it
    mask[tuple(slice(-9, -3) for _ in shape)] = 2
    mask[(shape[0] // 2, *(slice(None),) * (len(shape) - 1))] = 255
    image = np.zeros((*shape, 1), "float32")
    forced = PairAugmentation(crop=16, foreground=1.0, **settings)
    found = [set(np.unique(forced(image, mask, seed=seed)[1])) for seed in range(60)]
    if not settings:
        assert all(one & {1, 2} for one in found)
        assert 15 < sum(1 in one for one in found) < 45  # each label alike, however few pixels it has
    else:
        assert sum(2 in one for one in found) >= 20
    free = PairAugmentation(crop=16, **settings)
    assert sum(bool(set(np.unique(free(image, mask, seed=seed)[1])) & {1, 2}) for seed in range(60)) < 30
    empty = np.where(mask == 255, mask, 0)
    assert set(np.unique(forced(image, empty, seed=0)[1])) <= {0, 255}


def test_pixels_from_outside_are_ignored():
    image, mask = np.ones((20, 20, 1), "float32"), np.ones((20, 20), "uint8")
    new, new_mask = PairAugmentation(crop=30, fill=-2)(image, mask, seed=0)
    assert (new_mask[5:25, 5:25] == 1).all()
    assert (new_mask == 255).sum() == 500
    assert np.array_equal(new[..., 0] == -2, new_mask == 255)
    new, new_mask = PairAugmentation(scale=(0.5, 0.5), chance=1, fill=-2, ignore_label=9)(image, mask, seed=0)
    assert (new_mask == 1).sum() == 100
    assert np.array_equal(new[..., 0] == -2, new_mask == 9)


@pytest.mark.parametrize("fill", [-3.0, 300.0, 7.4])
def test_fill_in_whole_numbers(fill):
    image, mask = np.full((10, 10, 1), 9, "uint8"), np.zeros((10, 10), "uint8")
    expected = {9, int(np.clip(round(fill), 0, 255))}
    assert set(np.unique(PairAugmentation(crop=14, fill=fill)(image, mask, seed=0)[0])) == expected
    assert set(np.unique(PairAugmentation(scale=(0.5, 0.5), fill=fill, chance=1)(image, mask, seed=0)[0])) == expected


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64", "float16"])
@pytest.mark.parametrize("name", CHANCES[3:])
def test_colours_change_the_picture_alone_and_keep_its_type(name, dtype):
    image = (255 * np.clip(0.5 + 0.2 * normal(32, 30, 3), 0, 1)).astype(dtype)
    mask = labels(32, 30)
    augment = PairAugmentation(**{name: FULL[name]}, chance=1)
    new = [augment(image, mask, seed=seed) for seed in range(5)]
    assert all(np.array_equal(one[1], mask) for one in new)
    assert {one[0].dtype for one in new} == {np.dtype(dtype)}
    assert len({one[0].tobytes() for one in new}) >= 4  # a kernel narrower than a tenth of a pixel does nothing
    kept = PairAugmentation(**{name: FULL[name]}, chance=0)(image, mask, seed=0)[0]
    assert np.array_equal(kept, image)


def test_what_the_colours_do():
    image = np.linspace(0, 1, 300, dtype="float32").reshape(10, 10, 3)
    mask = np.zeros((10, 10), "uint8")

    def changed(seed, **settings):
        return PairAugmentation(**settings, chance=1)(image, mask, seed=seed)[0]

    for seed in range(5):
        shift = changed(seed, brightness=0.2) - image
        assert np.ptp(shift) < 1e-6
        assert 0 < np.abs(shift).max() <= 0.2
        contrast = changed(seed, contrast=0.25)
        np.testing.assert_allclose(contrast.mean(axis=(0, 1)), image.mean(axis=(0, 1)), atol=1e-5)
        assert 0.75 <= contrast.std() / image.std() <= 1.25
        gamma = changed(seed, gamma=(2.0, 2.0))
        assert np.abs(gamma - image**2).max() < 1e-6
        noise = PairAugmentation(noise=0.1, chance=1)(np.tile(image, (10, 10, 1)), np.zeros((100, 100), int), seed=seed)[0]
        assert (noise - np.tile(image, (10, 10, 1))).std() < 0.102
    wide = image * 1000 - 300  # of other pictures the range is their own
    np.testing.assert_allclose(PairAugmentation(gamma=(2.0, 2.0), chance=1)(wide, mask, seed=0)[0], image**2 * 1000 - 300, atol=1e-3)
    flat = np.full((8, 8, 1), 7.0, "float32")
    assert np.array_equal(PairAugmentation(gamma=(0.5, 0.5), noise=0.5, chance=1)(flat, mask[:8, :8], seed=0)[0], flat)


def test_a_seed_is_a_picture_and_the_global_state_stays():
    image, mask, augment = normal(64, 64, 3), labels(64, 64), PairAugmentation(**FULL, crop=40, foreground=0.5)
    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    first = augment(image, mask, seed=7)
    for seed in (7, np.int64(7), np.array(7), [7], (7,)):
        again = pickle.loads(pickle.dumps(augment))(image, mask, seed=seed)
        assert all(np.array_equal(one, other) for one, other in zip(first, again))
    assert not np.array_equal(augment(image, mask, seed=(7, 1))[0], first[0])
    assert not np.array_equal(augment(image, mask)[0], augment(image, mask)[0])
    assert np.array_equal(np.random.get_state()[1], before)


def test_what_came_in_stays_and_shares_no_memory():
    image, mask = normal(32, 32, 1), labels(32, 32)
    copies = image.copy(), mask.copy()
    for settings in (dict(), dict(flip=True), dict(crop=16), FULL):
        new = PairAugmentation(**settings)(image, mask, seed=1)
        assert not any(np.shares_memory(one, other) for one, other in zip((image, mask), new))
        assert all(one.flags.c_contiguous for one in new)  # PyTorch takes no negative strides
        for one in new:
            one[...] = 0
        assert np.array_equal(image, copies[0])
        assert np.array_equal(mask, copies[1])


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="needs TensorFlow")
def test_in_tf_data():
    import tensorflow as tf

    image, mask, augment = normal(40, 40, 3), labels(40, 40), PairAugmentation(**FULL, crop=32)
    data = tf.data.Dataset.from_tensors((image, mask)).repeat(3).enumerate()
    data = data.map(
        lambda i, pair: tf.numpy_function(augment, (*pair, i), (pair[0].dtype, pair[1].dtype)), num_parallel_calls=2, deterministic=True
    )
    for i, pair in enumerate(data):
        assert all(np.array_equal(one.numpy(), other) for one, other in zip(pair, augment(image, mask, seed=i)))


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="needs PyTorch")
def test_in_workers_of_torch():
    import torch

    image, mask, augment = normal(40, 40, 3), labels(40, 40), PairAugmentation(**FULL, crop=32)

    class Pictures(torch.utils.data.Dataset):
        def __init__(self, seeded):
            self.seeded = seeded

        def __len__(self):
            return 6

        def __getitem__(self, i):
            return augment(image, mask, seed=i if self.seeded else None)

    def loaded(seeded):
        loader = torch.utils.data.DataLoader(Pictures(seeded), batch_size=1, num_workers=2, multiprocessing_context="fork")
        return [(x[0].numpy(), y[0].numpy()) for x, y in loader]

    for i, (x, y) in enumerate(loaded(True)):
        expected = augment(image, mask, seed=i)
        assert np.array_equal(x, expected[0])
        assert np.array_equal(y, expected[1])
    assert len({x.tobytes() for x, _ in loaded(False)}) == 6  # forked workers do not draw the same numbers
    new = augment(torch.from_numpy(image), torch.from_numpy(mask), seed=0)
    assert np.array_equal(new[0], augment(image, mask, seed=0)[0])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (dict(crop=0), "crop"),
        (dict(crop=(16,)), "crop"),
        (dict(crop=(16.5, 16)), "crop"),
        (dict(flip="yes"), "flip"),
        (dict(flip=(0, 0)), "flip"),
        (dict(flip=(3,)), "flip"),
        (dict(scale=0.5), "scale"),
        (dict(scale=(0, 1)), "scale"),
        (dict(scale=(1.4, 0.7)), "scale"),
        (dict(gamma=(0.5, np.nan)), "gamma"),
        (dict(rotation=-5), "rotation"),
        (dict(rotation=(5, 5)), "rotation"),
        (dict(elastic=-1), "elastic"),
        (dict(elastic_spacing=0), "elastic_spacing"),
        (dict(contrast=1.5), "contrast"),
        (dict(noise="some"), "noise"),
        (dict(foreground=1.5), "foreground` must be a number from 0 to 1. Received: foreground=1.5"),
        (dict(chance=2), r"chance\['scale'\]` must be a number from 0 to 1. Received"),
        (dict(chance={"crop": 0.5}), "chance"),
        (dict(chance={"noise": -1}), r"chance\['noise'\]"),
        (dict(ignore_label=2.0), "ignore_label"),
        (dict(background=True), "background"),
        (dict(fill=np.nan), "fill"),
    ],
)
def test_errors_of_arguments(arguments, says):
    with pytest.raises(ValueError, match=f"`?{says}"):
        PairAugmentation(**arguments)


@pytest.mark.parametrize(
    ("image", "mask", "says"),
    [
        (np.zeros((8, 8)), np.zeros((8, 8), int), r"image\[..., None\]"),
        (np.zeros((8, 8, 8)), np.zeros((8, 8, 8), int), r"image\[..., None\]"),
        (np.zeros((8, 9, 3)), np.zeros((9, 8), int), r"image's sizes \(8, 9\).*mask \(9, 8\)"),
        (np.zeros((8, 8, 3)), np.zeros((8, 8, 4), int), "argmax"),
        (np.zeros((8, 8, 3)), np.zeros((8, 8)), "float64.*"),
        (np.zeros((0, 8, 3)), np.zeros((0, 8), int), "shape"),
        (np.zeros((8, 8, 3), "complex64"), np.zeros((8, 8), int), "complex64"),
        (None, None, "`image` must be an array or a tensor.*Received: NoneType"),
        (np.zeros((8, 8, 3)), "mask.png", "`mask` must be an array or a tensor.*Received: str"),
    ],
)
def test_errors_of_pairs(image, mask, says):
    with pytest.raises(ValueError, match=says):
        PairAugmentation()(image, mask)


def test_errors_at_the_call():
    image, mask = normal(8, 8, 1), labels(8, 8)
    with pytest.raises(ValueError, match="crop"):
        PairAugmentation(crop=(4, 4, 4))(image, mask)
    with pytest.raises(ValueError, match="axes"):
        PairAugmentation(flip=(2,))(image, mask)
    for seed in (-1, 1.5, "one", []):
        with pytest.raises(ValueError, match="seed"):
            PairAugmentation()(image, mask, seed=seed)
    for wrong in (mask > 1, mask.astype("int8")):
        with pytest.raises(ValueError, match=r"ignore_label=255.*astype"):
            PairAugmentation(crop=16)(image, wrong)
        assert PairAugmentation(crop=4, flip=True)(image, wrong)[1].dtype == wrong.dtype
