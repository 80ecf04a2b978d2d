"""Each loss beside its formula written again in NumPy and float64: values, slopes, every form of masks and outputs."""

import keras
import numpy as np
import pytest
from scipy import ndimage

from keras_resnet.learning import losses
from keras_resnet.learning.losses.distance_transform import distances
from tests.arrays import as_numpy, normal
from tests.gradients import value_and_gradients
from tests.losses.examples import IGNORED, RANDOM_LABELS, RANDOM_LOGITS


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def overlap(labels, x, alpha=0.5, beta=0.5):
    """One minus the Tversky index of each class over the pixels whose label is one, as a mean."""
    keep = labels < x.shape[-1]
    p, t = softmax(x)[keep], np.eye(x.shape[-1])[labels[keep]]
    tp, fp, fn = (p * t).sum(0), (p * (1 - t)).sum(0), ((1 - p) * t).sum(0)
    return np.mean(1 - tp / (tp + alpha * fp + beta * fn))


def cross_entropy(labels, x, weights=(1, 1, 1)):
    keep = labels < x.shape[-1]
    p = np.log(softmax(x)[keep])[np.arange(keep.sum()), labels[keep]]
    w = np.array(weights)[labels[keep]]
    return -(w * p).sum() / w.sum()


def focal(labels, x, gamma=2.0):
    keep = labels < x.shape[-1]
    t = np.eye(x.shape[-1])[labels[keep]] > 0
    p = 1 / (1 + np.exp(-x[keep]))
    truth = np.where(t, p, 1 - p)
    return np.mean(-((1 - truth) ** gamma) * np.log(truth))


def softmax_focal(labels, x, gamma=0.5):
    keep = labels < x.shape[-1]
    p = softmax(x)[keep][np.arange(keep.sum()), labels[keep]]
    return np.mean(-((1 - p) ** gamma) * np.log(p))


def lovasz(labels, x):
    """The Choquet integral of 1 - IoU over the level sets of the errors: sets of mistaken pixels, one by one."""
    keep = labels < x.shape[-1]
    p, t = softmax(x)[keep], np.eye(x.shape[-1])[labels[keep]] > 0
    total = 0.0
    for c in range(x.shape[-1]):
        errors = np.abs(t[:, c] - p[:, c])
        levels = np.sort(errors)
        for low, high in zip(np.concatenate([[0], levels[:-1]]), levels):
            mistaken = errors >= high
            found = t[:, c] ^ mistaken
            total += (high - low) * (1 - (found & t[:, c]).sum() / (found | t[:, c]).sum())
    return total / x.shape[-1]


def generalized(labels, x, smooth=1e-5):
    keep = labels < x.shape[-1]
    p, t = softmax(x)[keep], np.eye(x.shape[-1])[labels[keep]]
    w = 1 / t.sum(0) ** 2
    return 1 - (2 * (w * (p * t).sum(0)).sum() + smooth) / ((w * (p + t).sum(0)).sum() + smooth)


def boundary(labels, x):
    keep, total = labels < x.shape[-1], 0.0
    for p, truth, kept in zip(softmax(x), labels, keep):
        for c in range(x.shape[-1]):
            t = truth == c
            signed = ndimage.distance_transform_edt(~t) - np.where(t, ndimage.distance_transform_edt(t) - 1, 0)
            total += (p[..., c] * signed)[kept].sum()
    return total / keep.sum() / x.shape[-1]


CASES = {
    "dice": (losses.Dice, {}, overlap),
    "jaccard": (losses.Jaccard, {}, lambda t, x: overlap(t, x, 1, 1)),
    "tversky": (losses.Tversky, dict(alpha=0.2, beta=0.9), lambda t, x: overlap(t, x, 0.2, 0.9)),
    "focal_tversky": (losses.Tversky, dict(gamma=0.75), lambda t, x: overlap(t, x) ** 0.75),
    "cross_entropy": (losses.CrossEntropy, dict(class_weights=[1, 2, 5]), lambda t, x: cross_entropy(t, x, (1, 2, 5))),
    "focal": (losses.Focal, {}, focal),
    "softmax_focal": (losses.Focal, dict(softmax=True, gamma=0.5), softmax_focal),
    "lovasz": (losses.Lovasz, {}, lovasz),
    "generalized_dice": (losses.GeneralizedDice, {}, generalized),
    "boundary": (losses.Boundary, {}, boundary),
    "both": (losses.DiceCrossEntropy, dict(weights=(0.5, 2.0)), lambda t, x: 0.5 * overlap(t, x) + 2 * cross_entropy(t, x)),
}


@pytest.mark.parametrize("masks", [RANDOM_LABELS, IGNORED], ids=["all", "ignored"])
@pytest.mark.parametrize("name", CASES)
def test_value_and_slope(name, masks):
    make, settings, expected = CASES[name]
    loss = make(ignore_index=255, reduction="none", **settings)
    tensor = keras.ops.convert_to_tensor(masks)
    value, (gradient,) = value_and_gradients(lambda x: loss(tensor, x), RANDOM_LOGITS)
    assert value.item() == pytest.approx(expected(masks, RANDOM_LOGITS.astype("float64")), rel=1e-5)
    assert np.isfinite(gradient).all()
    assert not gradient[masks == 255].any()
    gradient = gradient / normal(1, seed=77)  # the weight that value_and_gradients gives the one number
    way, step = normal(*RANDOM_LOGITS.shape, seed=5).astype("float64"), 1e-6
    ahead, behind = (expected(masks, RANDOM_LOGITS + sign * step * way) for sign in (1, -1))
    assert (gradient * way).sum() == pytest.approx((ahead - behind) / (2 * step), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_forms_of_masks_and_outputs(name):
    """A channel of 1, one-hot, probabilities, channels first, one sample at a time: the same number."""
    make, settings, _ = CASES[name]
    expected = pytest.approx(float(make(**settings)(RANDOM_LABELS, RANDOM_LOGITS)), rel=2e-5)
    one_hot = np.eye(3, dtype="float32")[RANDOM_LABELS]
    assert float(make(**settings)(RANDOM_LABELS[..., None].astype("uint8"), RANDOM_LOGITS)) == expected
    assert float(make(sparse=False, **settings)(one_hot, RANDOM_LOGITS)) == expected
    first = make(data_format="channels_first", **settings)
    assert float(first(RANDOM_LABELS, np.moveaxis(RANDOM_LOGITS, -1, 1))) == expected
    if name != "focal":  # whose sigmoids are not this softmax
        assert float(make(from_logits=False, **settings)(RANDOM_LABELS, softmax(RANDOM_LOGITS))) == expected
    alone = [float(make(batch=True, **settings)(RANDOM_LABELS[i : i + 1], RANDOM_LOGITS[i : i + 1])) for i in (0, 1)]
    each = make(batch=False, reduction="none", **settings)(RANDOM_LABELS, RANDOM_LOGITS)
    assert as_numpy(each) == pytest.approx(alone, rel=2e-5)


def test_volumes():
    volume, labels = RANDOM_LOGITS.reshape(2, 2, 2, 4, 3), RANDOM_LABELS.reshape(2, 2, 2, 4)
    assert float(losses.DiceCrossEntropy()(labels, volume)) == pytest.approx(
        float(losses.DiceCrossEntropy()(RANDOM_LABELS, RANDOM_LOGITS)), rel=1e-5
    )
    # Another way between the same pixels: more neighbours, so shorter distances.
    assert float(losses.Boundary()(labels, volume)) != pytest.approx(float(losses.Boundary()(RANDOM_LABELS, RANDOM_LOGITS)), rel=1e-2)


@pytest.mark.parametrize(("shape", "spacing"), [((9, 14), None), ((9, 14), (0.5, 2.0)), ((5, 4, 6), (3.0, 1.0, 0.7))])
def test_distances_are_those_of_scipy(shape, spacing):
    mask = np.random.default_rng(8).random((2, *shape, 2)) < 0.08
    mask[0, ..., 1] = False
    mask[1, ..., 1] = True
    distance, found = (as_numpy(tensor) for tensor in distances(keras.ops.convert_to_tensor(mask), spacing))
    for n in range(2):
        for c in range(2):
            assert (found[n, ..., c] == mask[n, ..., c].any()).all()
            expected = ndimage.distance_transform_edt(~mask[n, ..., c], spacing) if mask[n, ..., c].any() else 0
            assert np.abs(distance[n, ..., c] - expected).max() < 1e-5


def test_dice_is_kerass_in_each_class():
    p = softmax(RANDOM_LOGITS)
    one_hot = np.eye(3, dtype="float32")[RANDOM_LABELS]
    theirs = [float(keras.losses.Dice(axis=None)(one_hot[..., c], p[..., c])) for c in range(3)]
    assert float(losses.Dice()(RANDOM_LABELS, RANDOM_LOGITS)) == pytest.approx(np.mean(theirs), rel=1e-5)


def test_cross_entropy_is_kerass_where_both_exist():
    theirs = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)
    tensor = keras.ops.convert_to_tensor(IGNORED)
    a, (one,) = value_and_gradients(lambda x: keras.ops.reshape(theirs(tensor, x), (1,)), RANDOM_LOGITS)
    b, (other,) = value_and_gradients(lambda x: losses.CrossEntropy(ignore_index=255, reduction="none")(tensor, x), RANDOM_LOGITS)
    assert b == pytest.approx(a, rel=1e-5)
    assert np.abs(one - other).max() < 1e-6


def test_mixed_labels():
    """Shares of classes, as MixUp makes them: between the losses of the two masks, for cross-entropy the weighted mean itself."""
    one, other = np.eye(3)[RANDOM_LABELS], np.eye(3)[RANDOM_LABELS[::-1]]
    mixed = losses.CrossEntropy(sparse=False)(0.3 * one + 0.7 * other, RANDOM_LOGITS)
    parts = [float(losses.CrossEntropy()(labels, RANDOM_LOGITS)) for labels in (RANDOM_LABELS, RANDOM_LABELS[::-1])]
    assert float(mixed) == pytest.approx(0.3 * parts[0] + 0.7 * parts[1], rel=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_summed_in_float32(dtype):
    """65536 pixels: their number is beyond float16's largest and bfloat16's steps."""
    labels = np.tile(RANDOM_LABELS[:1, :4, :4], (1, 64, 64))
    logits = keras.ops.cast(np.tile(RANDOM_LOGITS[:1, :4, :4], (1, 64, 64, 1)), dtype)
    wide = losses.DiceCrossEntropy()(labels, keras.ops.cast(logits, "float32"))
    narrow = losses.DiceCrossEntropy()(labels, logits)
    assert keras.backend.standardize_dtype(narrow.dtype) == "float32"
    assert float(narrow) == pytest.approx(float(wide), rel=1e-6)


def test_weights_of_samples():
    loss = losses.Dice(batch=False)
    each = as_numpy(losses.Dice(batch=False, reduction="none")(RANDOM_LABELS, RANDOM_LOGITS))
    assert float(loss(RANDOM_LABELS, RANDOM_LOGITS, np.array([1.0, 3.0]))) == pytest.approx((each * [1, 3]).mean(), rel=1e-6)


def test_any_two_losses():
    parts = [losses.Dice(), losses.Hausdorff()]
    both = losses.Compound(parts, [0.25, 2.0])
    expected = 0.25 * float(parts[0](RANDOM_LABELS, RANDOM_LOGITS)) + 2 * float(parts[1](RANDOM_LABELS, RANDOM_LOGITS))
    assert float(both(RANDOM_LABELS, RANDOM_LOGITS)) == pytest.approx(expected, rel=1e-6)
