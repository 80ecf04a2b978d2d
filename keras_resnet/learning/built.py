"""Whether a model has its weights yet: Keras makes those of a `Sequential` without an input, or of a subclass, at the first call."""

import keras


def check_built(model: keras.Model) -> None:
    """Raises `ValueError` unless the model has its weights. One that trains others, and is never called itself, has theirs."""
    if not model.built and not (model.layers and all(layer.built for layer in model.layers)):
        raise ValueError(f"The model {model.name!r} has no weights yet. Build it first, by calling it on a batch: `model(images[:1])`.")
