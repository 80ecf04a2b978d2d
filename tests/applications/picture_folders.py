"""Folders of pictures, one folder a class: of photographs, and of nothing."""

import io
import pathlib

import numpy as np
from PIL import Image

from tests.vision.photographs import open_photograph

PHOTOGRAPHS = {"temple": "china.jpg", "flower": "flower.jpg", "woman": "astronaut.png", "cup": "coffee.png"}


def crops(folder: pathlib.Path) -> None:
    """Crops of photographs, 24 of each of four, of different sizes and kinds; and one file in each that is no picture."""
    rng = np.random.default_rng(0)
    for name, file in PHOTOGRAPHS.items():
        (folder / name).mkdir()
        photograph = open_photograph(file)
        for number in range(24):
            size = rng.integers(70, 130, 2)
            top, left = rng.integers(0, np.array(photograph.shape[:2]) - size)
            crop = Image.fromarray(photograph[top : top + size[0], left : left + size[1]])
            if number == 0:
                exif = Image.Exif()
                exif[0x0112] = 6  # lying on its side
                crop.save(folder / name / "turned.jpg", exif=exif)
            elif number == 1:
                crop.convert("L").save(folder / name / "grey.webp")
            elif number == 2:
                crop.convert("RGBA").save(folder / name / "transparent.png")
            else:
                crop.save(folder / name / f"{number:02d}.png")
    (folder / "cup" / "broken.jpg").write_bytes((folder / "cup" / "turned.jpg").read_bytes()[:500])
    (folder / "cup" / "notes.txt").write_text("no picture, and not called one")
    (folder / ".hidden").mkdir()


def folder_of(tmp_path: pathlib.Path, **classes: int) -> pathlib.Path:
    """A folder with so many equal pictures of each class."""
    picture = io.BytesIO()
    Image.new("RGB", (40, 40)).save(picture, "PNG")
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, count in classes.items():
        (folder / name).mkdir()
        for number in range(count):
            (folder / name / f"{number}.png").write_bytes(picture.getvalue())
    return folder
