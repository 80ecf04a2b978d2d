"""What a run remembers of its data, so that it does not go on with others."""

import hashlib
import os
from typing import Any

import numpy as np

SEEN = 64  # pictures of an array that are looked at


def fingerprint(batches: Any, whole: int, tested: Any = None) -> dict[str, Any]:
    """Counts, and a digest of labels and of some pictures or of all their files' names, as plain values.

    Args:
        batches: `learning.Batches` or `learning.Pairs`.
        whole: full batches of them.
        tested: those to test on, or `None`.
    """
    found = {"pictures": len(batches.images), "batches": whole, "sha256": _digest(batches)}
    return found if tested is None else {**found, "tested": len(tested.images), "tested_sha256": _digest(tested)}


def _digest(batches: Any) -> str:
    digest = hashlib.sha256()
    for values in (batches.images, getattr(batches, "labels", None), getattr(batches, "masks", None)):
        values = getattr(values, "labels", values)  # of targets that are made batch by batch
        if isinstance(values, np.ndarray):
            chosen = values if values.ndim == 1 else values[:: max(1, len(values) // SEEN)]
            digest.update(np.ascontiguousarray(chosen).tobytes())
        else:
            paths = getattr(values, "paths", values)
            if isinstance(paths, (list, tuple)) and all(isinstance(path, (str, os.PathLike)) for path in paths):
                digest.update("\0".join(os.path.basename(path) for path in paths).encode(errors="surrogateescape"))
    return digest.hexdigest()
