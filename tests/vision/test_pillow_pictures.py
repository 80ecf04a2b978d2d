"""Pillow's kinds of pictures: those of 16 bits keep their steps, and those of unknown range are refused."""

import io

import numpy as np
import pytest
from PIL import Image

from keras_resnet.vision.pillow_pictures import EIGHT_BITS, SIXTEEN_BITS, as_rgb
from keras_resnet.vision.preprocessing import Preprocessing
from tests.arrays import as_numpy
from tests.vision.photographs import photograph


def grey(kind: str = "I;16") -> tuple[Image.Image, np.ndarray]:
    """All values of 16 bits, as a picture of 256 times 256 pixels, and what they are of 255."""
    values = np.arange(2**16).reshape(256, 256)
    order = ">u2" if kind == "I;16B" else "<u2"
    return Image.frombytes(kind, (256, 256), values.astype(order).tobytes()), values / 257


@pytest.mark.parametrize("kind", SIXTEEN_BITS)
def test_sixteen_bits(kind):
    picture, expected = grey(kind)
    rgb = as_rgb(picture)
    assert rgb.mode == "RGB"
    assert np.abs(np.asarray(rgb) - expected[..., None]).max() <= 0.5
    layer = Preprocessing(256, 1.0, mode="tf")
    for y in (layer(picture), layer([picture])):
        assert (as_numpy(y) == as_numpy(layer(np.asarray(rgb)))).all()


def test_a_file_of_sixteen_bits():
    for suffix in ("png", "tiff"):
        file = io.BytesIO()
        grey()[0].save(file, suffix)
        assert np.abs(np.asarray(as_rgb(Image.open(file))) - grey()[1][..., None]).max() <= 0.5


@pytest.mark.parametrize("kind", EIGHT_BITS)
def test_eight_bits(kind):
    picture = Image.fromarray(photograph("cat"))
    start = {"RGBa": "RGBA", "PA": "P"}.get(kind)
    picture = (picture.convert(start) if start else picture).convert(kind)
    rgb = as_rgb(picture)
    assert rgb.mode == "RGB"
    assert (np.asarray(rgb) == np.asarray(picture.convert("RGB"))).all()


@pytest.mark.parametrize("kind", ["I", "F", "La"])
def test_unknown_range(kind):
    picture = Image.new(kind, (8, 8))
    for pictures in (picture, [picture]):
        with pytest.raises(ValueError, match=f"whose range is known.*mode='{kind}'"):
            Preprocessing(8)(pictures)
