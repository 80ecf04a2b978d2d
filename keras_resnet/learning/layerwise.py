"""Layer-wise learning rates: how fast each part of a network learns, as factors of one optimizer's learning rate."""

import keras
import numpy as np

from keras_resnet.layers.configured import check_choice, check_number
from keras_resnet.learning.layerwise_optimizer import LayerwiseOptimizer
from keras_resnet.learning.parts import parts, unknown
from keras_resnet.models.features import STAGE


def layerwise(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer | str,
    decay: float | None = None,
    factors: dict[str, float] | None = None,
    by: str = "block",
) -> LayerwiseOptimizer:
    """An optimizer whose learning rate differs from part to part of a network, as with PyTorch's parameter groups.

    ```python
    model.compile(keras_resnet.learning.layerwise(model, keras.optimizers.AdamW(1e-3), decay=0.75), "sparse_categorical_crossentropy")
    keras_resnet.learning.layerwise(model, "sgd", factors={"stem": 0.0, "stage1": 0.1, "head": 10.0})
    ```

    With `decay`, the layers that are `d` steps in front of the head learn at `learning_rate * decay**d`: the head at the rate itself, the
    last block at `decay` of it, the stem most slowly.

    Args:
        model: a network, one wrapped by `features`, built on by `input_tensor`, or a model that has a network as a layer.
        optimizer: any Keras optimizer that has not been used yet, or its name. Its learning rate, a number or a schedule, is the head's.
        decay: factor from one step to the one in front of it, above 0 and at most 1: 0.65 to 0.9 with transformers, of 12 blocks; with
            more steps nearer to 1.
        factors: in place of `decay`, factors of the learning rate by part, `"stem"`, `"stage1"`, ..., `"head"`, from 0; parts that
            are not named have 1. At 0 weights stay, but are still differentiated and their statistics move: `freeze` spares both.
        by: with `decay`, whether a step is a `"block"` or a whole `"stage"`. A DenseNet's stages are one block each.

    Returns:
        A `LayerwiseOptimizer`, which is saved and loaded with the model.

    Raises:
        ValueError: unless one of `decay` and `factors` is given; at a part that the model does not have; and for an optimizer that is
            in use, or that is made of others.

    Source: Howard and Ruder 2018, arXiv:1801.06146, section 3.2; Clark et al. 2020, arXiv:2003.10555, appendix A; Bao et al. 2021,
    arXiv:2106.08254, for the steps. The closing norm is in the step of the last block here, in BEiT in the head's.
    """
    if (decay is None) == (factors is None):
        raise ValueError(f"Pass one of `decay` and `factors`. Received: decay={decay!r}, factors={factors!r}.")
    check_choice("by", by, ("block", "stage"))
    found = parts(model)
    if factors is not None:
        if not isinstance(factors, dict):
            raise ValueError(f'`factors` must be numbers by part, such as {{"stem": 0.1}}. Received: factors={factors!r}.')
        for name, factor in factors.items():
            if name not in found:
                raise unknown("factors", name, list(found), model)
            check_number(f"factors[{name!r}]", factor, 0)
        chosen = {layer.name: float(factor) for name, factor in factors.items() for layer in found[name]}
        return LayerwiseOptimizer(optimizer, chosen)
    number = isinstance(decay, (int, float, np.integer, np.floating)) and not isinstance(decay, bool)
    if decay is None or not number or not 0 < decay <= 1:
        raise ValueError(f"`decay` must be a number above 0 and at most 1. Received: decay={decay!r}.")
    steps = _steps(found, by)
    return LayerwiseOptimizer(
        optimizer, {layer.name: float(decay) ** (len(steps) - 1 - place) for place, step in enumerate(steps) for layer in step}
    )


def _steps(found: dict[str, list], by: str) -> list[list]:
    """Layers that learn at one rate, from the stem to the head."""
    if by == "stage":
        return list(found.values())
    steps: list[list] = []
    for name, layers in found.items():
        in_front: list = []
        first = len(steps)
        for layer in layers:
            if name in ("stem", "head") or STAGE.fullmatch(layer.name):
                if len(steps) == first or name not in ("stem", "head"):
                    steps.append(in_front)
                    in_front = []
                steps[-1].append(layer)
            else:
                (in_front if len(steps) == first else steps[-1]).append(layer)
        if len(steps) == first:
            steps.append(in_front)
    return steps
