"""Pictures made for --quick: blocks whose place says their class, so that there is something to learn."""

from typing import Any

import numpy as np

from training.recipe import Data


def pictures(data: Data, count: int = 32) -> dict[str, Any]:
    """As many to learn from as to test on, alike each time."""
    rng = np.random.default_rng(0)
    found: dict[str, Any] = {}
    for part in ("train", "test"):
        labels = np.arange(count) % data.classes
        images = rng.integers(0, 120, (count, data.size, data.size, data.channels))
        side = max(2, data.size // 4)
        for image, label in zip(images, labels):
            row, column = divmod(int(label), 4)
            row = row % 4
            image[row * side : (row + 1) * side, column * side : (column + 1) * side] += 120
        found |= {f"{part}_images": images.astype("uint8"), f"{part}_labels": labels.astype("int32")}
    return found


def masks(data: Data, count: int = 8) -> dict[str, list[np.ndarray]]:
    """Bright boxes on noise, a label each, to learn from and to test on."""
    rng = np.random.default_rng(0)
    found: dict[str, list[np.ndarray]] = {}
    for part in ("train", "test"):
        images, labels = [], []
        for _ in range(count):
            image = rng.integers(0, 80, (data.size, data.size, data.channels))
            mask = np.zeros((data.size, data.size), "uint8")
            for label in range(1, data.classes):
                top, left = rng.integers(0, max(1, data.size // 2), 2)
                box = np.s_[top : top + data.size // 2, left : left + data.size // 2]
                mask[box] = label
                image[box] = 60 + image[box] + 100 * label // data.classes
            images.append(image.astype("uint8"))
            labels.append(mask)
        found |= {f"{part}_images": images, f"{part}_labels": labels}
    return found
