"""The masks and logits of the golden values in segmentation_models.pytorch 0.6.0 and MONAI 1.6.1, and a random batch."""

import numpy as np

from tests.arrays import normal


def waves(*shape: int) -> np.ndarray:
    """`2 sin(0.37 i + 0.1)` in the order of channels-first numbers, channels last."""
    values = 2 * np.sin(0.37 * np.arange(np.prod(shape)) + 0.1)
    return np.ascontiguousarray(np.moveaxis(values.reshape(shape).astype("float32"), 1, -1))


PLACES = np.arange(32)
LOGITS = waves(2, 3, 4, 4)
LABELS = ((7 * PLACES + PLACES // 5) % 3).reshape(2, 4, 4)
BINARY_LOGITS = waves(2, 1, 4, 4)
BINARY_LABELS = ((5 * PLACES) % 7 < 3).astype("int32").reshape(2, 4, 4)

RANDOM_LOGITS = normal(2, 4, 4, 3, deviation=2.0)  # of the shape above, so that JAX compiles once for both
RANDOM_LABELS = np.random.default_rng(3).integers(0, 3, (2, 4, 4))
IGNORED = np.where(np.random.default_rng(4).random((2, 4, 4)) < 0.3, 255, RANDOM_LABELS)
