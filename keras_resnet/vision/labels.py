"""What the outputs of a classifier stand for: the 1,000 classes of ImageNet-1k."""

import csv
import functools
import pathlib
from typing import Any

import numpy as np

from keras_resnet import weights
from keras_resnet.layers.configured import check_count
from keras_resnet.vision.host_arrays import as_host_array

_PATH = pathlib.Path(weights.__file__).with_name("imagenet1k.csv")


@functools.cache
def class_names() -> tuple[tuple[str, str], ...]:
    """WordNet id and name of each class of ImageNet-1k, in the order of a classifier's outputs."""
    with _PATH.open(newline="", encoding="utf-8") as file:
        return tuple((wordnet_id, name) for wordnet_id, name in csv.reader(file))


def decode_predictions(predictions: Any, top: int = 5) -> list[list[tuple[str, str, float]]]:
    """The classes that a network finds most likely, and how likely: `decode_predictions(model.predict(images))`.

    Args:
        predictions: `(n, 1000)`, an array or a tensor: probabilities, or logits, which order the classes in the same way. Scores are
            given as they are; for probabilities of logits call `keras.ops.softmax` first.
        top: how many classes of each picture, from 1 to 1000.

    Returns:
        For each picture a list of `(WordNet id, class name, score)`, the highest score first; of equal ones the first class.

    Raises:
        ValueError: at predictions of another shape, and at another number of classes.

    Source: Russakovsky et al. 2015, arXiv:1409.0575, for the classes.
    """
    names = class_names()
    check_count("top", top)
    shape = tuple(np.shape(predictions))
    if len(shape) != 2 or shape[1] != len(names):
        hint = " For a single picture pass predictions[None]." if shape == (len(names),) else ""
        raise ValueError(
            f"`predictions` must have the shape (n, {len(names)}), scores of the classes of ImageNet-1k. Received: shape={shape}.{hint}"
        )
    if top > len(names):
        raise ValueError(f"`top` must be at most {len(names)}, the number of classes. Received: top={top!r}.")
    scores = as_host_array(predictions).astype("float32")
    order = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return [[(*names[i], float(row[i])) for i in best] for row, best in zip(scores, order, strict=True)]
