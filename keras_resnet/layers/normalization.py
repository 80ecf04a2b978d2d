"""Normalization: batch normalization with one rule for its statistics on all backends, and the choice of a norm by name."""

import math
from typing import Any

import keras

from keras_resnet import backend
from keras_resnet.layers.configured import check_choice, check_number
from keras_resnet.layers.group_normalization import GroupNormalization


@keras.saving.register_keras_serializable("keras_resnet")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras's `BatchNormalization`, by the framework's fused kernels, its moving variance unbiased on every backend.

    `y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`; in training with the batch's mean and biased variance, else with the moving
    ones. PyTorch and TensorFlow's fused kernel move the variance by the unbiased estimate n / (n - 1), Keras by the biased one: here it is
    the former everywhere, so that a network trained on one backend has the statistics it would have on another.

    Args: those of `keras.layers.BatchNormalization`; `renorm=True` is not supported. `trainable=False` freezes the statistics too, unless
    the attribute `adapts_statistics` is set, as `keras_resnet.freeze(..., statistics=False)` does: then gamma and beta alone are frozen.

    Input and output shape: any, with the channels on `axis`. The output has the layer's compute type; statistics are float32 inside.

    Raises:
        ValueError: for `renorm=True`; use `keras.layers.BatchNormalization` for that.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167.
    """

    adapts_statistics = False

    def __init__(self, axis: int = -1, momentum: float = 0.99, epsilon: float = 1e-3, **kwargs: Any):
        check_number("momentum", momentum, 0)
        check_number("epsilon", epsilon, 0)
        super().__init__(axis, momentum, epsilon, **kwargs)
        if self.renorm:
            raise ValueError("renorm=True is not supported here. Use keras.layers.BatchNormalization for batch renormalization.")

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if keras.backend.standardize_dtype(inputs.dtype) != self.compute_dtype:
            inputs = keras.ops.cast(inputs, self.compute_dtype)
        if not (training and self.moves):
            return backend.batch_norm_inference(inputs, *self.operands(), axis=self.axis)
        gamma, beta, *_, epsilon = self.operands()
        statistics = (self.moving_mean, self.moving_variance, self.momentum)
        if mask is None and not self.synchronized:
            return backend.batch_norm_training(inputs, gamma, beta, *statistics, epsilon, self.axis)
        if mask is not None and len(mask.shape) != len(inputs.shape) - 1:
            raise ValueError(
                f"The mask must have one dimension less than the inputs. Received: mask.shape={mask.shape}, inputs.shape={inputs.shape}."
            )
        return backend.batch_norm_training(inputs, gamma, beta, *statistics, epsilon, self.axis, mask, self.synchronized)

    @property
    def moves(self) -> bool:
        """Whether training normalizes by the batch's statistics, and moves the layer's own."""
        return self.trainable or self.adapts_statistics

    def get_config(self) -> dict:
        config = super().get_config()
        return {**config, "adapts_statistics": True} if self.adapts_statistics else config

    @classmethod
    def from_config(cls, config: dict) -> "BatchNormalization":
        config = dict(config)
        adapts = config.pop("adapts_statistics", False)
        layer = super().from_config(config)
        layer.adapts_statistics = adapts
        return layer

    def operands(self) -> tuple:
        """Gamma, beta, moving mean, moving variance as tensors, and epsilon, for the operations of `keras_resnet.backend`."""
        gamma = None if self.gamma is None else self.gamma.value
        beta = None if self.beta is None else self.beta.value
        return gamma, beta, self.moving_mean.value, self.moving_variance.value, self.epsilon

    def compute_output_spec(self, inputs: Any, training: bool | None = None, mask: Any = None) -> keras.KerasTensor:
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=self.compute_dtype)


NORMS = ("batch", "group", "instance", "layer", None)


def check_norm(norm: Any, momentum: Any, epsilon: Any) -> None:
    """Raises unless these are settings of a norm that `create_norm` can make."""
    check_choice("norm", norm, NORMS)
    check_number("norm_momentum", momentum, 0, 1)
    check_number("norm_epsilon", epsilon, 0)


def check_pixels(layer: Any, y: Any, training: bool | None) -> None:
    """Raises in training where instance normalization has made beta of every map: where `y`, in the inner format, is one pixel large.

    Not in inference: of a network that was trained with larger images, which takes any size, that map is then a small part.
    """
    axes = {0, layer.inner_channel_axis % len(y.shape)}
    if training and layer.norm == "instance" and all(size == 1 for axis, size in enumerate(y.shape) if axis not in axes):
        raise ValueError(
            f"norm='instance' over a map of one pixel leaves nothing of it, so that nothing is learned in {layer.name!r}. Train with "
            f"larger images, a network of less depth, or norm='group' or 'batch'. Received: a map of the shape {tuple(y.shape)}."
        )


def create_norm(parent: Any, name: str, channels: int, gamma_initializer: str = "ones") -> Any:
    """The norm that `parent.norm` names, built as its child, or `None` for none.

    `"group"` has 32 groups, or fewer where 32 do not divide the channels (their greatest common divisor); `"instance"` as many as
    channels; `"layer"` one: Ba et al.'s layer normalization of a convolution's output (arXiv:1607.06450, and arXiv:1803.08494, section
    3.1), for any size of image. The other thing of that name, over the channels of each pixel by itself, would stretch flat regions to
    the contrast of all others.
    """
    if parent.norm is None:
        return None
    common = dict(
        axis=parent.inner_channel_axis,
        epsilon=parent.norm_epsilon,
        gamma_initializer=gamma_initializer,
        dtype=parent.dtype_policy,
        name=name,
    )
    norm: keras.layers.Layer
    groups = {"group": math.gcd(channels, 32), "instance": channels, "layer": 1}
    if parent.norm in groups:
        norm = GroupNormalization(groups[parent.norm], **common)
    else:
        norm = BatchNormalization(momentum=parent.norm_momentum, **common)
    parent.build_child(norm, channels)
    return norm
