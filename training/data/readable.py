"""Of the pictures to test on those that can be read, and what all processes of a run know of damaged ones."""

import dataclasses
import json
from typing import Any

import numpy as np

from keras_resnet import learning
from training.data.dataset import Dataset, Part
from training.data.pictures import Pictures

ALONE = learning.Replicas(None, False)


def only_readable(found: Dataset, replicas: learning.Replicas = ALONE) -> Dataset:
    """The set without pictures to test on that cannot be read: in a test no other picture may stand in.

    Each is opened once, before anything is written, and by one process: of several each opens its part.

    Raises:
        ValueError: if none can be read, or one cannot and was not to be passed over.
    """
    images, labels = found.test.images, found.test.labels
    if not isinstance(images, Pictures):
        return found
    number, parts = replicas.part
    replicas.of_all(lambda: images.tried(range(number, len(images), parts)))
    told(images, replicas)
    # Of records the process that opened one knows its label; others have -1.
    known = [np.frombuffer(said, "int32") for said in replicas.gathered(labels.astype("int32").tobytes())]
    readable = np.array([index for index, path in enumerate(images.paths) if path not in images.unread], int)
    if not len(readable):
        raise ValueError(f"None of {len(images)} pictures to test on can be read; the first: {next(iter(images.unread.values()))}")
    return dataclasses.replace(found, test=Part(images.part(readable), np.max(known, axis=0)[readable]))


def told(images: Any, replicas: learning.Replicas) -> None:
    """Makes every process know what each knows of the same pictures: which were asked for, and which of them could not be read."""
    if not isinstance(images, Pictures) or replicas.processes == 1:
        return
    state = images.state()
    for said in replicas.gathered(json.dumps({**state, "met": state["met"].tobytes().hex()}).encode()):
        other = json.loads(said)
        images.set_state({**other, "met": np.frombuffer(bytes.fromhex(other["met"]), "uint8")})
