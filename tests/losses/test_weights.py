"""Weights of samples and of pixels: what they scale, what they leave out, and which are refused."""

import keras
import numpy as np
import pytest

from keras_resnet import losses
from tests.arrays import as_numpy, normal

MASKS = np.random.default_rng(0).integers(0, 3, (2, 6, 5))
LOGITS = normal(2, 6, 5, 3)
HALF = np.zeros((2, 6, 5), "float32")
HALF[:, :3] = 1
# Losses whose sums over pixels are all there is to them; distances are measured over the whole mask.
SUMS = {
    "CrossEntropy": {},
    "Focal": {},
    "Dice": {},
    "Jaccard": {},
    "Tversky": {},
    "GeneralizedDice": {},
    "DiceCrossEntropy": {},
}


def value(loss, masks=MASKS, logits=LOGITS, weights=None) -> float:
    return float(as_numpy(loss(masks, keras.ops.convert_to_tensor(logits), weights)))


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("name", SUMS)
def test_a_pixel_of_weight_zero_is_as_if_ignored(name, batch):
    make = getattr(losses, name)
    ignored = np.where(HALF > 0, MASKS, 255)
    expected = value(make(ignore_index=255, batch=batch), ignored) * HALF.mean()
    assert value(make(batch=batch), weights=HALF) == pytest.approx(expected, rel=1e-5)
    assert value(make(batch=batch), weights=1 - HALF) != pytest.approx(expected, rel=1e-4)
    other = np.where(HALF[..., None] > 0, LOGITS, 50.0)
    assert value(make(batch=batch), logits=other, weights=HALF) == pytest.approx(expected, rel=1e-5)


def test_cross_entropy_is_kerass():
    weights = np.abs(normal(2, 6, 5, seed=3))
    theirs = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for shape in ((2, 6, 5), (2, 6, 5, 1)):
        expected = float(as_numpy(theirs(MASKS, keras.ops.convert_to_tensor(LOGITS), weights)))
        assert value(losses.CrossEntropy(), weights=weights.reshape(shape)) == pytest.approx(expected, rel=1e-5)
    first = losses.CrossEntropy(data_format="channels_first")
    turned = np.moveaxis(LOGITS, -1, 1)
    assert value(first, logits=turned, weights=weights[:, None]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", [*SUMS, "Boundary", "Hausdorff"])
def test_equal_weights_scale(name):
    loss = getattr(losses, name)()
    assert value(loss, weights=np.full((2, 6, 5), 0.5)) == pytest.approx(0.5 * value(loss), rel=1e-4)
    assert value(loss, weights=np.array([0.5, 0.5])) == pytest.approx(0.5 * value(loss), rel=1e-5)


def test_weights_of_pixels_in_evaluate():
    image = keras.Input((6, 5, 3))
    model = keras.Model(image, keras.layers.Activation("linear")(image))
    model.compile(loss=losses.DiceCrossEntropy())
    found = model.evaluate(LOGITS, MASKS, sample_weight=HALF, verbose=0)
    assert found == pytest.approx(value(losses.DiceCrossEntropy(), weights=HALF), rel=1e-5)


@pytest.mark.parametrize("shape", [(2, 5, 5), (2, 6), (3,), (5,), (2, 5, 6), (2, 6, 5, 3), (1, 2, 6, 5)])
def test_weights_of_another_shape(shape):
    with pytest.raises(ValueError, match="`sample_weight` must have a number a sample"):
        value(losses.DiceCrossEntropy(), weights=np.ones(shape))


def test_weights_that_make_no_sense():
    with pytest.raises(ValueError, match="must be 0 or more"):
        value(losses.Dice(), weights=-HALF)
    with pytest.raises(ValueError, match="Lovasz takes a weight a sample"):
        value(losses.Lovasz(), weights=HALF)
