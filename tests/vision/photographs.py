"""Real photographs to test with, of scikit-learn and scikit-image, in the shapes that pictures have."""

import functools
import pathlib

import numpy as np
import skimage
import sklearn
from PIL import Image

_FOLDERS = (pathlib.Path(sklearn.__file__).parent / "datasets" / "images", pathlib.Path(skimage.__file__).parent / "data")


@functools.cache
def photograph(name: str) -> np.ndarray:
    """`(height, width, 3)`, uint8: landscape, portrait, odd sizes, and one smaller than what networks take."""
    if name == "portrait":
        return np.ascontiguousarray(open_photograph("flower.jpg").transpose(1, 0, 2))
    if name == "odd":
        return open_photograph("china.jpg")[:333, :257]
    if name == "small":
        return open_photograph("flower.jpg")[100:130, 200:217]
    return open_photograph({"landscape": "china.jpg", "cat": "chelsea.png"}[name])


NAMES = ("landscape", "portrait", "odd", "small", "cat")


def open_photograph(file: str) -> np.ndarray:
    """A picture that comes with scikit-learn or scikit-image."""
    (path,) = (folder / file for folder in _FOLDERS if (folder / file).exists())
    return np.asarray(Image.open(path).convert("RGB"))
