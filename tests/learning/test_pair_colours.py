"""What the colours of pairs do that nnU-Net's plan asks for; without them a seed gives the picture that it always gave."""

import numpy as np
import pytest
import scipy.ndimage

from keras_resnet.learning.pair_augmentation import PairAugmentation
from keras_resnet.learning.pair_geometry import coarsened
from tests.arrays import normal
from tests.learning.made_pairs import ramp
from tests.learning.test_pair_augmentation import FULL

IMAGE = normal(60, 50, 3) * np.array([1.0, 5.0, 20.0], "float32") + np.array([0.0, 50.0, -30.0], "float32")
MASK = np.zeros((60, 50), "uint8")


def changed(seed: int = 0, image: np.ndarray = IMAGE, **settings) -> np.ndarray:
    return PairAugmentation(**{"chance": 1} | settings)(image, MASK, seed=seed)[0]


@pytest.mark.parametrize(
    ("seed", "mean", "deviation", "labels"), [(0, 13.556, 8.411, 39716), (1, 19.226, 11.246, 3218), (2, 14.432, 11.381, 42789)]
)
def test_a_seed_gives_the_picture_that_it_always_gave(seed, mean, deviation, labels):
    image = ramp(40, 36)
    augment = PairAugmentation(**FULL | {"chance": 0.5, "low_resolution": None, "inverted_gamma": None}, crop=32, foreground=0.5)
    new, mask = augment(image, (image[..., 0] // 10).astype("uint8"), seed=seed)
    assert (new.mean(), new.std(), mask.sum()) == pytest.approx((mean, deviation, labels), rel=1e-3)


def test_the_geometry_of_a_seed_is_the_same_with_any_colours():
    settings = {"crop": 32, "foreground": 0.5, "scale": (0.7, 1.4), "rotation": 90, "flip": True}
    image = ramp(40, 36)
    more = {"low_resolution": (0.5, 1), "inverted_gamma": (0.7, 1.5), "per_channel": True}
    for seed in range(5):
        plain, other = (PairAugmentation(**settings, **one)(image, (image[..., 0]).astype("uint8"), seed=seed)[1] for one in ({}, more))
        assert np.array_equal(plain, other)


def test_brightness_as_a_factor():
    factors = [changed(seed, brightness=(0.75, 1.25)) / IMAGE for seed in range(20)]
    assert all(np.ptp(one) < 1e-5 for one in factors)
    found = [one.mean() for one in factors]
    assert 0.75 <= min(found) < 0.85
    assert 1.15 < max(found) <= 1.25


def test_noise_in_the_unit_of_the_values():
    """Of one width for all channels, whatever their ranges."""
    deviations = np.array([(changed(seed, noise=(0.2, 0.4)) - IMAGE).std(axis=(0, 1)) for seed in range(20)])
    assert np.ptp(deviations, axis=1).max() < 0.03
    assert 0.18 < deviations.min() < 0.25
    assert 0.35 < deviations.max() < 0.42


def test_blur_within_two_widths():
    expected = scipy.ndimage.gaussian_filter(IMAGE, 0.7, mode="nearest", axes=(0, 1), radius=3)
    assert np.abs(changed(blur=(0.7, 0.7)) - expected).max() < 1e-4
    roughness = [np.diff(changed(seed, blur=(0.5, 1)), axis=0).std() for seed in range(20)]
    ends = [np.diff(scipy.ndimage.gaussian_filter(IMAGE, width, mode="nearest", axes=(0, 1)), axis=0).std() for width in (1, 0.5)]
    assert ends[0] * 0.99 < min(roughness) < max(roughness) < ends[1] * 1.01


@pytest.mark.parametrize(("shape", "factor"), [((12, 9), 0.5), ((12, 9), 0.8), ((6, 8, 10), 0.6), ((1, 3), 0.5), ((12, 9), 1.0)])
def test_low_resolution_is_scipys(shape, factor):
    image = normal(*shape, 2)
    few = [max(1, round(size * factor)) for size in shape]
    for channel in range(2):
        there = np.stack(np.meshgrid(*((np.arange(n) + 0.5) * size / n - 0.5 for n, size in zip(few, shape)), indexing="ij"))
        small = scipy.ndimage.map_coordinates(image[..., channel], there.astype("float32"), order=0, mode="nearest")
        back = np.stack(np.meshgrid(*((np.arange(size) + 0.5) * n / size - 0.5 for n, size in zip(few, shape)), indexing="ij"))
        expected = scipy.ndimage.map_coordinates(small, back, order=1, mode="nearest")
        assert np.abs(coarsened(image, factor)[..., channel] - expected).max() < 1e-5
    if factor == 1:
        np.testing.assert_allclose(coarsened(image, factor), image, atol=1e-6)
    assert np.array_equal(changed(low_resolution=(0.7, 0.7)), coarsened(IMAGE, 0.7))


def test_gamma_upside_down():
    image = np.linspace(0, 1, 9000, dtype="float32").reshape(60, 50, 3)
    assert np.abs(changed(image=image, inverted_gamma=(2, 2)) - (1 - (1 - image) ** 2)).max() < 1e-6
    kept = changed(image=image, inverted_gamma=(2, 2), chance={"inverted_gamma": 0})
    assert np.array_equal(kept, image)


@pytest.mark.parametrize("name", ["gamma", "inverted_gamma"])
def test_statistics_that_are_kept(name):
    for seed in range(5):
        new = changed(seed, **{name: (0.7, 1.5)}, keep_statistics=True, per_channel=True)
        assert np.abs(new - IMAGE).max() > 0.01
        np.testing.assert_allclose(new.mean(axis=(0, 1)), IMAGE.mean(axis=(0, 1)), atol=1e-3)
        np.testing.assert_allclose(new.std(axis=(0, 1)), IMAGE.std(axis=(0, 1)), rtol=1e-3)
        whole = changed(seed, **{name: (0.7, 1.5)}, keep_statistics=True)
        assert (whole.mean(), whole.std()) == pytest.approx((IMAGE.mean(), IMAGE.std()), rel=1e-3, abs=1e-3)


def test_a_range_that_is_kept():
    wide = 0
    for seed in range(10):
        new, free = (changed(seed, contrast=0.25, keep_statistics=keep) for keep in (True, False))
        low, high = IMAGE.min(axis=(0, 1)), IMAGE.max(axis=(0, 1))
        assert ((low <= new) & (new <= high)).all()
        assert np.array_equal(new, np.clip(free, low, high))
        wide += (free > high).any()
    assert 0 < wide < 10


def test_channels_by_themselves():
    for settings in ({"brightness": (0.75, 1.25)}, {"contrast": 0.25}):
        new, together = (changed(3, **settings, per_channel=apart) for apart in (True, False))
        for image, count in ((new, 3), (together, 1)):
            middle = IMAGE.mean(axis=(0, 1)) if "contrast" in settings else 0
            factors = np.median((image - (middle if "contrast" in settings else 0)) / (IMAGE - middle), axis=(0, 1))
            assert len(np.unique(factors.round(4))) == count
    for name, value in {"blur": (0.5, 1.0), "low_resolution": (0.5, 0.9)}.items():
        apart = {"per_channel": True, name: value}
        touched = np.array([(changed(seed, **apart, channel_chance=0.5) != IMAGE).any(axis=(0, 1)) for seed in range(60)])
        assert (np.abs(touched.mean(axis=0) - 0.5) < 0.2).all()
        assert len(np.unique(touched, axis=0)) == 8
        assert (changed(0, **apart) != IMAGE).any(axis=(0, 1)).all()
    gamma = changed(0, gamma=(2, 2), per_channel=True)
    for channel in range(3):
        x = IMAGE[..., channel]
        expected = ((x - x.min()) / np.ptp(x)) ** 2 * np.ptp(x) + x.min()
        np.testing.assert_allclose(gamma[..., channel], expected, atol=1e-4)


@pytest.mark.parametrize("settings", [dict(crop=80), dict(scale=(0.5, 0.5), chance=1)])
def test_a_label_of_its_own_for_what_lies_outside(settings):
    mask = np.full((60, 50), 255, "uint8")
    mask[10:] = 1
    image, new = PairAugmentation(**settings, outside_label=0, fill=-9)(np.ones((60, 50, 1), "float32"), mask, seed=0)
    assert set(np.unique(new)) == {0, 1, 255}
    assert np.array_equal(new == 0, image[..., 0] == -9)
    assert PairAugmentation(**settings, outside_label=0)(image[:60, :50], mask == 1, seed=0)[1].dtype == bool
    with pytest.raises(ValueError, match=r"`outside_label` must fit.*Received: outside_label=300"):
        PairAugmentation(**settings, outside_label=300)(IMAGE, MASK)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (dict(brightness=(1.2, 0.8)), "`brightness` must be a number from 0, or two numbers from 0, the smaller one first"),
        (dict(brightness=(-0.1, 0.8)), "brightness"),
        (dict(noise=(0.1,)), "noise"),
        (dict(noise=-1), "noise"),
        (dict(blur=(0.5, "one")), "blur"),
        (dict(blur=None), "blur"),
        (dict(low_resolution=0.5), "`low_resolution` must be None, or two numbers above 0 and up to 1"),
        (dict(low_resolution=(0.5, 1.5)), "low_resolution"),
        (dict(inverted_gamma=(0, 1)), "`inverted_gamma` must be None, or two numbers above 0"),
        (dict(keep_statistics=1), "keep_statistics"),
        (dict(per_channel="yes"), "per_channel"),
        (dict(channel_chance=2), "channel_chance"),
        (dict(outside_label=0.5), "`outside_label` must be an integer"),
        (dict(chance={"inverted_gamma": 2}), "inverted_gamma"),
    ],
)
def test_errors(arguments, says):
    with pytest.raises(ValueError, match=says):
        PairAugmentation(**arguments)
