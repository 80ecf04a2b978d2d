"""The U-Nets of diffusion models: a noisy picture and how noisy it is go in, the noise comes out."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import keras

from keras_resnet.backend import geometry
from keras_resnet.layers import (
    AttentionBlock,
    Conv2D,
    CropTo,
    DiffusionBlock,
    LabelEmbedding,
    NormActivation,
    PadToMultiple,
    TimestepEmbedding,
    UpsampleConv2D,
)
from keras_resnet.layers.attention_block import head_count
from keras_resnet.layers.configured import check_choice, check_count, check_flag, check_number, get_activation
from keras_resnet.layers.conv_kinds import PADDINGS
from keras_resnet.layers.normalization import check_norm
from keras_resnet.layers.timestep_embedding import CONVENTIONS, NEAR_ZERO, diffusion_start
from keras_resnet.models.functional import Network
from keras_resnet.models.image_shape import standardize_shape
from keras_resnet.models.network import check_dtype
from keras_resnet.models.row import Row

RESAMPLINGS = ("conv", "residual")


def diffusion_unet(
    width: int = 128,
    multipliers: Sequence[float] = (1, 2, 2, 2),
    depth: int = 2,
    attention_strides: Sequence[int] = (2,),
    num_heads: int = 1,
    head_channels: int | None = None,
    scale_shift: bool = False,
    resampling: str = "conv",
    padding: str = "same",
    embedding: str = "ddpm",
    learn_sigma: bool = False,
    dropout: float = 0.0,
    norm: str | None = "group",
    norm_momentum: float = 0.9,
    norm_epsilon: float = 1e-6,
    activation: Any = "silu",
    image_size: int = 32,
    data_format: str | None = None,
    dtype: Any = None,
    input_shape: Sequence | None = None,
    classes: int | None = None,
    name: str = "diffusion_unet",
) -> keras.Model:
    """Builds the U-Net of a diffusion model, of DDPM's kind or ADM's; the defaults are DDPM's for CIFAR-10.

    ```
    image -- stem -- down1 (/1) -- down2 (/2) -- down3 (/4) -- down4 (/8) -- middle
                       |              |              |             |            |
    noise -- head --  up1  --------  up2  --------  up3  -------- up4  --------/
    ```

    `depth` residual blocks a level on the way down and one more on the way up, each of which joins one map of the way down; attention
    behind every one at the chosen strides, and in the middle. Images of any size: inside they are padded at the bottom and right, and the
    output is cropped.

    ```python
    noise = network([images, timesteps])  # with `classes` [images, timesteps, labels]; or a dict of these names
    ```

    Args:
        width: channels at full size.
        multipliers: of the width, one a level, each level half the size of the one before. Fractions may leave whole channels only.
        depth: residual blocks in each level on the way down.
        attention_strides: levels with attention, by how many pixels of the image a step there covers: 1, 2, 4 and so on.
        num_heads, head_channels: as in `layers.AttentionBlock`.
        scale_shift: whether time and class scale and shift in each block, or are added. What is added is lost in levels of at most 32
            channels that divide 32, whose groups are single channels: narrow networks need `scale_shift`.
        resampling: `"conv"`, by strided convolutions and by convolutions behind repeated pixels, or `"residual"`, in residual blocks.
        padding: of the strided convolutions: `"same"`, at the bottom and right, or `"symmetric"`.
        embedding: convention of `layers.TimestepEmbedding`, `"ddpm"` or `"adm"`.
        learn_sigma: whether there are twice as many channels in the output, the second half for the variance of a sampler's step.
        dropout: share of the numbers that each residual block sets to zero in training, from 0 to below 1.
        norm, norm_momentum, norm_epsilon, activation: as in `layers.DiffusionBlock`.
        image_size: pixels a side where `input_shape` is `None`.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.
        dtype: dtype policy, such as `"mixed_bfloat16"`; `None` for Keras's setting. The head stays in the variables' type.
        input_shape: of the images without the batch; any number of channels; height and width may be `None` for any size.
        classes: how many classes labels can name, from 0; -1 is no class. `None` for a network without labels.
        name: of the model.

    Returns:
        A `keras.Model` from `[(n, height, width, channels), (n,), (n,)]` (images from -1 to 1, integer steps, integer labels) to images.

    Raises:
        ValueError: at an argument outside what is listed; nothing is built then.

    Source: Ho et al. 2020, arXiv:2006.11239, appendix B; `learn_sigma` Nichol and Dhariwal 2021, arXiv:2102.09672; ADM Dhariwal and
    Nichol 2021, arXiv:2105.05233, appendix I. All start as DDPM does; ADM's authors start from PyTorch's numbers and exact zeros.
    """
    widths = _widths(width, multipliers)
    strides = [2**level for level in range(len(widths))]
    _check_attention(attention_strides, strides)
    for argument, value in (("depth", depth), ("num_heads", num_heads), ("image_size", image_size)):
        check_count(argument, value)
    if head_channels is not None:
        check_count("head_channels", head_channels)
    for channels in {widths[-1], *(w for w, stride in zip(widths, strides, strict=True) if stride in attention_strides)}:
        head_count(channels, num_heads, head_channels)
    check_flag("scale_shift", scale_shift)
    check_flag("learn_sigma", learn_sigma)
    check_choice("resampling", resampling, RESAMPLINGS)
    check_choice("padding", padding, PADDINGS)
    check_choice("embedding", embedding, CONVENTIONS)
    check_number("dropout", dropout, 0, 1)
    check_norm(norm, norm_momentum, norm_epsilon)
    get_activation("activation", activation)
    check_dtype(dtype)
    if classes is not None:
        check_count("classes", classes)
    data_format = geometry.standardize_data_format(data_format, keras.config.image_data_format())
    shape = standardize_shape(input_shape, (image_size, image_size, 3), data_format)

    maps = dict(data_format=data_format, dtype=dtype)
    norms = dict(norm=norm, norm_momentum=norm_momentum, norm_epsilon=norm_epsilon, **maps)
    blocks = dict(scale_shift=scale_shift, dropout=dropout, activation=activation, **norms)
    heads = dict(num_heads=num_heads, head_channels=head_channels, **norms)
    image, sizes = keras.Input(shape, name="images"), shape[1:] if data_format == "channels_first" else shape[:2]
    timesteps = keras.Input((), name="timesteps", dtype="int32")
    inputs = [image, timesteps]
    vector = TimestepEmbedding(width, 4 * width, embedding, activation, dtype=dtype, name="time")(timesteps)
    if classes is not None:
        inputs.append(keras.Input((), name="labels", dtype="int32"))
        vector = LabelEmbedding(classes, dtype=dtype, name="label")([vector, inputs[-1]])

    any_size = any(size is None or size % strides[-1] for size in sizes)
    x = PadToMultiple(strides[-1], name="pad", **maps)(image) if any_size and len(widths) > 1 else image
    x = _conv(widths[0], "stem", **maps)(x)
    joined = [x]
    for level, (channels, stride) in enumerate(zip(widths, strides, strict=True), start=1):
        for place in range(1, depth + 1):
            x = DiffusionBlock(channels, name=f"down{level}_block{place}", **blocks)([x, vector])
            if stride in attention_strides:
                x = AttentionBlock(name=f"down{level}_attention{place}", **heads)(x)
            joined.append(x)
        if level < len(widths):
            if resampling == "residual":
                x = DiffusionBlock(channels, "down", name=f"down{level}_resample", **blocks)([x, vector])
            else:
                x = _conv(channels, f"down{level}_resample", strides=2, padding=1 if padding == "symmetric" else "same", **maps)(x)
            joined.append(x)
    x = DiffusionBlock(widths[-1], name="middle_block1", **blocks)([x, vector])
    x = AttentionBlock(name="middle_attention", **heads)(x)
    x = DiffusionBlock(widths[-1], name="middle_block2", **blocks)([x, vector])
    for level in range(len(widths), 0, -1):
        channels, stride = widths[level - 1], strides[level - 1]
        for place in range(1, depth + 2):
            x = DiffusionBlock(channels, name=f"up{level}_block{place}", **blocks)([x, joined.pop(), vector])
            if stride in attention_strides:
                x = AttentionBlock(name=f"up{level}_attention{place}", **heads)(x)
        if level > 1 and resampling == "residual":
            x = DiffusionBlock(channels, "up", name=f"up{level}_resample", **blocks)([x, vector])
        elif level > 1:
            x = UpsampleConv2D(channels, name=f"up{level}_resample", **maps)(x)
    x = NormActivation(activation=activation, name="norm", **norms)(x)
    wide = dict(maps, dtype=keras.dtype_policies.get(dtype).variable_dtype)
    depth_in = shape[0 if data_format == "channels_first" else -1]
    x = _conv(depth_in * (2 if learn_sigma else 1), "head", NEAR_ZERO, **wide)(x)
    if any_size and len(widths) > 1:
        x = CropTo(name="crop", **wide)([x, image])
    return Network(inputs, x, name=name)


def _conv(filters: int, name: str, scale: float = 1.0, strides: int = 1, padding: Any = 1, **maps: Any) -> Conv2D:
    return Conv2D(filters, 3, strides, padding, kernel_initializer=diffusion_start(scale), name=name, **maps)


def _widths(width: Any, multipliers: Any) -> list[int]:
    """Channels of each level. Raises where they are no whole numbers."""
    check_count("width", width)
    if not isinstance(multipliers, (tuple, list)) or not multipliers:
        raise ValueError(f"`multipliers` must hold a number above 0 for each level. Received: multipliers={multipliers!r}.")
    for multiplier in multipliers:
        check_number("multipliers", multiplier, 0)
    found = [width * Fraction(str(multiplier)) for multiplier in multipliers]
    if not all(channels >= 1 and channels.denominator == 1 for channels in found):
        raise ValueError(f"`multipliers` must leave whole channels. Received: {width=}, multipliers={multipliers!r}.")
    return [int(channels) for channels in found]


def _check_attention(attention_strides: Any, strides: list[int]) -> None:
    if not isinstance(attention_strides, (tuple, list)) or not set(attention_strides) <= set(strides):
        raise ValueError(
            f"`attention_strides` must hold some of this network's strides, {', '.join(map(str, strides))}. "
            f"Received: attention_strides={attention_strides!r}."
        )


DDPM, IMPROVED, GUIDED = "2006.11239", "2102.09672", "2105.05233"
SIGMA: dict[str, Any] = dict(
    scale_shift=True, learn_sigma=True, embedding="adm", padding="symmetric", norm_epsilon=1e-5,
)  # fmt: skip
ADM: dict[str, Any] = dict(resampling="residual", head_channels=64, classes=1000, **SIGMA)
ADM_256: dict[str, Any] = dict(width=256, multipliers=(1, 1, 2, 2, 4, 4), attention_strides=(8, 16, 32), image_size=256)
ADM_512: dict[str, Any] = dict(width=256, multipliers=(0.5, 1, 1, 2, 2, 4, 4), attention_strides=(16, 32, 64), image_size=512)

DIFFUSION_UNETS = {
    #                        what differs from diffusion_unet()'s defaults                         trainable parameters, paper
    "ddpm_28":               Row(dict(width=32, multipliers=(1, 2, 2), input_shape=(28, 28, 1)),     1_623_169, diffusion_unet, DDPM),
    "ddpm_cifar10":          Row(dict(dropout=0.1),                                                 35_746_307, diffusion_unet, DDPM),
    "ddpm_256":              Row(dict(multipliers=(1, 1, 2, 2, 4, 4), attention_strides=(16,), image_size=256),
                                                                                                   113_673_219, diffusion_unet, DDPM),
    "improved_ddpm_cifar10": Row(dict(depth=3, attention_strides=(2, 4), num_heads=4, dropout=0.3, **SIGMA),
                                                                                                    52_546_438, diffusion_unet, IMPROVED),
    "adm_64":                Row(dict(width=192, multipliers=(1, 2, 3, 4), depth=3, attention_strides=(2, 4, 8), dropout=0.1, image_size=64,
                                      **ADM),                                                      295_904_454, diffusion_unet, GUIDED),
    "adm_128":               Row(dict(width=256, multipliers=(1, 1, 2, 3, 4), attention_strides=(4, 8, 16), image_size=128,
                                      **{**ADM, "head_channels": None, "num_heads": 4}),           421_529_606, diffusion_unet, GUIDED),
    "adm_256":               Row(dict(**ADM_256, **ADM),                                           553_838_086, diffusion_unet, GUIDED),
    "adm_256_uncond":        Row(dict(**ADM_256, **{**ADM, "classes": None}),                      552_814_086, diffusion_unet, GUIDED),
    "adm_512":               Row(dict(**ADM_512, **ADM),                                           558_997_638, diffusion_unet, GUIDED),
}  # fmt: skip
