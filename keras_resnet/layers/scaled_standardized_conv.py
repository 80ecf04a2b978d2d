"""2-D convolution with scaled weight standardization, which keeps variances in networks without norms."""

import math
from typing import Any

import keras

from keras_resnet.layers.configured import check_number
from keras_resnet.layers.standardized_conv import StandardizedConv2D


@keras.saving.register_keras_serializable("keras_resnet")
class ScaledStandardizedConv2D(StandardizedConv2D):
    """`StandardizedConv2D` whose filters have variance `gamma^2 / fan_in` times a learned gain: it keeps the variance of `relu(x)`.

    `kernel' = gain * gamma / sqrt(fan_in) * (kernel - mean) / sqrt(variance + epsilon)`.

    Args:
        filters, kernel_size, strides, padding: those of `Conv2D`.
        epsilon: added to the variance; 1e-5 as in timm's NF-ResNets.
        gamma: undoes what the activation in front does to the variance; `sqrt(2 / (1 - 1 / pi))`, for ReLU.
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
        gamma: float = 1.7139588594436646,
        **kwargs: Any,
    ):
        super().__init__(filters, kernel_size, strides, padding, epsilon, **kwargs)
        check_number("gamma", gamma)
        self.gamma = gamma

    def build(self, input_shape: tuple) -> None:
        super().build(input_shape)
        self.gain = self.add_weight(name="gain", shape=(self.filters,), initializer="ones")

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
        return {**super().get_config(), "gamma": self.gamma}
