"""What enlarges a map to the size of another: aligned corners, pixel by pixel."""

import keras
import numpy as np
import pytest

from keras_resnet import backend, layers
from tests import tolerances
from tests.arrays import as_numpy, normal

# Old and new sizes: larger, of one pixel, into one pixel, smaller, kept.
SIZES = [((3, 4), (7, 9)), ((1, 5), (4, 5)), ((4, 3), (1, 6)), ((9, 6), (4, 3)), ((2, 3, 4), (5, 3, 9))]


def by_hand(x: np.ndarray, size: tuple) -> np.ndarray:
    """Along one axis after the other: the first pixels of both lie in one place, the last ones too, all others evenly between."""
    for axis, new in enumerate(size, start=1):
        old = x.shape[axis]
        place = np.linspace(0, old - 1, new) if new > 1 else np.zeros(1)
        x = np.apply_along_axis(lambda line, place=place, old=old: np.interp(place, np.arange(old), line), axis, x.astype("float64"))
    return x


@pytest.mark.parametrize(("old", "new"), SIZES, ids=str)
def test_aligned(old, new):
    x = normal(2, *old, 3)
    expected = by_hand(x, new)
    for first in (False, True):
        given = np.moveaxis(x, -1, 1).copy() if first else x
        form = "channels_first" if first else "channels_last"
        for plain in (False, True):
            if plain:
                with backend.use_reference():
                    y = backend.upsample(keras.ops.convert_to_tensor(given), new, "aligned", form)
            else:
                y = backend.upsample(keras.ops.convert_to_tensor(given), new, "aligned", form)
            y = as_numpy(y)
            assert tolerances.difference(np.moveaxis(y, 1, -1) if first else y, expected) < tolerances.OPERATION["float32"]


def test_methods_differ_and_an_unknown_one_is_refused():
    x, like = normal(1, 3, 4, 2), normal(1, 7, 9, 5)
    found = {method: as_numpy(layers.UpsampleTo(method, "channels_last")([x, like])) for method in ("bilinear", "aligned", "nearest")}
    assert {y.shape for y in found.values()} == {(1, 7, 9, 2)}
    assert np.abs(found["bilinear"] - found["aligned"]).max() > 0.05
    assert (found["aligned"][:, [0, 0, -1, -1], [0, -1, 0, -1]] == x[:, [0, 0, -1, -1], [0, -1, 0, -1]]).all()  # corners stay corners
    with pytest.raises(ValueError, match="`method`"):
        layers.UpsampleTo("area")


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="elsewhere sizes are known where maps are made")
@pytest.mark.parametrize("method", ["bilinear", "aligned", "nearest"])
@pytest.mark.parametrize("form", ["channels_last", "channels_first"])
def test_sizes_that_are_open_while_it_is_traced(method, form):
    import tensorflow as tf

    axes = (1, 2) if form == "channels_last" else (2, 3)

    def enlarged(x):
        return backend.upsample(x, tuple(keras.ops.shape(x)[axis] * 2 for axis in axes), method, form)

    traced = tf.function(enlarged, input_signature=[tf.TensorSpec((None,) * 4)])
    for shape in ((2, 5, 7, 3), (1, 4, 3, 6)):
        x = normal(*shape)
        assert tolerances.difference(as_numpy(traced(x)), as_numpy(enlarged(tf.constant(x)))) < tolerances.OPERATION["float32"]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow's compiler")
@pytest.mark.parametrize(("old", "new"), [(5, 9), (5, 15), (9, 65), (5, 10), (8, 5)])
def test_compiled_by_xla_values_are_the_same(old, new):
    """TensorFlow 2.21's own kernel gives others at odd factors."""
    import tensorflow as tf

    x = tf.constant(normal(2, old, 3, 2))

    def enlarged(x):
        return backend.upsample(x, (new, 6), "bilinear", "channels_last")

    expected = as_numpy(tf.image.resize(x, (new, 6)))
    for jit in (False, True):
        found = as_numpy(tf.function(enlarged, jit_compile=jit)(x))
        assert tolerances.difference(found, expected) < tolerances.OPERATION["float32"]
