"""Pictures of nuclei: what a network learns from their labels, and how its pixels become nuclei again. NumPy and SciPy alone."""

import pathlib
from typing import Any

import numpy as np
from PIL import Image

try:
    from scipy import ndimage
except ImportError as error:
    raise SystemExit(f"applications.segment_nuclei needs SciPy: `pip install scipy` ({error}).") from error

NAMES = ("background", "nucleus", "border")
IGNORED = -1  # the label of pixels from outside the picture, as long as labels are numbers of nuclei
UNCOUNTED = 255  # the class of those pixels
SMALLEST = 10  # pixels inside a border: what is smaller is no nucleus


def read_pair(image: pathlib.Path, labels: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """A picture, `(height, width)` in float32, and a number for each nucleus, 0 being background, `(height, width)` in int32.

    Labels with one value beside 0 are a mask: each connected part of it becomes a nucleus.
    """
    picture, numbers = _read("--image", image), _read("--labels", labels)
    if picture.ndim == 3:
        picture = picture[..., : 3 if picture.shape[-1] > 2 else 1].mean(axis=-1)  # without opacity
    if not np.isfinite(picture).all():
        raise SystemExit(f"error: --image: {str(image)!r} holds {(~np.isfinite(picture)).sum()} pixels that are no finite numbers.")
    if numbers.ndim == 3:
        raise SystemExit(f"error: --labels {str(labels)!r} is a colour picture; labels are one number a pixel: grey, or with a palette.")
    if picture.shape != numbers.shape:
        sizes = [f"{one.shape[1]}x{one.shape[0]}" for one in (picture, numbers)]
        raise SystemExit(f"error: --image and --labels must have one size. Received: {sizes[0]} and {sizes[1]} pixels.")
    if len(np.unique(numbers)) == 2 and numbers.min() == 0:
        numbers = ndimage.label(numbers)[0]
    return picture.astype("float32"), numbers.astype("int32")


def _read(option: str, path: pathlib.Path) -> np.ndarray:
    try:
        with Image.open(path) as file:
            return np.asarray(file.convert("RGB") if option == "--image" and file.mode == "P" else file)
    except FileNotFoundError as error:
        raise SystemExit(f"error: {option}: there is no file {str(path)!r}.") from error
    except Exception as error:  # Pillow raises anything from OSError to SyntaxError at a damaged file
        raise SystemExit(f"error: {option}: {str(path)!r} cannot be read as a picture ({type(error).__name__}).") from error


def standardized(picture: np.ndarray) -> np.ndarray:
    """`(height, width, 1)` with mean 0 and deviation 1, of the root: the noise of counted photons is then alike in dark and bright."""
    root = np.sqrt(np.maximum(picture - picture.min(), 0))
    return ((root - root.mean()) / max(float(root.std()), 1e-6)).astype("float32")[..., None]


def three_classes(numbers: np.ndarray) -> np.ndarray:
    """`NAMES` of each pixel of `(..., height, width)`: a pixel of a nucleus that touches another number along an axis is its border.

    So two nuclei that touch have a line of two pixels between them, and can be counted.
    """
    edge = np.zeros(numbers.shape, bool)
    for axis in (-1, -2):
        one, other = (np.swapaxes(numbers, axis, -1)[..., part] for part in (slice(None, -1), slice(1, None)))
        differ = (one != other) & (one != IGNORED) & (other != IGNORED)
        turned = np.swapaxes(edge, axis, -1)  # a view
        turned[..., :-1] |= differ
        turned[..., 1:] |= differ
    classes = np.where(numbers == 0, 0, np.where(edge, 2, 1))
    return np.where(numbers == IGNORED, UNCOUNTED, classes).astype("uint8")


def instances(classes: np.ndarray) -> np.ndarray:
    """A number for each nucleus found, from the classes of the pixels of one picture: connected insides, grown to their borders."""
    seeds, count = ndimage.label(classes == 1)
    sizes = np.bincount(seeds.ravel(), minlength=count + 1)
    kept = sizes >= SMALLEST
    kept[0] = False
    seeds = np.where(kept[seeds], seeds, 0)
    if not seeds.any():
        return np.zeros(classes.shape, "int32")
    parts, _ = ndimage.label(classes > 0)
    places = ndimage.distance_transform_edt(seeds == 0, return_indices=True)[1]
    nearest = tuple(places)
    # A border of nothing that is near a nucleus is not made part of it.
    grown = np.where((parts > 0) & (parts == parts[nearest]), seeds[nearest], 0)
    return np.unique(grown, return_inverse=True)[1].reshape(classes.shape).astype("int32")  # 0, 1, 2, ...


def judge(found: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Dice of the pixels, how many nuclei there are and were found, and how many of them are the same: more than half of their union.

    Of two different nuclei at most one can share more than half of its union with a third: what is matched is matched once.
    """
    there, seen = truth > 0, found > 0
    pairs, areas = np.unique(np.stack([truth[there & seen], found[there & seen]]), axis=1, return_counts=True)
    in_truth, in_found = np.bincount(truth.ravel()), np.bincount(found.ravel())
    unions = in_truth[pairs[0]] + in_found[pairs[1]] - areas
    true_count, found_count = (len(np.unique(numbers[numbers > 0])) for numbers in (truth, found))
    matched = int((2 * areas > unions).sum())
    return {
        "dice": float(2 * (there & seen).sum() / max(there.sum() + seen.sum(), 1)),
        "nuclei": true_count,
        "found": found_count,
        "matched": matched,
        "f1": 2 * matched / max(true_count + found_count, 1),
    }


def threshold_dice(learnt: tuple[np.ndarray, np.ndarray], held: tuple[np.ndarray, np.ndarray]) -> float:
    """What no network is needed for: Dice on `held` above the brightness that is best on `learnt`, each a picture and its labels."""

    def dice(pair: tuple[np.ndarray, np.ndarray], level: float) -> float:
        above, there = pair[0] > level, pair[1] > 0
        return float(2 * (above & there).sum() / max(above.sum() + there.sum(), 1))

    levels = np.unique(np.quantile(learnt[0], np.linspace(0, 1, 257)))
    return dice(held, max(levels, key=lambda level: dice(learnt, level)))
