"""What changes pictures is what SciPy does, and what one finds by hand."""

import numpy as np
import pytest
import scipy.ndimage

from keras_resnet.learning.pair_geometry import blurred, coordinates, displacement, linear, nearest, outside, turned
from tests.arrays import normal
from tests.learning.made_pairs import labels, ramp


def test_rotation_by_a_right_angle_and_a_zoom_by_hand():
    image = normal(9, 9, 2)
    places = coordinates((9, 9), np.array([4.0, 4.0]), turned([np.pi / 2], 1.0, 2))
    assert np.abs(linear(image, places) - np.rot90(image)).max() < 1e-5
    assert np.array_equal(nearest(image, places), np.rot90(image))
    places = coordinates((5, 5), np.array([4.0, 4.0]), turned([0.0], 0.5, 2))
    assert np.abs(linear(image, places) - image[::2, ::2]).max() < 1e-6
    matrix = turned([0.3, -0.5, 0.9], 1.25, 3)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3) / 1.25**2, atol=1e-12)
    assert np.linalg.det(matrix) > 0


@pytest.mark.parametrize("shape", [(40, 33), (12, 17, 9), (1, 8)])
def test_reading_is_scipys(shape):
    image = normal(*shape, 3)
    places = [place + 1.5 * normal(*shape, seed=i) for i, place in enumerate(np.moveaxis(ramp(*shape), -1, 0))]
    for channel in range(3):
        expected = scipy.ndimage.map_coordinates(image[..., channel], places, order=1, mode="nearest")
        assert np.abs(linear(image, places)[..., channel] - expected).max() < 1e-5
    mask = labels(*shape)
    assert np.array_equal(nearest(mask, places), scipy.ndimage.map_coordinates(mask, places, order=0, mode="nearest"))
    away = scipy.ndimage.map_coordinates(np.ones(shape), places, order=0, mode="grid-constant", cval=0) == 0
    assert np.array_equal(outside(shape, places), away)


@pytest.mark.parametrize("deviation", [0.4, 1.0, 2.3])
def test_blur_is_scipys(deviation):
    image, reach = normal(30, 20, 2), int(np.ceil(3 * deviation))
    expected = scipy.ndimage.gaussian_filter(image, deviation, mode="nearest", axes=(0, 1), radius=reach)
    assert np.abs(blurred(image, deviation) - expected).max() < 1e-6


@pytest.mark.parametrize("shape", [(256, 200), (64, 40, 50)])
def test_displacements_are_smooth_and_as_large_as_asked(shape):
    generator = np.random.default_rng(0)
    fields = [field for _ in range(6) for field in displacement(generator, shape, 5.0, 20)]
    assert {field.shape for field in fields} == {shape}
    at_knots = np.concatenate([field[(slice(0, None, 20),) * len(shape)].ravel() for field in fields])
    assert at_knots.std() == pytest.approx(5, rel=0.1)
    for field in fields:
        assert all(np.abs(np.diff(field, axis=axis)).max() < 4 * 5 / 10 for axis in range(len(shape)))
        assert np.abs(np.diff(field, n=2, axis=0)).max() < 0.6
