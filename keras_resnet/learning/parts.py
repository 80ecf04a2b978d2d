"""Which layers of a model are its stem, its stages and its head, by the names that every network of the zoo gives its layers."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

import keras

from keras_resnet.models.features import STAGE

_BEHIND = ("norm", "post_norm", "pool", "map")  # what closes the last stage, in front of the head


def parts(model: keras.Model) -> dict[str, list[keras.layers.Layer]]:
    """The layers of each part in order, `{"stem": [...], "stage1": [...], ..., "head": [...]}`; every layer is in one of them.

    The stem is all in front of the first stage. A stage has its blocks and what joins them to the stage before; a transition of a DenseNet
    belongs to the stage that it closes, and what stands between the last block and the head to the last stage. All else is the head,
    branches at the side included.

    Args:
        model: a network of the zoo, one wrapped by `features`, built on by `input_tensor`, or a model that has such a one as a layer.

    Raises:
        ValueError: if no layers are named as stages of blocks are.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` must be a keras.Model. Received: {type(model).__name__}.")
    network = _network(model)
    if network is None:
        raise ValueError(
            f"The model {model.name!r} has no stages: no layer is named like 'stage1_block1'. Pass a network of keras_resnet, or a model "
            "that has one as a layer."
        )
    found: dict[str, list] = {"stem": [], **{stage: [] for stage in _stages(network)}, "head": []}
    if network is not model:
        _share_around(model, network, found)
    _share(network, found)
    return found


def unknown(argument: str, value: Any, allowed: Sequence[str], model: keras.Model) -> ValueError:
    """The error of a name that is no part of the model."""
    close = difflib.get_close_matches(str(value).lower(), allowed, n=1, cutoff=0.4)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return ValueError(f"`{argument}` names a part of {model.name!r}: {', '.join(map(repr, allowed))}. Received: {value!r}.{hint}")


def _stages(model: keras.Model) -> dict[str, list]:
    """The blocks of each stage."""
    stages: dict[str, list] = {}
    for layer in model.layers:
        found = STAGE.fullmatch(layer.name)
        if found:
            stages.setdefault(found[1], []).append(layer)
    return stages


def _network(model: keras.Model) -> keras.Model | None:
    """The model itself, or the first one within it, whose layers are stages."""
    if _stages(model):
        return model
    inner = (_network(layer) for layer in model.layers if isinstance(layer, keras.Model))
    return next((network for network in inner if network is not None), None)


def _share(network: keras.Model, found: dict[str, list]) -> None:
    """Adds the layers of the network itself to their parts."""
    stages, placed = _stages(network), set()
    names = list(stages)

    def place(part: str, layers: Iterable) -> None:
        for layer in layers:
            if id(layer) not in placed:
                placed.add(id(layer))
                found[part].append(layer)

    place("stem", _in_front(network, stages[names[0]][:1]))
    for before, stage in zip([None, *names], names):
        in_front = _in_front(network, stages[stage])
        place(before or stage, [layer for layer in in_front if layer.name.startswith("transition")])
        place(stage, [layer for layer in network.layers if layer in in_front or layer in stages[stage]])
    place(names[-1], [layer for layer in network.layers if layer.name in _BEHIND])
    place("head", network.layers)


def _share_around(model: keras.Model, network: keras.Model, found: dict[str, list]) -> None:
    """Adds the layers of the models around the network: those in front of it in their order to the stem, the others to the head."""
    layer = next(layer for layer in model.layers if layer is network or (isinstance(layer, keras.Model) and _network(layer) is network))
    # A model says of its inputs only those that it was built with, so what feeds it here is told by the order.
    place = next(i for i, one in enumerate(model.layers) if one is layer)
    found["stem"] += model.layers[:place]
    found["head"] += model.layers[place + 1 :]
    if layer is not network:
        _share_around(layer, network, found)


def _in_front(model: keras.Model, layers: list) -> list:
    """All layers that one of `layers` sees the output of, in the model's order."""
    operations = getattr(model, "operations", model.layers)
    sources = {id(tensor): operation for operation in operations for tensor in _tensors(operation, "output")}
    seen: set[int] = set()
    waiting = list(layers)
    while waiting:
        for tensor in _tensors(waiting.pop(), "input"):
            source = sources.get(id(tensor))
            if source is not None and id(source) not in seen:
                seen.add(id(source))
                waiting.append(source)
    return [layer for layer in model.layers if id(layer) in seen and not any(layer is one for one in layers)]


def _tensors(operation: Any, which: str) -> list:
    try:
        return keras.tree.flatten(getattr(operation, which))
    except (AttributeError, ValueError):  # a layer that is called more than once has no one input
        return []
