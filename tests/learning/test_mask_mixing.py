"""MixUp and CutMix that mix masks as they mix pictures, where Keras 3.15's do not."""

import keras
import numpy as np
import pytest

from keras_resnet.learning.mask_mixing import cut_mix, mix_up
from tests.arrays import as_numpy, normal


def batch(n: int = 6, *sizes: int, channels: int = 3, classes: int = 3):
    """Pictures whose first channel is their mask."""
    sizes = sizes or (12, 10)
    masks = np.random.default_rng(0).integers(0, classes, (n, *sizes)).astype("uint8")
    images = normal(n, *sizes, channels)
    images[..., 0] = masks
    return images, masks


@pytest.mark.parametrize("sizes", [(12, 10), (6, 7, 8)])
@pytest.mark.parametrize("axis", [False, True])
def test_mix_up_blends_masks_as_pictures(sizes, axis):
    """Keras 3.15 takes the mask's columns for pictures of the batch: another shape, and on TensorFlow an error."""
    images, masks = batch(6, *sizes)
    new, targets = mix_up(images, masks[..., None] if axis else masks, 3, alpha=1.0, seed=0)
    assert new.shape == images.shape
    assert targets.shape == (*masks.shape, 3)
    assert new.dtype == targets.dtype == np.float32
    np.testing.assert_allclose(targets.sum(axis=-1), 1, atol=1e-6)
    np.testing.assert_allclose(targets @ np.arange(3), new[..., 0], atol=1e-5)  # the expected label is the blended channel
    shares = {tuple(np.unique(target.round(5))) for target in targets}
    assert len(shares) > 2  # each picture has a share of its own
    assert np.abs(new - images).max() > 0.1


def test_mix_up_of_ignored_pixels_counts_nowhere():
    images, masks = batch()
    masks[0] = 255
    _, targets = mix_up(images, masks, 3, alpha=1.0, seed=1)
    zeros = [i for i, target in enumerate(targets) if not target.any()]
    assert 0 in zeros
    assert 1 <= len(zeros) <= 2  # itself, and the one it was blended into
    loss = keras.losses.CategoricalCrossentropy(reduction=None)(targets, np.full(targets.shape, 1 / 3, "float32"))
    assert as_numpy(loss)[zeros].max() == 0
    assert as_numpy(loss)[[i for i in range(6) if i not in zeros]].min() > 0.5


@pytest.mark.parametrize("sizes", [(30, 24), (10, 14, 12)])
@pytest.mark.parametrize("axis", [False, True])
def test_cut_mix_pastes_masks_as_pictures(sizes, axis):
    """Keras 3.15 gives a mask of one channel those of the picture."""
    images, masks = batch(8, *sizes)
    given = masks[..., None] if axis else masks
    pasted, parts = 0, []
    for seed in range(30):
        new, new_masks = cut_mix(images, given, seed=seed)
        assert new_masks.shape == given.shape
        assert (new.dtype, new_masks.dtype) == ("float32", "uint8")
        assert np.array_equal(new[..., 0], new_masks.reshape(masks.shape))
        for i in range(8):
            changed = (new[i] != images[i]).any(axis=-1)
            parts.append(changed.mean())
            if changed.any():
                box = tuple(slice(where.min(), where.max() + 1) for where in np.nonzero(changed))
                assert changed[box].all()  # a box, whole
                (source,) = (j for j in range(8) if np.array_equal(images[j][box], new[i][box]))
                assert source != i
                pasted += 1
    assert pasted > 100
    assert 0.15 < np.mean(parts) < 0.4  # half a picture on average, less what is beyond borders and what mixes with itself


def test_seeds_and_what_came_in():
    images, masks = batch()
    copies = images.copy(), masks.copy()
    for mix in (lambda seed: mix_up(images, masks, 3, seed=seed), lambda seed: cut_mix(images, masks, seed=seed)):
        assert all(np.array_equal(one, other) for one, other in zip(mix(3), mix((3,))))
        assert not np.array_equal(mix(3)[0], mix(4)[0])
        assert not np.array_equal(mix(None)[0], mix(None)[0])
        assert not np.shares_memory(mix(3)[0], images)
    assert np.array_equal(images, copies[0])
    assert np.array_equal(masks, copies[1])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (dict(masks=np.full((6, 12, 10), 3)), r"from 0 to 2, and 255.*\[3\]"),
        (dict(masks=np.full((6, 12, 10), -1)), r"\[-1\]"),
        (dict(masks=np.zeros((6, 12, 10))), "float64"),
        (dict(masks=np.zeros((6, 12, 10, 3), int)), "argmax"),
        (dict(masks=np.zeros((6, 12, 11), int)), "sizes"),
        (dict(masks=np.zeros((5, 12, 10), int)), "as many pictures as masks"),
        (dict(images=np.zeros((0, 12, 10, 3)), masks=np.zeros((0, 12, 10), int)), "at least one"),
        (dict(alpha=0), "alpha"),
        (dict(alpha=-1), "alpha"),
        (dict(classes=0), "classes"),
        (dict(seed=-1), "seed"),
    ],
)
def test_errors(arguments, says):
    images, masks = batch()
    settings = dict(images=images, masks=masks, classes=3) | arguments
    with pytest.raises(ValueError, match=says):
        mix_up(**settings)
    if "classes" not in arguments and "from" not in says and says != r"\[-1\]":
        del settings["classes"]
        with pytest.raises(ValueError, match=says):
            cut_mix(**settings)
