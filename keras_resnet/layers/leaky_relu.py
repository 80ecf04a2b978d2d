"""nnU-Net's activation, as a function that files can name."""

from typing import Any

import keras


@keras.saving.register_keras_serializable("keras_resnet")
def leaky_relu(x: Any) -> Any:
    """`x` where it is positive, else a hundredth of it; Keras's own of the name takes a fifth."""
    return keras.ops.leaky_relu(x, 0.01)
