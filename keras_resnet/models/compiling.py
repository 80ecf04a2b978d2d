"""How our models are compiled: losses scaled for float16, and an optimizer that a file names as every backend knows it."""

import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import keras


def scaling_losses(optimizer: Any, network: keras.Model, args: tuple = (), kwargs: Mapping[str, Any] = MappingProxyType({})) -> Any:
    """The optimizer, wrapped in Keras's `LossScaleOptimizer` where the network has layers of mixed float16, whose gradients end at 6e-8.

    Keras itself asks the model's own policy, which of a functional model is Keras's setting, whatever its layers were built with.
    `args` and `kwargs` are what `keras.Model.compile` is given beside the optimizer.
    """
    auto_scale_loss = (
        inspect.signature(keras.Model.compile).bind_partial(network, optimizer, *args, **kwargs).arguments.get("auto_scale_loss", True)
    )
    optimizer = keras.optimizers.get(optimizer)
    lossy = any(layer.dtype_policy.name == "mixed_float16" for layer in network.layers)
    if not (lossy and auto_scale_loss) or optimizer is None or isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer, name="loss_scale_optimizer")


def compile_from_config(model: keras.Model, config: dict) -> None:
    """Compiles a model from its file, as Keras does, but for models whose `compile` is their own."""
    model.compile(**keras.saving.deserialize_keras_object(config))
    if model.built and model.optimizer is not None:
        model.optimizer.build(model.trainable_variables)


def named_publicly(config: Any) -> Any:
    """A model's configuration of `compile`, with the optimizer's public name; changed in place."""
    if isinstance(config, dict):
        _name_publicly(config.get("optimizer"))
    return config


def _name_publicly(config: Any) -> None:
    """Within the configuration of an optimizer, which may hold another, replaces the modules of one backend."""
    if isinstance(config, dict):
        if str(config.get("module")).startswith("keras.src.backend."):
            config.update(module="keras.optimizers", registered_name=None)
        for value in config.values():
            _name_publicly(value)
