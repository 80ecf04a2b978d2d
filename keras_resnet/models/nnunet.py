"""nnU-Net's networks: plain convolutions or residual encoders, for images and volumes, with a stride and a window for each axis."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet.backend import geometry
from keras_resnet.layers import ConvStack, Enlarge, ResidualConvStack
from keras_resnet.layers.configured import check_flag, check_number, is_count
from keras_resnet.layers.leaky_relu import leaky_relu
from keras_resnet.layers.normalization import check_norm
from keras_resnet.models.image_shape import standardize_shape
from keras_resnet.models.padded_segmenter import check_widths, padded_segmenter, standardize_format
from keras_resnet.models.row import Row


def nnunet(
    widths: Sequence[int] = (32, 64, 128, 256, 320, 320),
    depths: int | Sequence[int] = 2,
    decoder_depths: int | Sequence[int] = 2,
    residual: bool = False,
    strides: int | Sequence = 2,
    kernel_sizes: int | Sequence = 3,
    norm: str | None = "instance",
    norm_momentum: float = 0.9,
    norm_epsilon: float = 1e-5,
    use_bias: bool = True,
    activation: Any = leaky_relu,
    dropout: float = 0.0,
    deep_supervision: bool = True,
    classes: int = 2,
    classifier_activation: Any = None,
    input_shape: Sequence | None = None,
    data_format: str | None = None,
    dtype: Any = None,
    name: str = "nnunet",
) -> keras.Model:
    """One of nnU-Net's networks for images or volumes of any size; the defaults are its plain one for volumes.

    ```
    image -- [stem] -- stage1 ------------------------------- up1 -- head: conv 1x1, classes
                         | strides in its first convolution    | transposed conv, kernel = stride
                       stage2 ------------------------- up2 --/
                         |                               |
                        ...                             ...
    ```

    Args:
        widths: channels of each stage, from the image's size; their number, 2 or more, is the depth.
        depths: convolutions of each stage; of the residual encoder, blocks of two. One number, or one a stage.
        decoder_depths: convolutions of each stage on the way up: one number, or one for each stage but the deepest, from the deepest.
        residual: whether the encoder is of residual blocks, behind a stem of one convolution.
        strides: by which each stage but the first makes the map smaller: one number, or for each of those stages one, or one an axis.
        kernel_sizes: windows of each stage's convolutions, odd: one number, or for each stage one, or one an axis.
        norm, norm_momentum, norm_epsilon, use_bias, activation: as in `layers.ConvStack`; the activation is a leaky ReLU of slope 0.01.
        dropout: share of the numbers behind each stage of the encoder but the first that training sets to zero, from 0 to below 1.
        deep_supervision: whether the output is `{"out": ..., "aux1": ..., ...}`, with a head on each stage of the way up, as nnU-Net
            trains; see `keras_resnet.learning.deep_supervision`. Its own heads are at the maps' sizes, where it makes the masks smaller:
            here they are enlarged to the image's size.
        classes, classifier_activation, data_format, dtype, name: as in `plain_unet`.
        input_shape: without the batch: `(height, width, channels)` or `(depth, height, width, channels)`, or channels first; sizes may be
            `None`. Default `(None, None, None, 1)`.

    Returns:
        A `keras.Model` from `(n, depth, height, width, channels)` to `(n, depth, height, width, classes)`, and the like.

    Raises:
        ValueError: at an argument outside what is listed; nothing is built then.

    Source: Isensee et al. 2021, arXiv:1809.10486; residual encoders Isensee et al. 2024, arXiv:2404.09556.
    """
    widths = check_widths(widths)
    check_norm(norm, norm_momentum, norm_epsilon)
    for label, flag in (("residual", residual), ("use_bias", use_bias), ("deep_supervision", deep_supervision)):
        check_flag(label, flag)
    check_number("dropout", dropout, 0, 1)
    data_format = standardize_format(data_format)
    input_shape = standardize_shape(input_shape, (None, None, None, 1), data_format, volumes=True)
    axes, count = len(input_shape) - 1, len(widths)
    steps = [(1,) * axes, *_each("strides", strides, count - 1, axes)]
    windows = _each("kernel_sizes", kernel_sizes, count, axes)
    blocks = [one for (one,) in _each("depths", depths, count, 1)]
    up_blocks = [one for (one,) in _each("decoder_depths", decoder_depths, count - 1, 1)]
    if any(size % 2 == 0 for window in windows for size in window):
        raise ValueError(f"`kernel_sizes` must be odd, so that a map keeps its size. Received: kernel_sizes={kernel_sizes!r}.")
    form: dict = dict(data_format=data_format, dtype=dtype)
    norms: dict = dict(norm=norm, norm_momentum=norm_momentum, norm_epsilon=norm_epsilon)
    shared: dict = dict(use_bias=use_bias, activation=activation, **norms, **form)

    def body(x: Any) -> list:
        if residual:
            x = ConvStack((widths[0],), windows[0], name="stem", **shared)(x)
        skips = []
        for stage, (width, depth, step, window) in enumerate(zip(widths, blocks, steps, windows, strict=True), start=1):
            own: dict = dict(kernel_size=window, **shared)
            drops = dropout if stage > 1 else 0.0
            if residual:
                for place in range(1, depth + 1):
                    strides = step if place == 1 else 1
                    drop = drops if place == depth else 0.0
                    x = ResidualConvStack((width,) * 2, strides=strides, dropout=drop, name=f"stage{stage}_block{place}", **own)(x)
            else:
                x = ConvStack((width,) * depth, strides=step, dropout=drops, name=f"stage{stage}", **own)(x)
            skips.append(x)
        scales = [tuple(_product(steps[: level + 1], axis) for axis in range(axes)) for level in range(count)]
        maps = []
        for level, depth in zip(reversed(range(count - 1)), up_blocks, strict=True):
            x = Enlarge(widths[level], strides=steps[level + 1], use_bias=use_bias, name=f"up{level + 1}_enlarge", **form)(x)
            x = ConvStack((widths[level],) * depth, windows[level], name=f"up{level + 1}", **shared)([x, skips[level]])
            maps.append((x, scales[level]))
        return maps[::-1]

    return padded_segmenter(
        body,
        tuple(_product(steps, axis) for axis in range(axes)),
        input_shape=input_shape,
        classes=classes,
        classifier_activation=classifier_activation,
        deep_supervision=deep_supervision,
        name=name,
        **form,
    )


def _each(name: str, value: Any, count: int, axes: int) -> list[geometry.Numbers]:
    """For each of `count` stages one number an axis: of one number for all, or of one, or one an axis, for each stage."""
    stages = list(value) if isinstance(value, (tuple, list)) else [value] * count
    each = [tuple(stage) if isinstance(stage, (tuple, list)) else (stage,) * axes for stage in stages]
    if len(each) != count or any(len(stage) != axes or not all(map(is_count, stage)) for stage in each):
        of_axes = f", or {axes} of them" if axes > 1 else ""
        raise ValueError(
            f"`{name}` must be an integer of at least 1, or for each of {count} stages one{of_axes}. Received: {name}={value!r}."
        )
    return each


def _product(steps: Sequence[geometry.Numbers], axis: int) -> int:
    total = 1
    for step in steps:
        total *= step[axis]
    return total


IMAGE: dict[str, Any] = dict(input_shape=(None, None, 1))
PLANS, ENCODERS = "1809.10486", "2404.09556"

NNUNETS = {
    #                     what differs from nnunet()'s defaults                                              parameters, paper
    "nnunet2d":       Row(dict(widths=(32, 64, 128, 256, 512, 512), **IMAGE),                                20_619_082, nnunet, PLANS),
    "nnunet2d_deep":  Row(dict(widths=(32, 64, 128, 256, 512, 512, 512, 512), **IMAGE),                      46_324_558, nnunet, PLANS),
    "nnunet3d":       Row(dict(),                                                                            31_195_594, nnunet, PLANS),
    "nnunet3d_resenc": Row(dict(residual=True, depths=(1, 3, 4, 6, 6, 6), decoder_depths=1),                 102_349_770, nnunet, ENCODERS),
}  # fmt: skip
