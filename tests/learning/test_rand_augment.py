"""RandAugment and TrivialAugment: Pillow's operations, and drawn as they say."""

import keras
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from keras_resnet.learning import RandAugment, TrivialAugment
from keras_resnet.learning.augmentation.draws import Draws, seed_of
from keras_resnet.learning.augmentation.operations import OPERATIONS, Strengths
from keras_resnet.learning.augmentation.trivial_augment import LEFT_OUT
from tests.arrays import as_numpy
from tests.quick import quick_on_torch


def picture() -> np.ndarray:
    small = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 7, 3)).astype("uint8"))
    return (np.asarray(small.resize((28, 24), Image.Resampling.BICUBIC)) * 0.8 + 20).astype("uint8")


def pillows(name: str, wanted: Strengths, fill: int) -> np.ndarray:
    image = Image.fromarray(picture())

    def moved(*matrix: float) -> Image.Image:
        return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=(fill,) * 3)

    return np.asarray(
        {
            "rotate": lambda: image.rotate(wanted.angle, Image.Resampling.BILINEAR, fillcolor=(fill,) * 3),
            "shear_x": lambda: moved(1, wanted.shear, 0, 0, 1, 0),
            "shear_y": lambda: moved(1, 0, 0, wanted.shear, 1, 0),
            "translate_x": lambda: moved(1, 0, wanted.across, 0, 1, 0),
            "translate_y": lambda: moved(1, 0, 0, 0, 1, wanted.down),
            "auto_contrast": lambda: ImageOps.autocontrast(image),
            "equalize": lambda: ImageOps.equalize(image),
            "invert": lambda: ImageOps.invert(image),
            "posterize": lambda: ImageOps.posterize(image, wanted.bits),
            "solarize": lambda: ImageOps.solarize(image, wanted.start),
            "solarize_add": lambda: image.point([min(255, i + wanted.more) if i < 128 else i for i in range(256)] * 3),
            "color": lambda: ImageEnhance.Color(image).enhance(wanted.factor),
            "contrast": lambda: ImageEnhance.Contrast(image).enhance(wanted.factor),
            "brightness": lambda: ImageEnhance.Brightness(image).enhance(wanted.factor),
            "sharpness": lambda: ImageEnhance.Sharpness(image).enhance(wanted.factor),
        }[name]()
    ).astype("float32")


def of_magnitude(m: float, sign: float, increasing: bool = True) -> Strengths:
    """RandAugment's, for the picture's 24 x 28 pixels."""
    s = sign * m
    plain = Strengths(3 * s, 0.03 * s, 0.045 * s * 28, 0.045 * s * 24, int(0.4 * m), int(25.6 * m), int(11 * m), 0.1 + 0.18 * m)
    changed = plain._replace(bits=4 - plain.bits, start=256 - plain.start, factor=max(0.1, 1 + 0.09 * s))
    return changed if increasing else plain


def of_level(level: int, sign: float) -> Strengths:
    """TrivialAugment's."""
    s, pixels = level / 30, sign * int(32 * level / 30)
    return Strengths(135 * s * sign, 0.99 * s * sign, pixels, pixels, 8 - round(6 * s), 255 * (1 - s), 0, 1 + 0.99 * s * sign)


CASES = {
    "magnitude 7.3": (RandAugment(), 7.3, 1.0, of_magnitude(7.3, 1.0)),
    "magnitude -4.1": (RandAugment(), 4.1, -1.0, of_magnitude(4.1, -1.0)),
    "not increasing": (RandAugment(increasing=False), 9.3, 1.0, of_magnitude(9.3, 1.0, False)),
    "level 17": (TrivialAugment(), 17.0, 1.0, of_level(17, 1.0)),
    "level -30": (TrivialAugment(), 30.0, -1.0, of_level(30, -1.0)),
}


@quick_on_torch
@pytest.mark.parametrize("case", CASES)
def test_operations_are_pillows(case):
    layer, magnitude, sign, expected = CASES[case]
    number = len(OPERATIONS)
    batch = keras.ops.convert_to_tensor(np.repeat(picture()[None], number + 1, 0).astype("float32"))
    taken = keras.ops.convert_to_tensor(np.arange(-1, number).astype("int32"))
    found = layer.applied(batch, taken, keras.ops.full((number + 1,), magnitude), keras.ops.full((number + 1,), sign))
    found = as_numpy(found)
    assert (found[0] == picture()).all()
    for name, one in zip(OPERATIONS, found[1:], strict=True):
        if isinstance(layer, TrivialAugment) and name in LEFT_OUT:
            continue
        difference = np.abs(one - pillows(name, expected, int(layer.fill)))
        assert difference.max() <= 1, name
        assert difference.mean() < 0.01, name
        assert case == "not increasing" or (one != picture()).mean() > 0.1, name


def test_cutout_is_that_of_resnet_rs():
    """A square of twice `int(40 m / 10)` pixels about a pixel, as github.com/tensorflow/tpu cuts it at the border, in pictures of 160."""
    layer = RandAugment(translate=100 / 160, cutout=40 / 160)
    rows, columns, magnitudes, chosen = [80, 3, 159, 80], [70, 158, 0, 80], [10.0, 10.0, 7.0, 10.0], [True, True, True, False]
    images = np.full((4, 160, 160, 3), 7, "float32")
    arguments = (np.array(chosen), np.array(magnitudes, "float32"), np.array(rows), np.array(columns))
    found = as_numpy(layer.cut_out(images, *map(keras.ops.convert_to_tensor, arguments)))
    for one, row, column, half in zip(found, rows, columns, (40, 40, 28, 0)):
        expected = np.full((160, 160, 3), 7)
        expected[max(0, row - half) : row + half, max(0, column - half) : column + half] = 128
        np.testing.assert_array_equal(one, expected)
    ramp = np.repeat(np.arange(160, dtype="float32")[None, None, :, None], 3, -1) * np.ones((1, 4, 1, 1), "float32")
    taken = keras.ops.convert_to_tensor(np.array([OPERATIONS.index("translate_x")]))
    moved = as_numpy(layer.applied(keras.ops.convert_to_tensor(ramp), taken, keras.ops.ones((1,)) * 10.0, keras.ops.ones((1,))))[0, 0, :, 0]
    np.testing.assert_array_equal(moved, [*range(100, 160), *[128] * 100])


@quick_on_torch
def test_cutout_is_drawn_as_one_of_16():
    seen = []

    class Seen(RandAugment):
        def cut_out(self, x, chosen, magnitudes, rows, columns):
            seen.append([as_numpy(v) for v in (chosen, rows, columns)])
            return x

    Seen(1, chance=1.0, cutout=0.2).change(np.zeros((3000, 2, 4, 3), "uint8"), Draws(seed_of((0,))))
    [(chosen, rows, columns)] = seen
    assert 130 < chosen.sum() < 250  # of 188
    assert np.bincount(rows).min() > 1300
    assert np.bincount(columns).min() > 600
    assert len(np.bincount(columns)) == 4


@quick_on_torch
def test_trivial_augment_draws_as_it_says():
    seen = []

    class Seen(TrivialAugment):
        def applied(self, x, taken, levels, signs):
            seen.extend(as_numpy(v) for v in (taken, levels, signs))
            return x

    Seen().change(np.zeros((6200, 2, 2, 3), "uint8"), Draws(seed_of((0,))))
    taken, levels, signs = seen
    counts = np.bincount(taken + 1, minlength=16)
    assert [OPERATIONS[i - 1] for i in range(16) if not counts[i]] == list(LEFT_OUT)
    assert counts[counts > 0].min() > 360
    assert counts.max() < 530  # of 443
    assert sorted(set(levels)) == list(range(31))
    assert np.bincount(levels.astype(int)).min() > 140  # of 200
    assert abs(signs.mean()) < 0.04


@quick_on_torch
def test_rand_augment_draws_as_it_says():
    seen = []

    class Seen(RandAugment):
        def applied(self, x, taken, magnitudes, signs):
            seen.append([as_numpy(v) for v in (taken, magnitudes, signs)])
            return x

    Seen().change(np.zeros((3000, 2, 2, 3), "uint8"), Draws(seed_of((0,))))
    assert len(seen) == 2
    for taken, magnitudes, signs in seen:
        counts = np.bincount(taken + 1, minlength=16)
        assert abs(counts[0] - 1500) < 120
        assert counts[1:].min() > 60
        assert abs(magnitudes.mean() - 7) < 0.05
        assert abs(magnitudes.std() - 0.5) < 0.03
        assert abs(signs.mean()) < 0.08
    assert (seen[0][0] != seen[1][0]).any()
