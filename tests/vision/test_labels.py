"""Names of classes: the highest scores first, whatever the predictions are held in, and one clear error at other shapes."""

import keras
import numpy as np
import pytest

from keras_resnet.vision.labels import class_names, decode_predictions
from tests.arrays import normal


def test_the_classes_of_imagenet():
    names = class_names()
    assert len(names) == 1000 == len({wordnet_id for wordnet_id, _ in names})
    assert [wordnet_id for wordnet_id, _ in names] == sorted(wordnet_id for wordnet_id, _ in names)  # as the outputs are ordered
    assert (names[0], names[281], names[999]) == (("n01440764", "tench"), ("n02123045", "tabby"), ("n15075141", "toilet_tissue"))


def test_highest_first():
    scores = normal(3, 1000)
    decoded = decode_predictions(scores)
    assert [len(best) for best in decoded] == [5, 5, 5]
    for row, best in zip(scores, decoded):
        assert [score for _, _, score in best] == sorted(row.tolist(), reverse=True)[:5]  # as they were given: logits stay logits
        assert [class_names()[int(np.flatnonzero(row == np.float32(score))[0])] for _, _, score in best] == [(a, b) for a, b, _ in best]
        assert all(type(score) is float for _, _, score in best)
    assert decode_predictions(scores, top=1000)[0][0] == decoded[0][0]
    assert decode_predictions(np.zeros((1, 1000)), top=2) == [[(*class_names()[0], 0.0), (*class_names()[1], 0.0)]]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_tensors_and_lists(dtype):
    scores = np.round(normal(2, 1000) * 8)
    assert decode_predictions(keras.ops.cast(keras.ops.convert_to_tensor(scores), dtype)) == decode_predictions(scores)
    assert decode_predictions(scores.tolist()) == decode_predictions(scores)


@pytest.mark.parametrize(
    ("predictions", "top", "says"),
    [
        (np.zeros((2, 37)), 5, "37"),
        (np.zeros(1000), 5, r"predictions\[None\]"),
        (np.zeros((1, 7, 7, 1000)), 5, "shape"),
        (None, 5, "shape"),
        (np.zeros((1, 1000)), 0, "top"),
        (np.zeros((1, 1000)), 1001, "at most 1000"),
        (np.zeros((1, 1000)), 2.5, "top"),
    ],
)
def test_errors(predictions, top, says):
    with pytest.raises(ValueError, match=says):
        decode_predictions(predictions, top)
