"""Opens pictures that nobody vouches for."""

import functools
import importlib.util
import os
import pathlib
import runpy
import warnings
from typing import Any

MOST_PIXELS = 2**27  # 134 million, 400 MiB of three bytes a pixel


def open_picture(path: str) -> Any:
    """The picture at `path` in red, green and blue, turned as its camera says.

    Raises:
        ValueError: if it is a folder, no picture of a kind that Pillow opens itself, damaged, has more than `MOST_PIXELS`, or values of
            an unknown range. One line says which.
        FileNotFoundError: if there is nothing at `path`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own limit of pixels is one of warnings, and lower than ours
        return read_picture(path)


def read_picture(path: str) -> Any:
    """The same for several threads, in which Pillow's warnings cannot be switched off for a time: whoever starts them has to."""
    place = pathlib.Path(path).expanduser()
    if place.is_dir():
        raise ValueError(f"{path!r} is a folder. Name the pictures in it, such as {os.path.join(path, '*.jpg')}.")
    if not place.exists():
        raise FileNotFoundError(f"There is no picture at {path!r} (working directory {os.getcwd()}).")
    if not place.is_file():
        raise ValueError(f"{path!r} is no file.")
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError as error:
        raise ImportError("Pictures are opened by Pillow, which is not installed: pip install pillow.") from error
    library = _library()
    try:
        with library["opened"](place) as picture:
            width, height = picture.size
            if width * height > MOST_PIXELS:
                raise Image.DecompressionBombError
            return library["as_rgb"](ImageOps.exif_transpose(picture))
    except UnidentifiedImageError:
        raise ValueError(f"{path!r} is no picture of a kind that is opened here: {', '.join(library['FORMATS'])}.") from None
    except Image.DecompressionBombError:
        raise ValueError(f"The picture {path!r} has more than {MOST_PIXELS:,} pixels, which is not opened.") from None
    except Exception as error:  # decoders of a hundred formats raise all kinds at damaged files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"The picture {path!r} cannot be read: {reason}.") from error


@functools.cache
def _library() -> dict[str, Any]:
    """The names in the library's `vision/pillow_pictures.py`, read from its file: its import by name would start a backend."""
    library = importlib.util.find_spec("keras_resnet")
    if library is None or not library.submodule_search_locations:
        raise ImportError("The package keras_resnet is not installed beside keras_resnet_cli: pip install keras-resnet-zoo.")
    return runpy.run_path(os.path.join(library.submodule_search_locations[0], "vision", "pillow_pictures.py"))
