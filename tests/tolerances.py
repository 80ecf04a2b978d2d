"""How far two results may be apart that should be the same: the one table for all tests, and what its numbers are relative to."""

import numpy as np

# One network, one file, one input, two backends; relative to the largest logit.
LOGITS_FLOAT32 = 1e-4
LOGITS_BFLOAT16 = 2e-2
# The gradient of the loss by one variable, relative to the largest number in it.
GRADIENTS = 1e-3
# Five steps of SGD from the same weights on the same batches.
LOSSES = 1e-3
STATISTICS = 1e-4  # a channel's mean in units of its own standard deviation, its variance relative to itself
# Our logits beside torchvision's and timm's, which were worked out in float64; relative to the largest logit.
GOLDEN = 2e-4
# One operation or one layer on a backend's fast path beside the reference, relative to the largest number. bfloat16 has 8 bits, float16
# 11: half a unit in the last place is 4e-3 and 5e-4, and two paths may round a sum twice.
OPERATION = {"float64": 1e-10, "float32": 1e-5, "float16": 2e-3, "bfloat16": 1.6e-2}
OPERATION_GRADIENT = {"float64": 1e-9, "float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}


def difference(actual: object, expected: object) -> float:
    """The largest absolute difference, relative to the largest number expected; infinite where one of them is not a number."""
    actual, expected = np.asarray(actual, "float64"), np.asarray(expected, "float64")
    assert actual.shape == expected.shape, f"shapes differ: {actual.shape} and {expected.shape}"
    if not (np.isfinite(actual).all() and np.isfinite(expected).all()):
        return float("inf")
    return float(np.abs(actual - expected).max(initial=0.0) / max(np.abs(expected).max(initial=0.0), np.finfo("float64").tiny))
