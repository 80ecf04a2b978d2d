"""The maps at the end of the stem and of each stage, found by the names that every network of the zoo gives its layers."""

import dataclasses
import re
from typing import Any

import keras

from keras_resnet.layers import PatchStem, TokenMap, Tokens
from keras_resnet.layers.configured import check_flag
from keras_resnet.models.walk import check_functional, is_channels_first

# Of a DenseNet built as an encoder: the stage's map behind the norm that closes it.
CLOSING = re.compile(r"transition(\d+)_norm|post_norm")
STAGE = re.compile(r"(stage\d+)(_block\d+)?")  # the blocks of a stage, or one layer for the whole of it


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

    In networks of pre-activated blocks and dense ones these are the sums and concatenations as they are, without a norm or an activation;
    in a DenseNet built with `as_encoder=True` with the norm behind them.

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
        elif CLOSING.fullmatch(layer.name) and outputs and any(one.name == "transition1_norm" for one in model.layers):
            outputs[list(outputs)[-1]] = layer.output
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
    channels = 1 if is_channels_first(model) else -1
    info, stride = {}, 1
    for layer in model.layers:
        stride *= _stride(layer)
        name = layer.name if layer.name == "stem" else layer.name.partition("_")[0]
        if name in maps and (layer.name == "stem" or STAGE.fullmatch(layer.name)):
            info[name] = FeatureInfo(stride, maps[name].shape[channels])
    return info


def _stride(layer: Any) -> int:
    """How many pixels a layer makes one of, along the height."""
    strides = getattr(layer, "patch_size", None) if isinstance(layer, PatchStem) else getattr(layer, "strides", None)
    return int(strides[0] if isinstance(strides, (tuple, list)) else strides or 1)
