"""2-D convolution with scaled weight standardization, which keeps variances in networks without norms."""

import math
from typing import Any

import keras

from keras_resnet.layers.configured import check_number
from keras_resnet.layers.standardized_conv import StandardizedConv2D

# One over the standard deviation of an activation of normal numbers, as the authors measured it (exactly, ReLU's is
# sqrt(2 / (1 - 1 / pi)) = 1.71286); published weights were trained with these.
ACTIVATION_GAINS = {
    "linear": 1.0,
    "celu": 1.270926833152771,
    "elu": 1.2716004848480225,
    "gelu": 1.7015043497085571,
    "relu": 1.7139588594436646,
    "relu6": 1.7131484746932983,
    "selu": 1.0008515119552612,
    "sigmoid": 4.803835391998291,
    "silu": 1.7881293296813965,
    "softplus": 1.9203323125839233,
    "softsign": 2.338853120803833,
    "tanh": 1.5939117670059204,
}


def activation_gain(activation: Any) -> float:
    """The `gamma` of scaled convolutions behind this activation. Raises where it is not known."""
    name = getattr(keras.activations.get(activation), "__name__", repr(activation))
    if name not in ACTIVATION_GAINS:
        raise ValueError(
            f"`activation` must be one whose gain is known in a network with scaled convolutions: "
            f"{', '.join(map(repr, ACTIVATION_GAINS))}. Received: activation={name!r}."
        )
    return ACTIVATION_GAINS[name]


@keras.saving.register_keras_serializable("keras_resnet")
class ScaledStandardizedConv2D(StandardizedConv2D):
    """`StandardizedConv2D` whose filters have variance `gamma^2 / fan_in` times a learned gain: it keeps the variance of `relu(x)`.

    `kernel' = gain * gamma / sqrt(fan_in) * (kernel - mean) / sqrt(variance + epsilon)`.

    Args:
        filters, kernel_size, strides, padding: those of `Conv2D`.
        epsilon: added to the variance; 1e-5 as in timm's NF-ResNets.
        gamma: undoes what the activation in front does to the variance; the default is ReLU's, see `ACTIVATION_GAINS`.
        gain_initializer: how the learned gains start.
        **kwargs: the rest of `Conv2D`.

    Input and output shape: those of `Conv2D`.

    Raises:
        ValueError: at an impossible argument.

    Source: Brock et al. 2021, arXiv:2101.08692, equation 1 and section 4; epsilon beside the variance as in timm.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: Any = "valid",
        epsilon: float = 1e-5,
        gamma: float = ACTIVATION_GAINS["relu"],
        gain_initializer: Any = "ones",
        **kwargs: Any,
    ):
        super().__init__(filters, kernel_size, strides, padding, epsilon, **kwargs)
        check_number("gamma", gamma)
        self.gamma = gamma
        self.gain_initializer = keras.initializers.get(gain_initializer)

    def build(self, input_shape: tuple) -> None:
        super().build(input_shape)
        self.gain = self.add_weight(name="gain", shape=(self.filters,), initializer=self.gain_initializer)

    def scaling(self) -> tuple[Any, float]:
        return self.gain.value, self.gamma / math.sqrt(math.prod(self._kernel.shape[:3]))

    def save_own_variables(self, store: Any) -> None:
        """Kernel, bias and gain; Keras's convolutions save the first two only."""
        for i, variable in enumerate(self.variables):
            store[str(i)] = variable

    def load_own_variables(self, store: Any) -> None:
        self._check_load_own_variables(store)
        for i, variable in enumerate(self.variables):
            variable.assign(store[str(i)])

    def get_config(self) -> dict:
        initializer = keras.initializers.serialize(self.gain_initializer)
        return {**super().get_config(), "gamma": self.gamma, "gain_initializer": initializer}
