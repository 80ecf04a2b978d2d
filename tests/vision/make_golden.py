"""Writes `timm.npz`, what timm's own transform with Pillow makes of photographs: python -m tests.vision.make_golden (timm, torchvision)."""

import itertools
import pathlib

import numpy as np

from tests.vision import photographs

PATH = pathlib.Path(__file__).with_name("timm.npz")
MEAN = (0.485, 0.456, 0.406)
SIZES = ((56, 0.875), (48, 0.95), (61, 1.0), ((40, 63), 0.9))


def cases() -> list[tuple]:
    """Photograph, interpolation, crop mode, size and crop; the sizes take turns, so that each photograph and mode has all."""
    kinds = itertools.product(photographs.NAMES, ("bilinear", "bicubic"), ("center", "squash", "border"))
    return [(*kind, *SIZES[i % len(SIZES)]) for i, kind in enumerate(kinds)]


def main() -> None:
    """Runs timm."""
    from benchmarks.peers import import_torchvision

    import_torchvision()  # before timm does, which must find it brought in this way
    from PIL import Image
    from timm.data import create_transform

    found = {}
    for i, (name, interpolation, mode, size, crop) in enumerate(cases()):
        shape = (3, *size) if isinstance(size, tuple) else (3, size, size)
        settings = dict(interpolation=interpolation, crop_pct=crop, crop_mode=mode, mean=MEAN, std=(1.0,) * 3)
        transform = create_transform(shape, is_training=False, normalize=False, **settings)
        found[str(i)] = transform(Image.fromarray(photographs.photograph(name))).numpy().transpose(1, 2, 0)
    np.savez_compressed(PATH, **found)


if __name__ == "__main__":
    main()
