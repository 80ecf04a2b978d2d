"""What weight decay leaves out, kept in files."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras

from keras_resnet.models.untracked import Untracked


class UndecayedOptimizer(keras.optimizers.Optimizer):
    """An optimizer that writes into its configuration which variables its weight decay leaves out; Keras's forget it in files.

    The decay itself is a part of the subclass's `update_step`.
    """

    def keep_undecayed(self, paths: Iterable[str]) -> None:
        """Leaves the variables of these paths out, once there are variables. For the end of a constructor."""
        if isinstance(paths, str):
            raise ValueError(f"`undecayed` must be a list of paths of variables. Received: undecayed={paths!r}.")
        self._paths = Untracked(set(paths))

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
