"""Pictures and masks whose values say where they come from."""

import numpy as np
import scipy.ndimage

from tests.arrays import normal


def ramp(*shape: int) -> np.ndarray:
    """A picture whose channels are the places of its pixels along each axis: where a value is, one sees where it comes from."""
    return np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).astype("float32")


def labels(*shape: int, classes: int = 4) -> np.ndarray:
    """Blobs of labels."""
    noise = scipy.ndimage.gaussian_filter(normal(*shape), 4)
    return np.digitize(noise, np.quantile(noise, np.arange(1, classes) / classes)).astype("uint8")
