"""The optimizer of layer-wise learning rates: any of Keras's, with a factor of the learning rate for each layer."""

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from keras_resnet.layers.configured import check_number
from keras_resnet.learning.undecayed import checked_paths
from keras_resnet.models.untracked import Untracked


@keras.saving.register_keras_serializable("keras_resnet")
class LayerwiseOptimizer(keras.optimizers.Optimizer):
    """A Keras optimizer whose learning rate has a factor for each layer: `layerwise(model, optimizer, ...)` makes one for a network.

    The weights `w` of a layer with the factor `f` are updated as the optimizer would at the learning rate `f * learning_rate`, with its
    schedule. Decoupled weight decay goes along, `w - f * learning_rate * weight_decay * w`, as in PyTorch's parameter groups. Momenta,
    clipping, averages and accumulated gradients are the optimizer's own; `global_clipnorm` is of all gradients together. `learning_rate` is
    that of the factor 1, and can be read and set, also by callbacks.

    Args:
        optimizer: any Keras optimizer that has not been used yet, or its name; it is copied.
        factors: by the name of a layer, from 0. A variable has the factor of the first layer on its path that is named; others have 1.
        undecayed: paths of variables that weight decay leaves out; `exclude_from_weight_decay` adds to them.
        name: of this optimizer.

    Raises:
        ValueError: for an optimizer that is in use or made of others (put a `LossScaleOptimizer` around this one), one that both clips the
            global norm and accumulates gradients, one whose learning rate is a function, and at a factor that is no number from 0.

    Source: Howard and Ruder 2018, arXiv:1801.06146, section 3.2.
    """

    def __init__(
        self,
        optimizer: keras.optimizers.Optimizer | str,
        factors: dict[str, float],
        undecayed: Iterable[str] = (),
        name: str | None = None,
    ):
        template = _checked(optimizer)
        if not isinstance(factors, Mapping):
            raise ValueError(f'`factors` must be numbers by the name of a layer, such as {{"stem": 0.1}}. Received: factors={factors!r}.')
        for layer, factor in factors.items():
            check_number(f"factors[{layer!r}]", factor, 0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a function for the learning rate is refused below
            settings = template.get_config()
        super().__init__(
            _rate(settings["learning_rate"]),
            global_clipnorm=settings.pop("global_clipnorm", None),
            loss_scale_factor=settings.pop("loss_scale_factor", None),
            name=name or f"layerwise_{template.name}",
        )
        self._settings = Untracked(settings)
        self._kind = Untracked(type(template))
        self._factors = Untracked(dict(factors))
        self._undecayed = Untracked((checked_paths(undecayed), set()))  # paths, and patterns of names
        # Hidden from Keras, which would save the state of each a second time.
        self._inner = Untracked([])
        self._learned = Untracked([])

    @property
    def groups(self) -> list[keras.optimizers.Optimizer]:
        """The optimizer of each factor, once built."""  # not `optimizers`, whose rates Keras's callbacks would set one by one
        return [inner for inner, _ in self._inner.value]

    @property
    def factors(self) -> dict[str, float]:
        """Factor of the learning rate by the name of a layer."""
        return dict(self._factors.value)

    def factor(self, variable: Any) -> float:
        """Factor of the learning rate of a variable."""
        named = (self._factors.value[part] for part in variable.path.split("/") if part in self._factors.value)
        return next(named, 1.0)

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        """As Keras's, but written into `.keras` files too."""
        if self.built:
            raise ValueError("exclude_from_weight_decay() must be called before the optimizer is used.")
        self._undecayed.value[0].update(variable.path for variable in var_list or ())
        self._undecayed.value[1].update(var_names or ())

    def build(self, variables: Sequence) -> None:
        if self.built:
            return
        super().build(list(variables))
        paths, patterns = self._undecayed.value
        paths |= {variable.path for variable in variables if any(re.search(pattern, variable.name) for pattern in patterns)}
        groups: dict[float, list] = {}
        for variable in variables:
            groups.setdefault(self.factor(variable), []).append(variable)
        for factor, group in groups.items():
            inner = self._kind.value.from_config({**self._settings.value, "learning_rate": 1.0, "name": f"{self.name}_{factor:g}"})
            inner.learning_rate = _Scaled(self, factor)
            left_out = [variable for variable in group if variable.path in paths]
            if left_out:
                inner.exclude_from_weight_decay(var_list=left_out)
            inner.build(group)
            self._inner.value.append((inner, group))
        self._learned.value = list(variables)

    @property
    def variables(self) -> list:
        return [*super().variables, *(variable for inner in self.groups for variable in inner.variables)]

    def apply(self, grads: Sequence, trainable_variables: Sequence | None = None) -> None:
        if trainable_variables is not None and not self.built:
            with keras.name_scope(self.name):
                self.build(list(trainable_variables))
        if not self.built:
            raise ValueError("Pass the variables with their gradients, or build the optimizer first: `optimizer.build(variables)`.")
        variables = self._learned.value if trainable_variables is None else list(trainable_variables)
        gradients = {id(variable): gradient for variable, gradient in zip(variables, self._prepared(list(grads), variables), strict=True)}
        unknown = gradients.keys() - {id(variable) for variable in self._learned.value}
        if unknown:
            names = ", ".join(variable.path for variable in variables if id(variable) in unknown)
            raise ValueError(f"The optimizer was built for other variables than these: {names}. Compile the model again.")
        for inner, group in self._inner.value:
            of_group = [variable for variable in group if gradients.get(id(variable)) is not None]
            if of_group:
                inner.apply([gradients[id(variable)] for variable in of_group], of_group)
        self.iterations.assign_add(1)

    def _prepared(self, gradients: list, variables: list) -> list:
        """The gradients of the loss as it is, of at most the global norm; what is `None` stays."""
        present = [gradient for gradient in gradients if gradient is not None]
        if not present:
            raise ValueError("No gradients provided for any variable.")
        if len(present) < len(gradients):
            warnings.warn(f"{len(gradients) - len(present)} variables have no gradient, and stay as they are.", stacklevel=4)
        factor: Any = None if self.loss_scale_factor is None else 1 / self.loss_scale_factor
        if self.global_clipnorm:
            # TensorFlow's of an embedding are rows, some of which are the same one's, and only their sum has the norm.
            gradients = [g if g is None else keras.ops.reshape(g, v.shape) for g, v in zip(gradients, variables, strict=True)]
            squares = [
                keras.ops.sum(keras.ops.square(keras.ops.cast(gradient, "float32"))) for gradient in gradients if gradient is not None
            ]
            norm = keras.ops.sqrt(keras.ops.sum(keras.ops.stack(squares))) * (factor or 1.0)
            factor = self.global_clipnorm / keras.ops.maximum(norm, self.global_clipnorm) * (factor or 1.0)
        if factor is None:
            return gradients
        return [g if g is None else g * keras.ops.cast(factor, keras.backend.standardize_dtype(g.dtype)) for g in gradients]

    def finalize_variable_values(self, var_list: Sequence) -> None:
        wanted = {id(variable) for variable in var_list}
        for inner, group in self._inner.value:
            inner.finalize_variable_values([variable for variable in group if id(variable) in wanted])

    def get_config(self) -> dict:
        base = super().get_config()
        kept = {key: base[key] for key in ("learning_rate", "global_clipnorm", "loss_scale_factor")}
        settings = {**self._settings.value, **kept}
        template = keras.saving.serialize_keras_object(self._kind.value.from_config(settings))
        # A file does not say which backend's twin of Keras's this is; ours of the same name stay ours.
        if str(template["module"]).startswith("keras.") and hasattr(keras.optimizers, template["class_name"]):
            template.update(module="keras.optimizers", registered_name=None)
        return {"name": self.name, "optimizer": template, "factors": self.factors, "undecayed": sorted(self._undecayed.value[0])}

    @classmethod
    def from_config(cls, config: dict, custom_objects: Any = None) -> "LayerwiseOptimizer":
        config = dict(config)
        config["optimizer"] = keras.saving.deserialize_keras_object(config["optimizer"], custom_objects=custom_objects)
        return cls(**config)


class _Scaled:
    """The learning rate of a group, which follows that of the whole."""

    def __init__(self, whole: LayerwiseOptimizer, factor: float):
        self.whole, self.factor = whole, factor

    def __call__(self) -> Any:
        return self.whole.learning_rate * self.factor


def _checked(optimizer: Any) -> keras.optimizers.Optimizer:
    """The optimizer that this is or names. Raises where it cannot be one for several learning rates."""
    try:
        found = keras.optimizers.get(optimizer)
    except (TypeError, ValueError, KeyError):
        found = None
    if found is None:
        raise ValueError(f"`optimizer` must be a Keras optimizer, or the name of one, such as 'adamw'. Received: {optimizer!r}.")
    made_of_others = (LayerwiseOptimizer, keras.optimizers.LossScaleOptimizer, keras.optimizers.MultiOptimizer)
    if isinstance(found, made_of_others):
        raise ValueError(f"`optimizer` must not be made of others; put those around this one. Received: {type(found).__name__}.")
    if found.built:
        raise ValueError(f"`optimizer` is in use already, and its state would be lost. Pass a new {type(found).__name__}.")
    if found.global_clipnorm and found.gradient_accumulation_steps:
        raise ValueError("`optimizer` clips the global norm and accumulates gradients, which do not go together here. Leave one of them.")
    return found


def _rate(settings: Any) -> Any:
    """The learning rate of an optimizer's configuration. Raises where it is a function, which no file can hold."""
    if isinstance(settings, float):
        return settings
    try:
        rate = keras.saving.deserialize_keras_object(settings)
    except (TypeError, ValueError):  # it does not call up functions either
        rate = None
    if not isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        raise ValueError("`optimizer` has a function for its learning rate. Pass one with a number or a LearningRateSchedule.")
    return rate
