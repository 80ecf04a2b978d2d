"""The maps at the end of the stem and of each stage, found by the names that every network of the zoo gives its layers."""

import dataclasses
import re
from typing import Any

import keras

from keras_resnet.layers import TokenMap, Tokens
from keras_resnet.layers.configured import check_flag
from keras_resnet.models.walk import check_functional, is_channels_first, walk

STAGE = re.compile(r"(stage\d+)(_block\d+)?")  # the blocks of a stage, or one layer for the whole of it
WIDE = 1024  # pixels that every stride of the zoo divides


@dataclasses.dataclass(frozen=True)
class FeatureInfo:
    """How many pixels of the image one step on a map covers, and how many channels the map has."""

    stride: int
    channels: int


def features(model: keras.Model, stem: bool = False) -> dict[str, keras.KerasTensor]:
    """The output of each stage, in order: `{"stage1": ..., "stage4": ...}`.

    ```python
    pyramid = keras.Model(model.input, keras_resnet.features(model))
    pyramid(images)["stage3"]
    ```

    In networks of pre-activated blocks and dense ones these are the sums and concatenations as they are, without a norm or an activation.

    Args:
        model: a network of the zoo, with or without top, also one read from a `.keras` file.
        stem: whether `"stem"` comes first, the map in front of the stem's pool: in networks for large images that with half the image's
            height and width, which a U-Net needs.

    Raises:
        ValueError: if the model has no layers named as stages of blocks are.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` must be a keras.Model. Received: {type(model).__name__}.")
    check_flag("stem", stem)
    outputs = {}
    for layer in model.layers:
        found = STAGE.fullmatch(layer.name)
        if found:
            outputs[found[1]] = _as_map(layer.output, model)
        elif stem and layer.name == "stem":
            outputs["stem"] = layer.output
    if not outputs.keys() - {"stem"}:
        raise ValueError(
            f"The model {model.name!r} has no stages: no layer is named like 'stage1_block1'. Pass a network of keras_resnet itself; one "
            "that is a layer of yours is reached by model.get_layer(...)."
        )
    return outputs


def _as_map(output: keras.KerasTensor, model: keras.Model) -> keras.KerasTensor:
    """The output of a block; in a transformer its tokens are brought to where they were in the map that they were made of."""
    if len(output.shape) == 4:
        return output
    tokens = next(layer for layer in model.layers if isinstance(layer, Tokens))
    return TokenMap(tokens.data_format, dtype=tokens.dtype_policy)([output, tokens.input])


def feature_info(model: keras.Model) -> dict[str, FeatureInfo]:
    """Stride and channels of each map that `features(model, stem=True)` gives, by its name.

    ```python
    keras_resnet.feature_info(model)["stage4"].stride  # 32
    ```

    Args:
        model: as in `features`.

    Raises:
        ValueError: as `features`, and for a model that is no graph with one input.
    """
    maps = features(model, stem=True)
    check_functional(model)
    own = tuple(model.inputs[0].shape[1:])
    first = is_channels_first(model)
    channels, height = (own[0], own[1]) if first else (own[-1], own[0])
    # Where a stride does not divide the size, outputs are rounded up: sizes tell the stride only of one that all divide.
    fits = None not in own and all(size % 32 == 0 for size in (own[1:] if first else own[:-1]))
    side = height if fits else WIDE
    shape = own if fits else (channels, WIDE, WIDE) if first else (WIDE, WIDE, channels)
    found = walk(keras.Model(model.inputs, maps), shape, _shape)
    info = {}
    for name, tensor in maps.items():
        _, *sizes = found[id(tensor)].shape
        if first:
            sizes = [*sizes[1:], sizes[0]]
        info[name] = FeatureInfo(side // sizes[0], sizes[-1])
    return info


def _shape(operation: Any, arguments: list[keras.KerasTensor]) -> Any:
    """The output of an operation as Keras knows it without running it."""
    if isinstance(operation, keras.layers.Layer):
        return operation.compute_output_spec(arguments if len(arguments) > 1 else arguments[0])
    return operation.compute_output_spec(*arguments)
