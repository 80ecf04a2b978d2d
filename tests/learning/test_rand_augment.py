"""RandAugment: Pillow's operations, and drawn as it says."""

import keras
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from keras_resnet.learning import RandAugment
from keras_resnet.learning.augmentation.draws import Draws, seed_of
from keras_resnet.learning.augmentation.rand_augment import OPERATIONS
from tests.arrays import as_numpy
from tests.quick import quick_on_torch


def picture() -> np.ndarray:
    small = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 7, 3)).astype("uint8"))
    return (np.asarray(small.resize((28, 24), Image.Resampling.BICUBIC)) * 0.8 + 20).astype("uint8")


def pillows(name: str, magnitude: float, sign: float) -> np.ndarray:
    image, share = Image.fromarray(picture()), magnitude / 10
    (width, height), strength, factor = image.size, share * sign, max(0.1, 1 + 0.9 * share * sign)

    def moved(*matrix: float) -> Image.Image:
        return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=(128,) * 3)

    return np.asarray(
        {
            "rotate": lambda: image.rotate(30 * strength, Image.Resampling.BILINEAR, fillcolor=(128,) * 3),
            "shear_x": lambda: moved(1, 0.3 * strength, 0, 0, 1, 0),
            "shear_y": lambda: moved(1, 0, 0, 0.3 * strength, 1, 0),
            "translate_x": lambda: moved(1, 0, 0.45 * strength * width, 0, 1, 0),
            "translate_y": lambda: moved(1, 0, 0, 0, 1, 0.45 * strength * height),
            "auto_contrast": lambda: ImageOps.autocontrast(image),
            "equalize": lambda: ImageOps.equalize(image),
            "invert": lambda: ImageOps.invert(image),
            "posterize": lambda: ImageOps.posterize(image, 4 - int(share * 4)),
            "solarize": lambda: ImageOps.solarize(image, 256 - int(share * 256)),
            "solarize_add": lambda: image.point([min(255, i + int(share * 110)) if i < 128 else i for i in range(256)] * 3),
            "color": lambda: ImageEnhance.Color(image).enhance(factor),
            "contrast": lambda: ImageEnhance.Contrast(image).enhance(factor),
            "brightness": lambda: ImageEnhance.Brightness(image).enhance(factor),
            "sharpness": lambda: ImageEnhance.Sharpness(image).enhance(factor),
        }[name]()
    ).astype("float32")


@quick_on_torch
@pytest.mark.parametrize(("magnitude", "sign"), [(7.3, 1.0), (4.1, -1.0)])
def test_operations_are_pillows(magnitude, sign):
    number = len(OPERATIONS)
    batch = keras.ops.convert_to_tensor(np.repeat(picture()[None], number + 1, 0).astype("float32"))
    taken = keras.ops.convert_to_tensor(np.arange(-1, number).astype("int32"))
    found = RandAugment().applied(batch, taken, keras.ops.full((number + 1,), magnitude), keras.ops.full((number + 1,), sign))
    found = as_numpy(found)
    assert (found[0] == picture()).all()
    for name, one in zip(OPERATIONS, found[1:], strict=True):
        difference = np.abs(one - pillows(name, magnitude, sign))
        assert difference.max() <= 1, name
        assert difference.mean() < 0.005, name
        assert name == "identity" or (one != picture()).mean() > 0.1, name


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
