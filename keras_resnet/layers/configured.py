"""The base of our composite layers: its configuration is its constructor's arguments, and its children are built by hand."""

import inspect
import math
import operator
from typing import Any

import keras
import numpy as np

from keras_resnet import backend
from keras_resnet.backend import geometry


class ConfiguredLayer(keras.layers.Layer):
    """A Keras layer that keeps each constructor argument as an attribute of that name, and saves those.

    A subclass's `__init__` ends in `self.keep(locals())`.
    """

    takes_volumes = False  # whether the layer also takes volumes, whose shapes have one axis more
    spatial_dims = 2  # of the input; 3 for volumes
    adapts_statistics = False  # whether batch normalization inside moves its statistics also where it is frozen

    def keep(self, arguments: dict) -> None:
        """Stores the arguments of the calling constructor as attributes; activations and data formats in their full form."""
        for name in _parameters(arguments["__class__"]):
            value = arguments[name]
            if name == "activation":
                value = get_activation(name, value)
            elif name == "data_format":
                value = geometry.standardize_data_format(value, keras.config.image_data_format())
            elif isinstance(value, list):
                value = tuple(value)  # as which a file's JSON does not tell it
            elif isinstance(value, np.generic):
                value = value.item()  # so that the configuration is plain JSON
            setattr(self, name, value)

    @property
    def channel_axis(self) -> int:
        """Axis of the channels in this layer's input and output."""
        return 1 if self.data_format == "channels_first" else -1

    @property
    def inner_format(self) -> str:
        """The data format in which the children compute: this backend's favourite."""
        return backend.inner_format(self.data_format)

    @property
    def inner_channel_axis(self) -> int:
        """Axis of the channels in what the children compute."""
        return 1 if self.inner_format == "channels_first" else -1

    def enter(self, x: Any) -> Any:
        """The input in the compute type and the inner format."""
        if keras.backend.standardize_dtype(x.dtype) != self.compute_dtype:
            x = keras.ops.cast(x, self.compute_dtype)
        return backend.turn(x, self.data_format, self.inner_format)

    def leave(self, y: Any) -> Any:
        """The output in the layer's own format."""
        return backend.turn(y, self.inner_format, self.data_format)

    def expect(self, input_shape: tuple) -> int:
        """The input's channels, which from now on are those of every input. Raises where it is no batch of images (or volumes)."""
        if len(input_shape) not in ((4, 5) if self.takes_volumes else (4,)) or input_shape[self.channel_axis] is None:
            order = "(n, channels, height, width)" if self.data_format == "channels_first" else "(n, height, width, channels)"
            what = "images or volumes" if self.takes_volumes else "images"
            order += f" (volumes: {order.replace('height', 'depth, height')})" if self.takes_volumes else ""
            raise ValueError(
                f"{type(self).__name__} takes {what} of the shape {order}, of which only the channels must be known. "
                f"Received: shape={tuple(input_shape)}."
            )
        channels = input_shape[self.channel_axis]
        self.spatial_dims = len(input_shape) - 2
        self.input_spec = keras.layers.InputSpec(ndim=len(input_shape), axes={self.channel_axis: channels})
        return channels

    def build_child(self, child: keras.layers.Layer, channels: int) -> None:
        """Builds a child for images of any size in the inner format."""
        first = self.inner_format == "channels_first"
        if self.adapts_statistics:
            child.adapts_statistics = True
        sizes = (None,) * self.spatial_dims
        child.build((None, channels, *sizes) if first else (None, *sizes, channels))

    def finish_build(self) -> None:
        """Passes `trainable` on to children that did not exist when it was set, so that freezing before building holds."""
        if not self.trainable:
            self.trainable: bool = True  # TensorFlow's tracking skips an assignment of the value that is there already
            self.trainable = False

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> keras.KerasTensor:
        shape = [x.shape for x in inputs] if isinstance(inputs, (list, tuple)) else inputs.shape
        return keras.KerasTensor(self.compute_output_shape(shape), dtype=self.compute_dtype)

    def get_config(self) -> dict:
        arguments = {}
        for base in type(self).__mro__:
            if issubclass(base, ConfiguredLayer) and "__init__" in vars(base):
                arguments.update({name: getattr(self, name) for name in _parameters(base)})
        if callable(arguments.get("activation")):
            arguments["activation"] = keras.activations.serialize(arguments["activation"])
        if self.adapts_statistics:
            arguments["adapts_statistics"] = True
        return {**super().get_config(), **arguments}

    @classmethod
    def from_config(cls, config: dict) -> "ConfiguredLayer":
        config = dict(config)
        adapts = config.pop("adapts_statistics", False)
        if "memory_efficient" in config:  # as DenseNets called it at first
            config["remat"] = config.pop("memory_efficient")
        layer = super().from_config(config)
        layer.adapts_statistics = adapts
        return layer


def _parameters(cls: type) -> list[str]:
    parameters = inspect.signature(cls.__init__).parameters.values()  # type: ignore[misc]
    return [p.name for p in parameters if p.kind != p.VAR_KEYWORD and p.name != "self"]


def get_activation(name: str, value: Any) -> Any:
    """The activation function that `value` is or names. Raises where Keras knows none of that name."""
    try:
        return keras.activations.get(value)
    except (TypeError, ValueError):
        raise ValueError(
            f"`{name}` must be None, a function, or the name of a Keras activation, such as 'relu', 'gelu', 'silu'. "
            f"Received: {name}={value!r}."
        ) from None


def check_choice(name: str, value: Any, allowed: tuple) -> None:
    """Raises unless `value` is one of the `allowed` ones of argument `name`."""
    if not any(value is choice or (isinstance(value, str) and isinstance(choice, str) and value == choice) for choice in allowed):
        raise ValueError(f"`{name}` must be one of {', '.join(map(repr, allowed))}. Received: {name}={value!r}.")


def is_count(value: Any) -> bool:
    """Whether `value` is a whole number of at least 1, NumPy's included."""
    return hasattr(value, "__index__") and not isinstance(value, (bool, np.ndarray)) and operator.index(value) >= 1


def check_count(name: str, value: Any) -> None:
    """Raises unless `value` is a whole number of at least 1."""
    if not is_count(value):
        raise ValueError(f"`{name}` must be an integer of at least 1. Received: {name}={value!r}.")


def check_place(name: str, value: Any) -> None:
    """Raises unless `value` is a whole number of at least 0."""
    if isinstance(value, (bool, float)) or (value != 0 and not is_count(value)):
        raise ValueError(f"`{name}` must be an integer from 0. Received: {name}={value!r}.")


def check_odd(name: str, value: Any) -> None:
    """Raises unless `value` is an odd number of at least 1, or one an axis: a window with as much on either side."""
    values = value if isinstance(value, (tuple, list)) else (value,)
    if not values or not all(is_count(one) and operator.index(one) % 2 for one in values):
        raise ValueError(f"`{name}` must be odd, so that a map keeps its size. Received: {name}={value!r}.")


def check_flag(name: str, value: Any) -> None:
    """Raises unless `value` is true or false."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"`{name}` must be True or False. Received: {name}={value!r}.")


def check_number(
    name: str, value: Any, least: float = -math.inf, below: float = math.inf, also: tuple[str, ...] = (), most: float = math.inf
) -> None:
    """Raises unless `value` is a finite number from `least` to below `below` and to `most`, or one of the words `also`."""
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not (number and math.isfinite(value) and least <= value < below and value <= most) and not (
        isinstance(value, str) and value in also
    ):
        end = f" to below {below:g}" if below < math.inf else f" to {most:g}" if most < math.inf else ""
        bounds = "a finite number" if least == -math.inf else f"a number from {least:g}{end}"
        raise ValueError(f"`{name}` must be {', or '.join([bounds, *map(repr, also)])}. Received: {name}={value!r}.")
