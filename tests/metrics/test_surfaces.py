"""Distances between borders: MONAI's numbers, scipy's distances on random masks, and masks without a border."""

import numpy as np
import pytest
from scipy import ndimage

from keras_resnet.learning import metrics
from tests.arrays import as_numpy
from tests.quick import all_on_torch

SQUARES = np.zeros((2, 1, 32, 32), "int32")
SQUARES[0, 0, 8:20, 8:20] = 1
SQUARES[1, 0, 10:24, 9:19] = 1
SPACING = (0.5, 2.0)


def blobs(seed, *shape):
    """Two classes of smooth random regions on background."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), [0, *[1.5] * (len(shape) - 1)])
    return np.digitize(noise, np.quantile(noise, [0.5, 0.8])).astype("int32")


def both_ways(a, b, spacing):
    """Distances of each border's pixels to the other border."""
    edges = [mask & ~ndimage.binary_erosion(mask) for mask in (a, b)]
    return [ndimage.distance_transform_edt(~other, spacing)[edge] for edge, other in ((edges[0], edges[1]), (edges[1], edges[0]))]


@pytest.mark.parametrize(
    ("metric", "published"),
    [
        (metrics.HausdorffDistance(2, percentile=100), 4),
        (metrics.HausdorffDistance(2), 4),
        (metrics.SurfaceDistance(2, symmetric=False), 1.529558),
        (metrics.SurfaceDistance(2), 1.742052),
        (metrics.SurfaceDice(2, tolerance=1), 0.522727),
    ],
)
def test_published_values(metric, published):
    assert float(metric(SQUARES[1], SQUARES[0])) == pytest.approx(published, abs=1e-5)


@pytest.mark.parametrize("spacing", [None, SPACING])
@pytest.mark.parametrize("shape", all_on_torch([(2, 12, 17), (1, 6, 9, 7)], [(2, 12, 17)]))
def test_distances_are_those_of_scipy(shape, spacing):
    spacing = None if spacing is None else (*spacing, 1.25)[: len(shape) - 1]
    truth, found = blobs(1, *shape), blobs(2, *shape)
    scores = {
        metrics.HausdorffDistance: lambda forth, back: max(np.percentile(forth, 95), np.percentile(back, 95)),
        metrics.SurfaceDistance: lambda forth, back: np.concatenate([forth, back]).mean(),
        metrics.SurfaceDice: lambda forth, back: (np.concatenate([forth, back]) <= 1).mean(),
    }
    pairs = [[both_ways(t == c, f == c, spacing) for c in (1, 2)] for t, f in zip(truth, found)]
    for make, score in scores.items():
        metric = make(3, spacing=spacing)
        for i in range(shape[0]):
            metric.update_state(truth[i : i + 1], found[i : i + 1])
        expected = np.array([[score(*pair) for pair in classes] for classes in pairs])
        assert float(metric.result()) == pytest.approx(expected.mean(), rel=1e-5)
        assert as_numpy(metric.per_class())[1:] == pytest.approx(expected.mean(0), rel=1e-5)
        assert np.isnan(as_numpy(metric.per_class())[0])


@pytest.mark.parametrize("make", [metrics.HausdorffDistance, metrics.SurfaceDistance, metrics.SurfaceDice])
def test_masks_without_a_border(make):
    some, nothing = SQUARES[0], 0 * SQUARES[0]
    share = make is metrics.SurfaceDice
    worst = 0 if share else np.hypot(31 * SPACING[0], 31 * SPACING[1])
    assert float(make(2, spacing=SPACING)(some, nothing)) == pytest.approx(worst, rel=1e-6)
    assert float(make(2, spacing=SPACING)(nothing, some)) == pytest.approx(worst, rel=1e-6)
    skipped = make(2)
    skipped.update_state(nothing, nothing)
    assert np.isnan(as_numpy(skipped.per_class())).all()
    assert float(skipped.result()) == (1 if share else 0)
    skipped.update_state(SQUARES[1], some)
    one = float(skipped.result())
    assert one == float(make(2)(SQUARES[1], some))
    perfect = make(2, empty="perfect")
    perfect.update_state(nothing, nothing)
    assert float(perfect.result()) == (1 if share else 0)
    perfect.update_state(SQUARES[1], some)
    assert float(perfect.result()) == pytest.approx((one + share) / 2, rel=1e-6)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: metrics.HausdorffDistance(2, percentile=101), "percentile"),
        (lambda: metrics.SurfaceDice(2, tolerance=-1), "tolerance"),
        (lambda: metrics.SurfaceDice(2, spacing=(1, "a")), "spacing"),
        (lambda: metrics.SurfaceDice(2, spacing=(1, 1, 1))(SQUARES[0], SQUARES[1]), "spacing"),
        (lambda: metrics.SurfaceDistance(2, symmetric=1), "symmetric"),
        (lambda: metrics.SurfaceDistance(2, empty="one"), "empty"),
    ],
)
def test_wrong_arguments(make, word):
    with pytest.raises(ValueError, match=word):
        make()
