"""2-D convolution whose kernel is standardized on its way in: weight standardization."""

from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.layers.configured import check_number
from keras_resnet.layers.convolution import Conv2D


@keras.saving.register_keras_serializable("keras_resnet")
class StandardizedConv2D(Conv2D):
    """`Conv2D` with a kernel of mean 0 and variance 1 in each filter, whatever is stored: `StandardizedConv2D(64, 3, padding=1)`.

    `kernel' = (kernel - mean) / sqrt(variance + epsilon)`, both over height, width and channels of one filter, the variance biased; in
    float32 whatever the compute type.

    Args:
        filters, kernel_size, strides, padding: those of `Conv2D`; `padding="same"` is TensorFlow's, as hybrid vision transformers need it.
        epsilon: added to the variance; 1e-8 as in Big Transfer.
        **kwargs: the rest of `Conv2D`.

    Input and output shape: those of `Conv2D`.

    Raises:
        ValueError: at an impossible argument.

    Source: Qiao et al. 2019, arXiv:1903.10520; in Big Transfer, Kolesnikov et al. 2019, arXiv:1912.11370.
    """

    def __init__(self, filters: int, kernel_size: Any, strides: Any = (1, 1), padding: Any = "valid", epsilon: float = 1e-8, **kwargs: Any):
        super().__init__(filters, kernel_size, strides, padding, **kwargs)
        check_number("epsilon", epsilon, 1e-12)
        self.epsilon = epsilon
        self.standardized = backend.FoldedKernel()  # as `folded`: a cache, not state

    def operands(self) -> tuple[Any, Any]:
        """The standardized kernel, and the bias; without a gradient tape the same tensor again as long as the stored kernel is."""
        kernel, bias = super().operands()
        return backend.standardize_kernel(kernel, *self.scaling(), self.epsilon, self.standardized), bias

    def scaling(self) -> tuple[Any, float]:
        """What the standardized filters are multiplied by: a tensor `(filters,)` or `None`, and a number."""
        return None, 1.0

    def get_config(self) -> dict:
        return {**super().get_config(), "epsilon": self.epsilon}
