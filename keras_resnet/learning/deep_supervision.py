"""Training through several outputs: the losses of a network's side outputs, and what is left of it for inference."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet.layers.configured import check_number
from keras_resnet.learning.losses.presence import Presence
from keras_resnet.models.functional import Network
from keras_resnet.models.named_outputs import MAIN, PRESENCE


def deep_supervision(model: keras.Model, loss: Any, weights: Sequence[float] | None = None, metrics: Any = None) -> dict[str, Any]:
    """Arguments of `compile` for a network with side outputs: the same loss for each, weighted.

    ```python
    model = keras_resnet.UNet("resnet34", classes=3, deep_supervision=True)
    model.compile("adamw", **keras_resnet.learning.deep_supervision(model, keras_resnet.losses.DiceCrossEntropy()))
    model.fit(images, masks)  # one mask for all outputs; so with weights of samples or pixels, and with validation_data
    ```

    Targets and weights may be dictionaries, too: what an output is not named in is that of `"out"`.

    Args:
        model: built with `deep_supervision=True`: its outputs are named `"out"`, `"aux1"`, `"aux2"` ... An output `"presence"` gets
            `losses.Presence`, of weight 1.
        loss: a Keras loss, by name or function too.
        weights: of `"out"`, `"aux1"` and so on, each at least 0, and one of them above; `None` for 1, 1/2, 1/4 ..., divided by their sum,
            as in nnU-Net (Isensee et al. 2018, arXiv:1809.10486), which leaves out the deepest.
        metrics: of `"out"` alone.

    Returns:
        `{"loss": ..., "loss_weights": ..., "metrics": ...}`.

    Raises:
        ValueError: for a model with one output, no loss, another number of weights, or weights that are all 0.
    """
    names = _outputs(model)
    if not isinstance(loss, str) and not callable(loss):
        raise ValueError(f"`loss` must be one Keras loss for all outputs, such as losses.DiceCrossEntropy(). Received: loss={loss!r}.")
    if weights is None:
        total = sum(0.5**place for place in range(len(names)))
        weights = [0.5**place / total for place in range(len(names))]
    if not isinstance(weights, (list, tuple)) or len(weights) != len(names):
        raise ValueError(f"`weights` must hold {len(names)} numbers, for {', '.join(names)}. Received: weights={weights!r}.")
    for weight in weights:
        check_number("weights", weight, 0)
    if not any(weights):
        raise ValueError(f"One of `weights` must be above 0: no output would learn. Received: weights={weights!r}.")
    found: dict[str, Any] = dict(loss=dict.fromkeys(names, loss), loss_weights=dict(zip(names, map(float, weights), strict=True)))
    if PRESENCE in model.output:
        found["loss"][PRESENCE] = Presence(getattr(loss, "ignore_index", None))
        found["loss_weights"][PRESENCE] = 1.0
    if metrics is not None:
        found["metrics"] = {MAIN: list(metrics) if isinstance(metrics, (list, tuple)) else [metrics]}
    return found


def inference_model(model: keras.Model) -> keras.Model:
    """The network with its main output alone, with the same layers and variables.

    Raises:
        ValueError: for a model with one output.
    """
    _outputs(model)
    made = Network(model.input, model.output[MAIN], name=model.name)
    made.checkpoint = getattr(model, "checkpoint", None)
    return made


def _outputs(model: Any) -> list[str]:
    """Names of the outputs, the main one first. Raises where there is one only."""
    outputs = getattr(model, "output", None)
    if not isinstance(outputs, dict) or MAIN not in outputs:
        raise ValueError(
            "`model` must be a network with side outputs, which deep_supervision=True builds: a dictionary with "
            f'"out". Received: {getattr(model, "name", type(model).__name__)!r}.'
        )
    return [MAIN, *sorted((name for name in outputs if name.startswith("aux")), key=lambda name: (len(name), name))]
