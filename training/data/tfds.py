"""Sets of tensorflow-datasets by name. The package is imported when one is asked for, and not before."""

from typing import Any

import numpy as np


def arrays(name: str) -> tuple[dict[str, Any], list[str]]:
    """Arrays of a set whose pictures are alike in size, and the names of its classes. Downloaded once, by TFDS.

    Raises:
        ValueError: without TFDS, at a name that it does not have, and at a set that does not fit into arrays.
    """
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise ValueError(
            f"The data set {name!r} comes by tensorflow-datasets, which is not installed: `pip install tensorflow-datasets tensorflow`; "
            f"or pass --data with a folder that holds it ({error})."
        ) from error
    try:
        loaded, info = tensorflow_datasets.load(name, batch_size=-1, with_info=True)
        parts = tensorflow_datasets.as_numpy(loaded)
        test = next((part for part in ("test", "validation") if part in parts), None)
        found: dict[str, Any] = {}
        for part, source in (("train", "train"), ("test", test)):
            if source is not None:
                found |= {f"{part}_images": np.asarray(parts[source]["image"]), f"{part}_labels": np.asarray(parts[source]["label"])}
        return found, list(info.features["label"].names)
    except Exception as error:  # TFDS raises all kinds: unknown names, no network, features of other shapes
        line = " ".join(str(error).split())[:300]
        raise ValueError(f"tensorflow-datasets cannot give {name!r} as arrays of pictures and labels ({line}).") from error
