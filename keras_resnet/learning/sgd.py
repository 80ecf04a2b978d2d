"""Gradient descent with momentum as the published recipes mean it, which is PyTorch's."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras
from keras import ops

from keras_resnet import backend
from keras_resnet.layers.configured import check_flag, check_number
from keras_resnet.learning.undecayed import UndecayedOptimizer


@keras.saving.register_keras_serializable("keras_resnet")
class SGD(UndecayedOptimizer):
    """SGD with the numbers of `torch.optim.SGD`: `SGD(0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)`.

    ```
    g = gradient + weight_decay * w
    m = momentum * m + g
    w = w - learning_rate * (g + momentum * m if nesterov else m)
    ```

    Keras's SGD differs twice: its weight decay is decoupled, `w * (1 - learning_rate * weight_decay)`, which with momentum 0.9 decays ten
    times less; and its momentum holds steps, not gradients, so that a rate that falls leaves the old rate's steps to run out.

    Args:
        learning_rate: a number or a `LearningRateSchedule`.
        momentum: from 0 to 1; 0 for none.
        nesterov: whether the step looks ahead along the momentum.
        weight_decay: factor of the weights that is added to their gradient, from 0. `exclude_from_weight_decay` leaves variables out.
        clipnorm, clipvalue, global_clipnorm: as in Keras; they bound the loss's gradient, before the decay is added.
        use_ema, ema_momentum, ema_overwrite_frequency: as in Keras; `AveragedWeights` averages statistics, too.
        loss_scale_factor, gradient_accumulation_steps: as in Keras.
        undecayed: paths of variables that decay leaves out; `exclude_from_weight_decay` sets them, and files keep them.
        name: of this optimizer.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: Sutskever et al. 2013, for Nesterov's momentum; PyTorch's documentation of `torch.optim.SGD` for the order of things.
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        undecayed: Iterable[str] = (),
        name: str = "sgd",
    ):
        check_number("momentum", momentum, 0, 1)
        check_flag("nesterov", nesterov)
        check_number("weight_decay", weight_decay, 0)
        if nesterov and not momentum:
            raise ValueError("`nesterov=True` needs a momentum above 0. Received: momentum=0.")
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=float(weight_decay),
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
            name=name,
        )
        self.keep_undecayed(undecayed)
        self.momentum, self.nesterov = float(momentum), bool(nesterov)

    def build(self, variables: Sequence) -> None:
        if self.built:
            return
        super().build(variables)
        self.momenta = self.add_optimizer_variables(variables, "momentum") if self.momentum else []
        backend.prepare_optimizer(self, list(variables))  # the fused kernel walks both as they lie

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        rate, gradient = ops.cast(learning_rate, variable.dtype), ops.cast(gradient, variable.dtype)
        if self.weight_decay and self._use_weight_decay(variable):
            gradient = gradient + variable * ops.cast(self.weight_decay, variable.dtype)
        if self.momentum:
            momenta, share = self.momenta[self._get_variable_index(variable)], ops.cast(self.momentum, variable.dtype)
            momentum = momenta * share + gradient
            self.assign(momenta, momentum)
            gradient = gradient + momentum * share if self.nesterov else momentum
        self.assign_sub(variable, gradient * rate)

    def _backend_update_step(self, grads: Sequence, trainable_variables: Sequence, learning_rate: Any) -> None:
        if backend.sgd_step is None:
            super()._backend_update_step(grads, trainable_variables, learning_rate)
            return
        momenta = [self.momenta[self._get_variable_index(variable)] for variable in trainable_variables] if self.momentum else []
        backend.sgd_step(
            [variable.value for variable in trainable_variables],
            list(grads),
            [momentum.value for momentum in momenta],
            [self._use_weight_decay(variable) for variable in trainable_variables],
            getattr(learning_rate, "value", learning_rate),
            self.weight_decay,
            self.momentum,
            self.nesterov,
        )

    def get_config(self) -> dict:
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}
