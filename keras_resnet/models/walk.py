"""A walk through a functional model's graph with images of one size: what `profile` and `feature_info` look at on the way."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_resnet.layers.configured import is_count


def walk(model: keras.Model, shape: Sequence, visit: Callable[[Any, list[keras.KerasTensor]], Any]) -> dict[int, keras.KerasTensor]:
    """Calls `visit(operation, inputs)` for every operation of the graph, in an order in which inputs are known.

    Args:
        model: a functional model.
        shape: of one image, without the batch; what the model takes beside its image has the shape of its own input.
        visit: gives the output of an operation, as `keras.KerasTensor`s.

    Returns:
        By the `id` of each symbolic tensor of the model's graph what takes its place for such an image.

    Raises:
        ValueError: at a layer that is a model, or that is called more than once.
    """
    image = image_input_of(model)
    known = {id(one): keras.KerasTensor((1, *(shape if one is image else one.shape[1:])), dtype=one.dtype) for one in model.inputs}
    for operation in model.operations:
        if isinstance(operation, keras.layers.InputLayer):
            continue
        if isinstance(operation, keras.Model) or any(id(tensor) not in known for tensor in keras.tree.flatten(operation.input)):
            raise ValueError(
                f"The layer {operation.name!r} is a model itself, or is called more than once: neither can be walked through. Pass the "
                "network alone, or build on it by `input_tensor`."
            )
        arguments = [known[id(tensor)] for tensor in keras.tree.flatten(operation.input)]
        outputs = visit(operation, arguments)
        for symbolic, found in zip(keras.tree.flatten(operation.output), keras.tree.flatten(outputs), strict=True):
            known[id(symbolic)] = found
    return known


def check_functional(model: Any) -> None:
    """Raises unless this is a functional model with one input."""
    if not isinstance(model, keras.Model) or not hasattr(model, "operations") or len(model.inputs) != 1:
        raise ValueError(
            "`model` must be a functional keras.Model with one input, such as keras_resnet.create_model gives. "
            f"Received: {type(model).__name__}."
        )


def image_input_of(model: keras.Model) -> keras.KerasTensor:
    """The input that is the image or the volume: that with the most axes, the first of several; steps and labels have fewer."""
    return max(model.inputs, key=lambda one: len(one.shape))


def image_shape(model: keras.Model, input_shape: Sequence | None) -> tuple[int, ...]:
    """The shape of one image, without the batch: `input_shape`, which may be another size than the model was built for, or the model's own.

    Raises:
        ValueError: where neither says every size, the channels disagree, for a model that is no functional one, and where the size of
            something that it takes beside the image is not known.
    """
    if not isinstance(model, keras.Model) or not getattr(model, "operations", None) or not model.inputs:
        raise ValueError(
            f"`model` must be a functional keras.Model, such as keras_resnet.create_model gives. Received: {type(model).__name__}."
        )
    image = image_input_of(model)
    for one in model.inputs:
        if one is not image and None in one.shape[1:]:
            raise ValueError(
                f"The model {model.name!r} takes {one.name!r} beside its image {image.name!r}, of the unknown size {tuple(one.shape[1:])}: "
                f"`input_shape` says the image's alone. Build the model with the sizes of {one.name!r}."
            )
    own = tuple(image.shape[1:])
    if input_shape is None:
        if None in own:
            raise ValueError(
                f"The model {model.name!r} takes images of any size, {own}: say for which one by `input_shape`, without the batch, "
                f"such as input_shape={_example(own, is_channels_first(model))}."
            )
        return own
    given = tuple(input_shape) if isinstance(input_shape, (tuple, list)) else (input_shape,)
    channels = 0 if is_channels_first(model) else -1
    fits = len(given) == len(own) and all(is_count(size) for size in given)
    if not fits or own[channels] not in (None, given[channels]):
        raise ValueError(
            f"`input_shape` must be the shape of an image without the batch, integers of at least 1 with the channels of {own}. "
            f"Received: input_shape={input_shape!r}."
        )
    return tuple(int(size) for size in given)


def _example(own: tuple, first: bool) -> tuple:
    channels = own[0 if first else -1] or 3
    sizes = tuple(size or (224 if len(own) == 3 else 64) for size in (own[1:] if first else own[:-1]))
    return (channels, *sizes) if first else (*sizes, channels)


def is_channels_first(model: keras.Model) -> bool:
    """Whether the model's images are `(channels, height, width)`, as its layers say."""
    return any(getattr(layer, "data_format", None) == "channels_first" for layer in model.layers)


def apply(operation: Any, arguments: list) -> Any:
    """`operation` on its arguments; a layer of several takes them as a list, in inference."""
    if not isinstance(operation, keras.layers.Layer):
        return operation(*arguments)
    return operation(arguments if len(arguments) > 1 or _takes_list(operation) else arguments[0], training=False)


def _takes_list(layer: keras.layers.Layer) -> bool:
    """Whether a layer was built for a list of maps, which may hold one: `ClimbingConvs` of the largest map of a pyramid."""
    shapes = (layer.get_build_config() or {}).get("input_shape")
    return isinstance(shapes, (list, tuple)) and len(shapes) > 0 and isinstance(shapes[0], (list, tuple))
