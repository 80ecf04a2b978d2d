"""U-Nets on any encoder of the zoo: its maps on the way down, and a decoder that joins them one after the other on the way up."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet.layers import Conv2D, DecoderBlock
from keras_resnet.layers.configured import check_count, get_activation, is_count
from keras_resnet.layers.decoder_block import check_decoder
from keras_resnet.models.features import features
from keras_resnet.models.functional import Network

WIDTHS = (256, 128, 64, 32, 16)


def unet(
    encoder: keras.Model,
    depth: int = 5,
    widths: Sequence[int] | None = None,
    upsampling: str = "nearest",
    attention: str | None = None,
    dropout: float = 0.0,
    norm: str | None = "batch",
    norm_momentum: float = 0.9,
    norm_epsilon: float = 1e-5,
    activation: Any = "relu",
    classes: int = 1,
    classifier_activation: Any = None,
    name: str = "unet",
) -> keras.Model:
    """A U-Net on an encoder, for images of any size: the output has the image's height and width.

    ```
    image -- stem (/2) -- stage1 (/4) -- stage2 (/8) -- stage3 (/16) -- stage4 (/32)
      |         |             |              |              |             |
     up5 ----- up4 --------- up3 ---------- up2 ---------- up1 -----------/
      |
    head: conv 3x3, classes
    ```

    Args:
        encoder: a network of the zoo without top, for images of open size or of one. Data format and dtype are its own.
        depth: how many of the encoder's maps are used, 3 to 5 in networks of four stages; what lies deeper is left out.
        widths: channels of the decoder's blocks, from the deepest; `None` for as many of (256, 128, 64, 32, 16) as the depth.
        upsampling, attention, dropout, norm, norm_momentum, norm_epsilon, activation: as in `layers.DecoderBlock`.
        classes: number of outputs for each pixel.
        classifier_activation: `None` for logits, `"softmax"`, or `"sigmoid"`.
        name: of the model.

    Returns:
        A `keras.Model` from `(n, height, width, channels)` to `(n, height, width, classes)`, or channels first.

    Raises:
        ValueError: at an argument outside what is listed; nothing is built then.

    Source: Ronneberger et al. 2015, arXiv:1505.04597; layout and weights of segmentation_models.pytorch's `Unet`, which leaves the size
    open in the same way: each block enlarges to the size of the map that it joins.
    """
    maps = _maps(encoder, depth)
    widths = _widths(widths, len(maps))
    check_decoder(upsampling, attention, dropout, norm, norm_momentum, norm_epsilon)
    shared = _shared(encoder, upsampling, attention, dropout, norm, norm_momentum, norm_epsilon, activation)
    x, *skips = reversed(maps)
    for place, (width, skip) in enumerate(zip(widths, [*skips, encoder.inputs[0]], strict=True), start=1):
        x = DecoderBlock(width, joins=place < len(widths), name=f"up{place}", **shared)([x, skip])
    return _finished(encoder, x, classes, classifier_activation, name)


def unet_plus_plus(
    encoder: keras.Model,
    depth: int = 5,
    widths: Sequence[int] | None = None,
    upsampling: str = "nearest",
    attention: str | None = None,
    dropout: float = 0.0,
    norm: str | None = "batch",
    norm_momentum: float = 0.9,
    norm_epsilon: float = 1e-5,
    activation: Any = "relu",
    classes: int = 1,
    classifier_activation: Any = None,
    name: str = "unet_plus_plus",
) -> keras.Model:
    """A U-Net whose skips are dense: each map is joined with all that were made at its size, and with the enlarged one below.

    Args: as `unet`'s. The dense skips have the encoder's channels.

    Returns:
        A `keras.Model` from `(n, height, width, channels)` to `(n, height, width, classes)`, or channels first.

    Raises:
        ValueError: at an argument outside what is listed; nothing is built then.

    Source: Zhou et al. 2018, arXiv:1807.10165; layout and weights of segmentation_models.pytorch's `UnetPlusPlus`.
    """
    maps = _maps(encoder, depth)
    widths = _widths(widths, len(maps))
    check_decoder(upsampling, attention, dropout, norm, norm_momentum, norm_epsilon)
    shared = _shared(encoder, upsampling, attention, dropout, norm, norm_momentum, norm_epsilon, activation)
    axis = 1 if shared["data_format"] == "channels_first" else -1
    deep, *skips = reversed(maps)
    rows = [deep, *skips]
    made: dict[tuple[int, int], Any] = {}
    last = len(widths) - 1
    for step in range(last):
        for start in range(last - step):
            end = start + step  # block x_start_end makes a map of the size of rows[end + 1]
            below = rows[start] if step == 0 else made[start, end - 1]
            joined = [made[place, end] for place in range(start + 1, end + 1)] + [rows[end + 1]]
            width = widths[end] if start == 0 else rows[end + 1].shape[axis]
            made[start, end] = DecoderBlock(width, name=f"x_{start}_{end}", **shared)([below, *joined])
    x = DecoderBlock(widths[last], joins=False, name=f"x_0_{last}", **shared)([made[0, last - 1], encoder.inputs[0]])
    return _finished(encoder, x, classes, classifier_activation, name)


def _maps(encoder: Any, depth: Any) -> list:
    """The encoder's maps that are used, from the largest. Raises where there are fewer, or where they do not halve."""
    if not isinstance(encoder, keras.Model):
        raise ValueError(f"`encoder` must be a keras.Model, a network of keras_resnet without top. Received: {type(encoder).__name__}.")
    maps = list(features(encoder, stem=True).values())
    check_count("depth", depth)
    if not 2 <= depth <= len(maps):
        raise ValueError(f"`depth` must be from 2 to the {len(maps)} maps that {encoder.name!r} has. Received: depth={depth}.")
    return maps[:depth]


def _widths(widths: Any, count: int) -> tuple[int, ...]:
    found = (WIDTHS if count <= len(WIDTHS) else ())[:count] if widths is None else widths
    if not isinstance(found, (tuple, list)) or len(found) != count or not all(map(is_count, found)):
        raise ValueError(f"`widths` must hold {count} integers of at least 1, one for each map of the depth. Received: widths={widths!r}.")
    return tuple(found)


def _shared(encoder: keras.Model, *settings: Any) -> dict[str, Any]:
    """Settings of each decoder block: those passed, and the encoder's own format and type."""
    names = ("upsampling", "attention", "dropout", "norm", "norm_momentum", "norm_epsilon", "activation")
    stem = encoder.get_layer("stem")
    return dict(zip(names, settings, strict=True), data_format=stem.data_format, dtype=stem.dtype_policy)


def _finished(encoder: keras.Model, x: Any, classes: int, classifier_activation: Any, name: str) -> keras.Model:
    check_count("classes", classes)
    if classifier_activation is not None:
        classifier_activation = get_activation("classifier_activation", classifier_activation)
    stem = encoder.get_layer("stem")
    x = Conv2D(
        classes,
        3,
        padding=1,
        activation=classifier_activation,
        kernel_initializer="glorot_uniform",
        data_format=stem.data_format,
        dtype=stem.dtype_policy.variable_dtype,
        name="head",
    )(x)
    return Network(encoder.inputs[0], x, name=name)
