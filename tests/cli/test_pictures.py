"""Pictures that are none, broken, or too large: one line each, and nothing else."""

import os
import pathlib
import struct
import warnings
import zlib

import keras
import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from keras_resnet_cli.pictures import MOST_PIXELS, open_picture

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="no backend is started")


def png(width: int, height: int) -> bytes:
    """A PNG file that says it is this large, and holds one byte of it."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def noise(*shape: int) -> Image.Image:
    """A picture that compresses badly."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, shape).astype("uint8"))


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "RGBA", "P", "CMYK", "1"])
def test_all_kinds_become_red_green_and_blue(mode, tmp_path):
    path = tmp_path / ("picture.tif" if mode == "CMYK" else "picture.png")
    noise(30, 40, 3).convert(mode).save(path)
    picture = open_picture(str(path))
    assert (picture.mode, picture.size) == ("RGB", (40, 30))


def test_turned_as_the_camera_says(tmp_path):
    lying = noise(30, 40, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # its top is on the right
    lying.save(tmp_path / "lying.png", exif=exif)
    np.testing.assert_array_equal(np.asarray(open_picture(str(tmp_path / "lying.png"))), np.rot90(np.asarray(lying), -1))


@pytest.mark.parametrize("size", [(12000, 12000), (50000, 50000), (2**31 - 1, 2**31 - 1)])
def test_more_pixels_than_allowed(size, tmp_path):
    """Above our limit but in the range where Pillow only warns, and far above both."""
    assert size[0] * size[1] > MOST_PIXELS
    path = tmp_path / "bomb.png"
    path.write_bytes(png(*size))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=r"bomb\.png' has more than 134,217,728 pixels"):
            open_picture(str(path))


def test_damaged(tmp_path):
    noise(64, 64, 3).save(tmp_path / "whole.jpg")
    noise(64, 64, 3).save(tmp_path / "whole.png")
    for name in ("whole.jpg", "whole.png"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / f"half.{name}").write_bytes(content[: len(content) // 2])
        with pytest.raises(ValueError, match=r"half\.whole\.\w+' cannot be read: \S"):
            open_picture(str(tmp_path / f"half.{name}"))


def test_bits_turned_over(tmp_path):
    """Whatever stands in the file, it is a picture or one clear error."""
    random = np.random.default_rng(0)
    for suffix in ("jpg", "png", "gif", "bmp", "tif", "webp"):
        noise(24, 24, 3).save(tmp_path / f"whole.{suffix}")
        content = np.fromfile(tmp_path / f"whole.{suffix}", "uint8")
        for _ in range(100):
            broken = content.copy()
            places = random.integers(0, min(len(broken), 400), 4)
            broken[places] ^= random.integers(1, 256, 4).astype("uint8")
            path = tmp_path / f"broken.{suffix}"
            broken.tofile(path)
            try:
                assert open_picture(str(path)).mode == "RGB"
            except ValueError as error:
                assert str(path) in str(error)  # noqa: PT017
                assert "\n" not in str(error)  # noqa: PT017


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell's program")
@pytest.mark.parametrize("name", ["photo.jpg", "photo.eps"])
def test_no_other_program_is_started(name, tmp_path, monkeypatch):
    """An EPS is a program for Ghostscript, which Pillow starts: here one that leaves a trace."""
    programs, trace = tmp_path / "programs", tmp_path / "trace"
    programs.mkdir()
    (programs / "gs").write_text(f"#!/bin/sh\necho started >> {trace}\n")
    (programs / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # it looks once, and some other test may have been the first
    path = tmp_path / name
    path.write_bytes(EPS)
    with pytest.raises(ValueError, match="is no picture of a kind that is opened here"):
        open_picture(str(path))
    assert not trace.exists()
    with pytest.raises(OSError), Image.open(path) as picture:  # noqa: PT011
        picture.load()
    assert trace.exists()  # the trap works


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits(suffix, tmp_path):
    """Not 255 wherever a value is above that."""
    values = np.arange(0, 2**16, 64, "uint16").reshape(32, 32)
    Image.fromarray(values).save(tmp_path / f"deep.{suffix}")
    picture = open_picture(str(tmp_path / f"deep.{suffix}"))
    assert picture.mode == "RGB"
    assert np.abs(np.asarray(picture) - values[..., None] / 257).max() <= 0.5


@pytest.mark.parametrize("mode", ["I", "F"])
def test_unknown_range(mode, tmp_path):
    Image.new(mode, (8, 8)).save(tmp_path / "wide.tif")
    with pytest.raises(ValueError, match=rf"wide\.tif' cannot be read: .*mode='{mode}'; scale its values"):
        open_picture(str(tmp_path / "wide.tif"))


@pytest.mark.parametrize("content", [b"", b"not a picture", b"PK\x03\x04", bytes(1000)])
def test_no_picture(content, tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"photo\.jpg' is no picture of a kind that is opened here: JPEG, PNG"):
        open_picture(str(path))


def test_folder_nothing_and_device(tmp_path):
    with pytest.raises(ValueError, match=r"is a folder\. Name the pictures in it, such as .*\*\.jpg"):
        open_picture(str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"There is no picture at .*none\.jpg"):
        open_picture(str(tmp_path / "none.jpg"))
    if pathlib.Path("/dev/zero").exists():
        with pytest.raises(ValueError, match=r"'/dev/zero' is no file"):
            open_picture("/dev/zero")
