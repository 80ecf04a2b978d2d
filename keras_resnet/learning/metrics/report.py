"""A table of how well each class is found."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_resnet.layers.configured import check_count
from keras_resnet.learning.losses.masks import check_masks

COLUMNS = ("iou", "dice", "precision", "recall")


class SegmentationReport(dict):
    """Numbers by class name, as a dictionary; `print` shows them as a table."""

    def __str__(self) -> str:
        width = max(len(name) for name in self)
        lines = [" " * width + "".join(f"{column:>11}" for column in (*COLUMNS, "pixels"))]
        for name, row in self.items():
            shown = "".join(f"{'-':>11}" if np.isnan(row[column]) else f"{row[column]:>11.4f}" for column in COLUMNS)
            lines.append(f"{name:<{width}}{shown}{row['pixels']:>11}")
        return "\n".join(lines)


def segmentation_report(
    y_true: Any,
    y_pred: Any,
    names: Sequence[str] | None = None,
    classes: int | None = None,
    ignore_index: int | None = None,
) -> SegmentationReport:
    """Intersection over union, Dice, precision and recall of each class, and their means.

    ```python
    report = keras_resnet.metrics.segmentation_report(masks, found, names=["background", "nucleus"], ignore_index=255)
    print(report)
    report["nucleus"]["dice"]
    ```

    Args:
        y_true: masks of integers, of any shape.
        y_pred: masks of integers, of the same shape: `argmax` of a network's output.
        names: of the classes; `None` for their numbers.
        classes: how many there are; `None` for the number of `names`, else for the largest label and 1.
        ignore_index: label of pixels that do not count.

    Returns:
        A dictionary that prints as a table: by name `iou`, `dice`, `precision`, `recall` and the truth's `pixels`. A number without
        anything to count is NaN and left out of the means under `"mean"`; `"all pixels"` has all classes as one.

    Raises:
        ValueError: at shapes that differ, at names that are not one a class, and at labels out of range.

    Source: the counts of `IoU` and `DiceScore`.
    """
    truth, found = (_array(masks) for masks in (y_true, y_pred))
    if truth.shape != found.shape:
        raise ValueError(
            f"`y_true` and `y_pred` must be masks of one shape. Received: y_true of {truth.shape}, y_pred of {found.shape}. "
            "Take the argmax of a network's output over its channels first."
        )
    if isinstance(names, str):
        raise ValueError(f"`names` must be a list of names. Received: names={names!r}.")
    keep = np.ones(truth.shape, bool) if ignore_index is None else truth != ignore_index
    if classes is None:
        largest = max(int(masks[keep].max(initial=0)) for masks in (truth, found))
        classes = len(names) if names is not None else max(largest + 1, 2)
    check_count("classes", classes)
    names = [str(i) for i in range(classes)] if names is None else list(names)
    if len(names) != classes or len({*names, "mean", "all pixels"}) != classes + 2:
        raise ValueError(f"`names` must be {classes} different names, none of them 'mean' or 'all pixels'. Received: names={names!r}.")
    check_masks(truth, classes, ignore_index)
    check_masks(found[keep], classes)
    matrix = counted(truth[keep], found[keep], classes)
    right, in_truth, in_found = np.diagonal(matrix), matrix.sum(1), matrix.sum(0)
    values = np.stack(
        [
            overlaps(matrix),
            _share(2 * right, in_truth + in_found),
            _share(right, in_found),
            _share(right, in_truth),
        ]
    )
    means = [float(np.mean(row[~np.isnan(row)])) if not np.isnan(row).all() else float("nan") for row in values]
    total = int(matrix.sum())
    report = SegmentationReport()
    for i, name in enumerate(names):
        report[name] = {**dict(zip(COLUMNS, map(float, values[:, i]))), "pixels": int(in_truth[i])}
    report["mean"] = {**dict(zip(COLUMNS, means)), "pixels": total}
    accuracy = float(right.sum() / total) if total else float("nan")
    overlap = float(right.sum() / (2 * total - right.sum())) if total else float("nan")
    report["all pixels"] = {"iou": overlap, "dice": accuracy, "precision": accuracy, "recall": accuracy, "pixels": total}
    return report


def counted(truth: np.ndarray, found: np.ndarray, classes: int) -> np.ndarray:
    """Pixels by true class (rows) and class found (columns), of labels in range."""
    pairs = truth.astype("int64") * classes + found.astype("int64")  # which bytes are too few for
    return np.bincount(pairs.ravel(), minlength=classes**2).reshape(classes, classes)


def overlaps(matrix: np.ndarray) -> np.ndarray:
    """Intersection over union of each class, from what `counted` gives; NaN of a class that is nowhere."""
    right = np.diagonal(matrix)
    return _share(right, matrix.sum(1) + matrix.sum(0) - right)


def _array(masks: Any) -> np.ndarray:
    if hasattr(masks, "shape") and not isinstance(masks, np.ndarray):
        masks = keras.ops.convert_to_numpy(masks)
    return np.asarray(masks)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
