"""Whether a model has its weights yet: Keras makes those of a `Sequential` without an input, or of a subclass, at the first call."""

import keras


def check_built(model: keras.Model) -> None:
    """Raises `ValueError` unless the model has its weights. One that trains others, and is never called itself, has theirs."""
    ready = model.built or (model.layers and all(layer.built for layer in model.layers))
    # `model.build(shape)` of a subclass without its own says that it is built, and builds no layer; but what was called has built all
    # those that it calls.
    hollow = not model.weights and any(not (one._called or inner.built) for one in model._flatten_layers() for inner in one._layers)
    if not ready or hollow:
        raise ValueError(f"The model {model.name!r} has no weights yet. Build it first, by calling it on a batch: `model(images[:1])`.")
