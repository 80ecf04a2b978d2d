"""What weight decay leaves out, kept in files."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras

from keras_resnet.layers.configured import check_count, check_flag, check_number
from keras_resnet.models.untracked import Untracked


def checked_paths(paths: Any) -> set[str]:
    """The paths. Raises unless they are a list of texts."""
    if isinstance(paths, str) or not isinstance(paths, Iterable) or not all(isinstance(path, str) for path in paths):
        raise ValueError(f"`undecayed` must be a list of paths of variables. Received: undecayed={paths!r}.")
    return set(paths)


class UndecayedOptimizer(keras.optimizers.Optimizer):
    """An optimizer that writes into its configuration which variables its weight decay leaves out; Keras's forget it in files.

    The decay itself is a part of the subclass's `update_step`.

    Raises:
        ValueError: at an argument of Keras's optimizers outside what they can take, most of which Keras 3.15 takes as it is.
    """

    def __init__(self, learning_rate: Any, **settings: Any):
        if not isinstance(learning_rate, keras.optimizers.schedules.LearningRateSchedule) and not callable(learning_rate):
            check_number("learning_rate", learning_rate, 0)  # whose message a wrong schedule also gets
            learning_rate = float(learning_rate)
        for name in ("clipnorm", "clipvalue", "global_clipnorm"):
            if settings[name] is not None:
                check_number(name, settings[name], 0)
        if settings["loss_scale_factor"] is not None:
            check_number("loss_scale_factor", settings["loss_scale_factor"], 0)
            if settings["loss_scale_factor"] == 0:
                raise ValueError("`loss_scale_factor` must be above 0, or None. Received: loss_scale_factor=0.")
        check_flag("use_ema", settings["use_ema"])
        check_number("ema_momentum", settings["ema_momentum"], 0, most=1)
        for name in ("ema_overwrite_frequency", "gradient_accumulation_steps"):
            if settings[name] is not None:
                check_count(name, settings[name])
        super().__init__(learning_rate=learning_rate, **settings)

    def keep_undecayed(self, paths: Iterable[str]) -> None:
        """Leaves the variables of these paths out, once there are variables. For the end of a constructor."""
        self._paths = Untracked(checked_paths(paths))

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        """As Keras's, but for good."""
        if self.built:
            raise ValueError("exclude_from_weight_decay() must be called before the optimizer is used.")
        super().exclude_from_weight_decay(var_list=var_list, var_names=var_names)
        self._paths.value = {variable.path for variable in var_list or ()}

    def _apply_weight_decay(self, variables: Sequence) -> None:
        """Nothing: Keras's decay is apart from the step, that of a subclass within it."""

    def build(self, variables: Sequence) -> None:
        if not self.built:
            # Those that a file names, or that were named by a pattern.
            left_out = [v for v in variables if v.path in self._paths.value or not self._use_weight_decay(v)]
            super().exclude_from_weight_decay(var_list=left_out)
            self._paths.value = {variable.path for variable in left_out}
        super().build(variables)

    def get_config(self) -> dict:
        return {**super().get_config(), "undecayed": sorted(self._paths.value)}
