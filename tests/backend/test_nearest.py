"""Squared distances on each backend beside the plain way and scipy's: odd sizes, empty masks, lengths of pixels, sizes not yet known."""

import keras
import numpy as np
import pytest
from scipy import ndimage

from keras_resnet import backend, losses
from keras_resnet.backend import nearest
from tests.arrays import as_numpy

CASES = [((2, 1, 1, 2), (1.0, 1.0)), ((2, 21, 34, 2), (1.0, 1.0)), ((2, 9, 10, 7, 2), (0.5, 2.0, 1.25)), ((1, 40, 3), (3.0,))]


@pytest.mark.parametrize(("shape", "lengths"), CASES, ids=str)
def test_values(shape, lengths):
    """Sparse masks, whose far pixels need the longest shifts, and dense ones; one channel has no true pixel, one sample all."""
    for share in (0.01, 0.2):
        mask = np.random.default_rng(3).random(shape) < share
        mask[0, ..., 0] = False
        mask[-1, ..., -1] = True
        tensor = keras.ops.convert_to_tensor(mask)
        found = as_numpy(backend.squared_distances(tensor, lengths))
        plain = as_numpy(nearest.squared_distances(tensor, lengths))
        assert found.dtype == plain.dtype == np.float32
        np.testing.assert_allclose(found, plain, rtol=1e-6)
        for place in np.ndindex(shape[0], shape[-1]):
            one = mask[place[0], ..., place[1]]
            expected = ndimage.distance_transform_edt(~one, lengths) ** 2 if one.any() else nearest.BEYOND
            np.testing.assert_allclose(found[place[0], ..., place[1]], np.broadcast_to(expected, one.shape), rtol=1e-5)


def test_the_reference_is_chosen(monkeypatch):
    """As every operation's: also through the loss that needs it."""
    calls = []
    monkeypatch.setattr(nearest, "_step", lambda *args, step=nearest._step: calls.append(1) or step(*args))
    mask = np.zeros((1, 3, 4), "int32")
    mask[0, 1, 2] = 1
    with backend.use_reference():
        plainly = as_numpy(losses.Hausdorff()(mask, np.ones((1, 3, 4, 1), "float32")))
    assert calls
    del calls[:]
    assert as_numpy(losses.Hausdorff()(mask, np.ones((1, 3, 4, 1), "float32"))) == pytest.approx(plainly, rel=1e-5)
    assert not calls or keras.backend.backend() != "torch", "its twin has no loop; TensorFlow compiles the plain way's"


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow traces without sizes")
def test_sizes_that_are_not_known():
    import tensorflow as tf

    open_sizes = tf.TensorSpec((None, None, None, None), tf.bool)
    traced = tf.function(lambda mask: backend.squared_distances(mask, (1.0, 1.0)), input_signature=[open_sizes])
    for shape in ((2, 9, 7, 3), (1, 12, 20, 1)):
        mask = tf.constant(np.random.default_rng(1).random(shape) < 0.1)
        np.testing.assert_array_equal(traced(mask), nearest.squared_distances(mask, (1.0, 1.0)))
