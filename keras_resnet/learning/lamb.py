"""LAMB: Adam whose step is as long, layer by layer, as its weights are large."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras
from keras import ops

from keras_resnet import backend
from keras_resnet.layers.configured import check_number
from keras_resnet.learning.undecayed import UndecayedOptimizer


@keras.saving.register_keras_serializable("keras_resnet")
class Lamb(UndecayedOptimizer):
    """LAMB with weight decay inside the ratio, as in its paper: `Lamb(5e-3, weight_decay=0.02, global_clipnorm=1.0)`.

    ```
    u = m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon) + weight_decay * w
    w = w - learning_rate * |w| / |u| * u
    ```

    with Adam's `m` and `v`. Where one of the norms is 0 the ratio is 1, and so it is for variables that weight decay leaves out, which
    take Adam's steps. Keras's `Lamb` decays weights apart from the ratio. timm's and NVIDIA's, which ResNet strikes back used, also clip
    the norm of all gradients to 1: `global_clipnorm=1.0`.

    Args:
        learning_rate: a number or a `LearningRateSchedule`.
        beta_1: how much of the mean of gradients stays each step, from 0 to below 1.
        beta_2: the same for their squares.
        epsilon: added to the root of the mean square, from 0.
        weight_decay: factor of the weights in the step, from 0. `exclude_from_weight_decay` leaves variables out.
        clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency: as in Keras.
        loss_scale_factor, gradient_accumulation_steps: as in Keras.
        undecayed: paths of variables that decay leaves out; `exclude_from_weight_decay` sets them, and files keep them.
        name: of this optimizer.

    Raises:
        ValueError: at an argument outside what is listed.

    Source: You et al. 2020, arXiv:1904.00962, algorithm 2 with the identity for its function of norms.
    """

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
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
        name: str = "lamb",
    ):
        check_number("beta_1", beta_1, 0, 1)
        check_number("beta_2", beta_2, 0, 1)
        check_number("epsilon", epsilon, 0)
        check_number("weight_decay", weight_decay, 0)
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
        self.beta_1, self.beta_2, self.epsilon = float(beta_1), float(beta_2), float(epsilon)

    def build(self, variables: Sequence) -> None:
        if self.built:
            return
        super().build(variables)
        self.momenta, self.velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])
        backend.prepare_optimizer(self, list(variables))

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        kind = variable.dtype
        rate, gradient, step = ops.cast(learning_rate, kind), ops.cast(gradient, kind), ops.cast(self.iterations + 1, kind)
        gradient = ops.reshape(gradient, variable.shape)  # TensorFlow's of an embedding are rows, some of which are the same one's
        place = self._get_variable_index(variable)
        corrections = [1 - ops.power(ops.cast(beta, kind), step) for beta in (self.beta_1, self.beta_2)]
        momentum = self.momenta[place] * self.beta_1 + gradient * (1 - self.beta_1)
        velocity = self.velocities[place] * self.beta_2 + ops.square(gradient) * (1 - self.beta_2)
        self.assign(self.momenta[place], momentum)
        self.assign(self.velocities[place], velocity)
        update = momentum / corrections[0] / (ops.sqrt(velocity / corrections[1]) + self.epsilon)
        if self._use_weight_decay(variable):
            update = update + variable * ops.cast(self.weight_decay, kind)
            size, length = ops.sqrt(ops.sum(ops.square(variable))), ops.sqrt(ops.sum(ops.square(update)))
            ratio = ops.where((size > 0) & (length > 0), size / ops.where(length > 0, length, 1), 1)
            update = update * ratio
        self.assign_sub(variable, update * rate)

    def _backend_update_step(self, grads: Sequence, trainable_variables: Sequence, learning_rate: Any) -> None:
        if backend.lamb_step is None:
            super()._backend_update_step(grads, trainable_variables, learning_rate)
            return
        places = [self._get_variable_index(variable) for variable in trainable_variables]
        backend.lamb_step(
            [variable.value for variable in trainable_variables],
            list(grads),
            [self.momenta[place].value for place in places],
            [self.velocities[place].value for place in places],
            [self._use_weight_decay(variable) for variable in trainable_variables],
            getattr(learning_rate, "value", learning_rate),
            ops.cast(self.iterations, "float32") + 1,
            (self.beta_1, self.beta_2),
            self.epsilon,
            self.weight_decay,
        )

    def get_config(self) -> dict:
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
