"""Which files Pillow may open, and its pictures in red, green and blue of 8 bits. Neither Keras nor the library is imported here."""

from typing import Any

import numpy as np

# Those whose numbers Pillow itself brings to 0..255 of three colours.
EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")
# What Pillow decodes itself, whatever the file is called. For an EPS it would start Ghostscript, which runs the file as a program.
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "JPEG2000", "PPM", "TGA")
SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")


def opened(path: Any) -> Any:
    """Pillow's picture of a file of one of `FORMATS`, not read yet. Raises as Pillow does."""
    from PIL import Image  # costs a tenth of a second that importing the library need not

    Image.init()  # Pillow may be built without some
    return Image.open(path, formats=[kind for kind in FORMATS if kind in Image.OPEN])


def as_rgb(picture: Any) -> Any:
    """A picture of Pillow in the mode "RGB".

    Grey values of 16 bits become `round(value / 257)`, so that 65535 becomes 255; Pillow's own conversion would make 255 of all above 255.

    Args:
        picture: of one of the modes above.

    Raises:
        ValueError: at another mode. In "I" and "F", 32 bits a value, the range is not known.
    """
    if picture.mode == "RGB":
        return picture
    if picture.mode in SIXTEEN_BITS:
        from PIL import Image  # here there is one

        values = (np.asarray(picture).astype("uint32") + 128) // 257
        return Image.fromarray(values.astype("uint8")).convert("RGB")
    if picture.mode in EIGHT_BITS:
        return picture.convert("RGB")
    raise ValueError(
        f"A picture must have a mode of {', '.join((*EIGHT_BITS, *SIXTEEN_BITS))}, whose range is known. "
        f"Received: mode={picture.mode!r}; scale its values to 0..255 and convert it to 'L' or 'RGB'."
    )
