"""The maps at the end of each stage, found by the names that every network of the zoo gives its blocks."""

import re

import keras


def features(model: keras.Model) -> dict[str, keras.KerasTensor]:
    """The output of each stage, in order: `{"stage1": ..., "stage4": ...}`.

    ```python
    pyramid = keras.Model(model.input, keras_resnet.features(model))
    pyramid(images)["stage3"]
    ```

    Args:
        model: a network of the zoo, with or without top, also one read from a `.keras` file.

    Raises:
        ValueError: if the model has no layers named as stages of blocks are.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` must be a keras.Model. Received: {type(model).__name__}.")
    outputs = {}
    for layer in model.layers:
        found = re.fullmatch(r"(stage\d+)_block\d+", layer.name)
        if found:
            outputs[found[1]] = layer.output
    if not outputs:
        raise ValueError(
            f"The model {model.name!r} has no stages: no layer is named like 'stage1_block1'. Pass a network of keras_resnet itself; one "
            "that is a layer of yours is reached by model.get_layer(...)."
        )
    return outputs
