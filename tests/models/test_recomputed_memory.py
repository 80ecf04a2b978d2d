"""What recomputation is for: the memory that a training step takes, as XLA lays it out, which no other load on the machine changes."""

import keras
import numpy as np
import pytest

from benchmarks.memory import compiled_memory
from keras_resnet.models import fc_densenet, unet3plus

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="only XLA says what a compiled step needs")
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def share(make, size: int) -> float:
    """Memory with recomputation over that without."""
    images = np.zeros((2, size, size, 3), "float32")
    labels = np.zeros((2, size, size), "int32")
    lean, plain = (compiled_memory(make(remat=remat, input_shape=(size, size, 3)), LOSS, images, labels) for remat in (True, False))
    return lean / plain


@pytest.mark.full
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("make", [unet3plus, fc_densenet], ids=["unet3plus", "fc_densenet"])
def test_the_published_networks(make):
    assert share(lambda **settings: make(classes=3, **settings), 64) < 0.6
