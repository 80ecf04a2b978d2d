"""Freezing: which part of a network keeps its weights while the rest learns."""

from collections.abc import Iterator
from typing import Any

import keras

from keras_resnet.layers.configured import ConfiguredLayer, check_flag
from keras_resnet.layers.normalization import BatchNormalization
from keras_resnet.learning.parts import parts, unknown


def freeze(model: keras.Model, through: str | None = "stage2", statistics: bool = True) -> None:
    """Keeps the weights of a network as they are, from its input up to and with one of its stages; all others learn.

    ```python
    keras_resnet.freeze(model, through="stage2")
    model.compile("adam", "sparse_categorical_crossentropy")
    ```

    Compile after freezing: Keras looks at what learns when it compiles, and a model compiled before goes on as it was. What is frozen is
    written into `.keras` files. Each call starts anew, and unfreezes what an earlier one, or the model's owner, has frozen.

    Args:
        model: a network, one wrapped by `features`, built on by `input_tensor`, or a model that has a network as a layer.
        through: `"stem"`, all in front of the first stage; `"stage1"`, `"stage2"`, ...; or `None` to unfreeze all. The last stage is all
            but the head: it has the closing norm too. A DenseNet's stages have the transition behind them, a vision transformer's four
            are equal parts of its blocks, and its stem has class token and positions.
        statistics: whether the batch normalization of the frozen part also normalizes by its moving statistics, and keeps them. `False`
            freezes weights alone: it goes on to normalize by the batch's statistics and to move its own, towards the new pictures.
            It applies to this library's `BatchNormalization`; Keras's own knows only the former.

    Raises:
        ValueError: at a part that this model does not have, and at a model that has no stages; nothing is changed then.

    Source: Yosinski et al. 2014, arXiv:1411.1792, for the first layers as those that transfer; Li et al. 2016, arXiv:1603.04779, for
    statistics that adapt while weights do not.
    """
    found = parts(model)
    names = list(found)[:-1]
    if through is not None and through not in names:
        raise unknown("through", through, names, model)
    check_flag("statistics", statistics)
    _set_trainable(model, True)
    frozen = [] if through is None else names[: names.index(through) + 1]
    for name, layers in found.items():
        for layer in layers:
            if name in frozen:
                _set_trainable(layer, False)
            for inner in _within(layer):
                if isinstance(inner, (BatchNormalization, ConfiguredLayer)):
                    inner.adapts_statistics = name in frozen and not statistics


def _set_trainable(layer: Any, value: bool) -> None:
    layer.trainable = not value  # TensorFlow's tracking skips an assignment of the value that is there already
    layer.trainable = value


def _within(layer: Any) -> Iterator[Any]:
    """The layer and all layers inside it."""
    waiting, seen = [layer], set()
    while waiting:
        layer = waiting.pop()
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        yield layer
        for value in vars(layer).values():
            waiting += [one for one in (value if isinstance(value, (list, tuple)) else [value]) if isinstance(one, keras.layers.Layer)]
