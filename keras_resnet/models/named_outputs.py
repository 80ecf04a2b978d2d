"""What is passed for several named outputs: one mask for all of them, or a dictionary."""

from typing import Any

import keras

MAIN, PRESENCE = "out", "presence"  # the output of inference; the judgement of the whole image


def for_each_output(name: str, given: Any, outputs: Any) -> Any:
    """For a dictionary of outputs a dictionary with the same names: `given` for each, or where it names some, that of `"out"` for the rest.

    Weights of pixels, `(n, height, width)`, are averaged for an output that has one judgement an image, `(n, scores)`.

    Raises:
        ValueError: at a list, at other names, and at a dictionary without `"out"` that names not all.
    """
    if not isinstance(outputs, dict) or given is None:
        return given
    if isinstance(given, (list, tuple)):
        raise ValueError(
            f"For several outputs `{name}` must be one for all, or a dictionary by their names, {', '.join(outputs)}. "
            f"Received: {type(given).__name__} of {len(given)}."
        )
    named = given if isinstance(given, dict) else {MAIN: given}
    unknown = [key for key in named if key not in outputs]
    if unknown or (MAIN not in named and len(named) < len(outputs)):
        raise ValueError(
            f'`{name}` must name outputs of this network, {", ".join(outputs)}: "{MAIN}", whose is taken for those that are not named, or '
            f"all. Received: {', '.join(sorted(map(str, named)))}."  # JAX sorts them, too
        )
    found = {key: named.get(key, named.get(MAIN)) for key in outputs}
    if name == "sample_weight":
        found = {key: weights if key in named else _of_rank(weights, len(outputs[key].shape)) for key, weights in found.items()}
    return found


def _of_rank(weights: Any, rank: int) -> Any:
    return keras.ops.mean(weights, tuple(range(1, len(weights.shape)))) if rank == 2 < len(weights.shape) else weights
