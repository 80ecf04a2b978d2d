"""The choice of a convolution by name, made as a layer's child: plain, standardized, or scaled and standardized."""

from typing import Any

from keras_resnet.layers.configured import check_choice
from keras_resnet.layers.convolution import Conv2D
from keras_resnet.layers.initializer import HeNormal
from keras_resnet.layers.scaled_standardized_conv import ScaledStandardizedConv2D, activation_gain
from keras_resnet.layers.standardized_conv import StandardizedConv2D

CONVS = {"plain": Conv2D, "standardized": StandardizedConv2D, "scaled": ScaledStandardizedConv2D}
PADDINGS = ("symmetric", "same")


def check_conv(conv: Any, padding: Any, use_bias: Any, activation: Any) -> None:
    """Raises unless these are settings of a convolution that `create_conv` can make."""
    check_choice("conv", conv, tuple(CONVS))
    check_choice("padding", padding, PADDINGS)
    check_choice("use_bias", use_bias, (None, True, False, "unnormalized"))
    if conv == "scaled":
        activation_gain(activation)


def create_conv(parent: Any, name: str, channels: int, filters: int, kernel_size: int, *, normalized: bool, **settings: Any) -> Any:
    """The convolution that `parent.conv` names, built as its child for an input of that many `channels`.

    Args:
        parent: a layer with the attributes `conv, padding, use_bias, activation, norm, inner_format, dtype_policy`. By its `use_bias` there
            is a bias always (`True`), never (`False`), where the layer has no norm at all (`None`), or where none stands right behind the
            convolution (`"unnormalized"`).
        normalized: whether a norm stands right behind this convolution.
        **settings: more of the convolution's own.
    """
    window = (kernel_size - 1) * settings.get("dilation_rate", 1) + 1
    biased = {None: parent.norm is None, "unnormalized": not normalized}.get(parent.use_bias, parent.use_bias)
    if parent.conv == "scaled":
        settings["gamma"] = activation_gain(parent.activation)
    conv = CONVS[parent.conv](
        filters,
        kernel_size,
        padding="same" if parent.padding == "same" else window // 2,
        use_bias=biased,
        data_format=parent.inner_format,
        dtype=parent.dtype_policy,
        name=name,
        **{"kernel_initializer": HeNormal(), **settings},
    )
    parent.build_child(conv, channels)
    return conv
