"""What networks for dense prediction take from their encoder: its maps, its data format and its type."""

from typing import Any

import keras

from keras_resnet.layers.configured import check_count
from keras_resnet.models.features import features


def encoder_maps(encoder: Any, depth: Any, least: int = 2) -> list:
    """The encoder's first `depth` maps, from the largest. Raises where there are fewer, or where fewer than `least` are asked for."""
    if not isinstance(encoder, keras.Model):
        raise ValueError(f"`encoder` must be a keras.Model, a network of keras_resnet without top. Received: {type(encoder).__name__}.")
    found = features(encoder, stem=True)
    if "stem" not in found:
        raise ValueError(f"The encoder {encoder.name!r} has no stem, as every network of the zoo for images has. Pass one of those.")
    maps = list(found.values())
    check_count("depth", depth)
    if not least <= depth <= len(maps):
        raise ValueError(f"`depth` must be from {least} to the {len(maps)} maps that {encoder.name!r} has. Received: depth={depth}.")
    return maps[:depth]


def encoder_form(encoder: keras.Model) -> dict[str, Any]:
    """Data format and dtype policy of an encoder, as a layer's arguments."""
    stem = encoder.get_layer("stem")
    return dict(data_format=stem.data_format, dtype=stem.dtype_policy)
