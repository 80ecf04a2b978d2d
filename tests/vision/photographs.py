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
        return np.ascontiguousarray(_open("flower.jpg").transpose(1, 0, 2))
    if name == "odd":
        return _open("china.jpg")[:333, :257]
    if name == "small":
        return _open("flower.jpg")[100:130, 200:217]
    return _open({"landscape": "china.jpg", "cat": "chelsea.png"}[name])


NAMES = ("landscape", "portrait", "odd", "small", "cat")


def _open(file: str) -> np.ndarray:
    (path,) = (folder / file for folder in _FOLDERS if (folder / file).exists())
    return np.asarray(Image.open(path).convert("RGB"))
