"""Folders with a folder of pictures for each class."""

import os
import pathlib

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})


def folders_in(folder: pathlib.Path) -> list[pathlib.Path]:
    """Those in it that are not hidden, by name."""
    return sorted(place for place in folder.iterdir() if place.is_dir() and not place.name.startswith("."))


def pictures_below(folder: pathlib.Path) -> list[str]:
    """The paths of files called like pictures, by name, in folders of folders, too, and where links lead. What is hidden is left out."""
    found, seen = [], set()
    for place, inner, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # a link to a folder above it
            inner.clear()
            continue
        seen.add(real)
        inner[:] = [name for name in inner if not name.startswith(".")]
        found += [os.path.join(place, name) for name in [*files, *inner] if is_picture(name)]
    return sorted(found)


def printable(name: str) -> str:
    """A file's name as text that can be written: bytes that are no UTF-8 as `\\xff`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def is_picture(name: str) -> bool:
    """Whether a file is called like a picture, and not hidden."""
    return pathlib.PurePath(name).suffix.lower() in SUFFIXES and not name.startswith(".")
