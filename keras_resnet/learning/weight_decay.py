"""Which weights decay: those that are multiplied into sums, and not the numbers that shift or scale a channel."""

from typing import Any

import keras

from keras_resnet.layers.tokens import Tokens
from keras_resnet.learning.built import check_built


def exclude_from_weight_decay(optimizer: keras.optimizers.Optimizer, model: keras.Model) -> list[str]:
    """Lets weight decay leave out norms, biases and embeddings of positions: `exclude_from_weight_decay(optimizer, model)`.

    Left out are variables of one axis or none (gains and offsets of norms, biases, layer scales, gains of residual branches), and the class
    token and positions of vision transformers; kernels decay. That goes by the variables themselves, whatever they are called.

    Call it before the optimizer is used. It replaces what was left out before. Our optimizers write it into `.keras` files, Keras's do not.

    Args:
        optimizer: any with weight decay, also inside a `LossScaleOptimizer`.
        model: the network that it will train, built.

    Returns:
        The paths of the variables left out.

    Raises:
        ValueError: if the optimizer is in use already, or has no weight decay to leave anything out of; if the model is not built.

    Source: He et al. 2019, arXiv:1812.01187, section 3.1 ("no bias decay"); timm's rule, for transformers too.
    """
    if isinstance(getattr(optimizer, "inner_optimizer", None), keras.optimizers.Optimizer):
        optimizer = optimizer.inner_optimizer  # of a LossScaleOptimizer, which keeps the list and does not pass it on
    if not isinstance(optimizer, keras.optimizers.Optimizer) or not isinstance(model, keras.Model):
        raise ValueError(f"Pass an optimizer and a model. Received: {type(optimizer).__name__}, {type(model).__name__}.")
    if optimizer.built:
        raise ValueError("The optimizer is in use already. Call exclude_from_weight_decay() before the model is trained.")
    if optimizer.weight_decay is None and not hasattr(optimizer, "groups"):
        raise ValueError(f"{type(optimizer).__name__} has no weight decay to leave anything out of. Pass it weight_decay=.")
    check_built(model)
    added = {id(variable) for layer in _layers(model) if isinstance(layer, Tokens) for variable in layer.trainable_variables}
    left_out = [variable for variable in model.trainable_variables if len(variable.shape) < 2 or id(variable) in added]
    optimizer.exclude_from_weight_decay(var_list=left_out)
    return [variable.path for variable in left_out]


def _layers(model: keras.Model) -> list[Any]:
    return [one for layer in model.layers for one in (_layers(layer) if isinstance(layer, keras.Model) else [layer])]
