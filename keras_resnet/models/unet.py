"""U-Nets on any encoder of the zoo: its maps on the way down, and a decoder that joins them one after the other on the way up."""

import itertools
from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet.layers import DecoderBlock
from keras_resnet.layers.configured import check_flag, is_count
from keras_resnet.layers.decoder_block import check_decoder
from keras_resnet.models.encoder_maps import encoder_form, encoder_maps
from keras_resnet.models.features import feature_info
from keras_resnet.models.pixel_head import check_head, pixel_head, to_size_of

WIDTHS = (256, 128, 64, 32, 16)


def unet(
    encoder: keras.Model,
    depth: int = 5,
    widths: Sequence[int] | None = None,
    upsampling: str = "nearest",
    merge: str = "concat",
    attention: str | None = None,
    dropout: float = 0.0,
    norm: str | None = "batch",
    norm_momentum: float = 0.9,
    norm_epsilon: float = 1e-5,
    activation: Any = "relu",
    deep_supervision: bool = False,
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
        depth: how many of the encoder's maps are used, 2 to 5 in networks of four stages; what lies deeper is left out.
        widths: channels of the decoder's blocks, from the deepest; `None` for as many of (256, 128, 64, 32, 16) as the depth.
        upsampling, merge, attention, dropout, norm, norm_momentum, norm_epsilon, activation: as in `layers.DecoderBlock`.
        deep_supervision: whether the maps on the way up get heads too: the output is then `{"out": ..., "aux1": ..., "aux2": ...}`, from
            the largest map, each enlarged to the image's size. `learning.deep_supervision` weighs their losses, and
            `inference_model` leaves `"out"` alone.
        classes: number of outputs for each pixel.
        classifier_activation: `None` for logits, `"softmax"`, or `"sigmoid"`.
        name: of the model.

    Returns:
        A `keras.Model` from `(n, height, width, channels)` to `(n, height, width, classes)`, or channels first; with `deep_supervision`
        to a dictionary of those.

    Raises:
        ValueError: at an argument outside what is listed; nothing is built then.

    Source: Ronneberger et al. 2015, arXiv:1505.04597; layout and weights of segmentation_models.pytorch's `Unet`, which leaves the size
    open in the same way: each block enlarges to the size of the map that it joins. Kernels start normal, there uniform, of He's variance.
    """
    check_head(classes, classifier_activation)
    maps = encoder_maps(encoder, depth)
    widths = _widths(widths, len(maps))
    check_decoder(upsampling, merge, attention, dropout, norm, norm_momentum, norm_epsilon)
    check_flag("deep_supervision", deep_supervision)
    shared = _shared(encoder, upsampling, merge, attention, dropout, norm, norm_momentum, norm_epsilon, activation)
    (image,) = encoder.inputs
    x, *skips = reversed(maps)
    made, steps = [], _steps(encoder, len(maps))
    for place, (width, skip) in enumerate(zip(widths, [*skips, image], strict=True), start=1):
        x = DecoderBlock(width, joins=place < len(widths), strides=steps[-place], name=f"up{place}", **shared)([x, skip])
        made.append(x)
    head: dict = dict(classes=classes, classifier_activation=classifier_activation, name=name, **encoder_form(encoder))
    sides = [(one, to_size_of(image)) for one in made[-2::-1]]
    return pixel_head(image, [(x, None), *sides], deep_supervision=deep_supervision, **head)


def unet_plus_plus(
    encoder: keras.Model,
    depth: int = 5,
    widths: Sequence[int] | None = None,
    upsampling: str = "nearest",
    merge: str = "concat",
    attention: str | None = None,
    dropout: float = 0.0,
    norm: str | None = "batch",
    norm_momentum: float = 0.9,
    norm_epsilon: float = 1e-5,
    activation: Any = "relu",
    deep_supervision: bool = False,
    classes: int = 1,
    classifier_activation: Any = None,
    name: str = "unet_plus_plus",
) -> keras.Model:
    """A U-Net whose skips are dense: each map is joined with all that were made at its size, and with the enlarged one below.

    Args: as `unet`'s. The dense skips have the encoder's channels.

    Returns:
        A `keras.Model` from `(n, height, width, channels)` to `(n, height, width, classes)`, or channels first; with `deep_supervision`
        to a dictionary of those.

    Raises:
        ValueError: at an argument outside what is listed; nothing is built then.

    Source: Zhou et al. 2018, arXiv:1807.10165; layout and weights of segmentation_models.pytorch's `UnetPlusPlus`.
    """
    check_head(classes, classifier_activation)
    maps = encoder_maps(encoder, depth)
    widths = _widths(widths, len(maps))
    check_decoder(upsampling, merge, attention, dropout, norm, norm_momentum, norm_epsilon)
    check_flag("deep_supervision", deep_supervision)
    shared = _shared(encoder, upsampling, merge, attention, dropout, norm, norm_momentum, norm_epsilon, activation)
    axis = 1 if shared["data_format"] == "channels_first" else -1
    (image,) = encoder.inputs
    rows = maps[::-1]
    made: dict[tuple[int, int], Any] = {}
    last, steps = len(widths) - 1, _steps(encoder, len(maps))
    for step in range(last):
        for start in range(last - step):
            end = start + step  # block x_start_end makes a map of the size of rows[end + 1]
            below = rows[start] if step == 0 else made[start, end - 1]
            joined = [made[place, end] for place in range(start + 1, end + 1)] + [rows[end + 1]]
            width = widths[end] if start == 0 else rows[end + 1].shape[axis]
            made[start, end] = DecoderBlock(width, strides=steps[-1 - end], name=f"x_{start}_{end}", **shared)([below, *joined])
    x = DecoderBlock(widths[last], joins=False, strides=steps[0], name=f"x_0_{last}", **shared)([made[0, last - 1], image])
    head: dict = dict(classes=classes, classifier_activation=classifier_activation, name=name, **encoder_form(encoder))
    # All that was made at the size of the stem's map, of which each stands for a U-Net one level less deep.
    sides = [(made[start, last - 1], to_size_of(image)) for start in range(last)]
    return pixel_head(image, [(x, None), *sides], deep_supervision=deep_supervision, **head)


def _widths(widths: Any, count: int) -> tuple[int, ...]:
    found = (WIDTHS if count <= len(WIDTHS) else ())[:count] if widths is None else widths
    if not isinstance(found, (tuple, list)) or len(found) != count or not all(map(is_count, found)):
        raise ValueError(f"`widths` must hold {count} integers of at least 1, one for each map of the depth. Received: widths={widths!r}.")
    return tuple(found)


def _steps(encoder: keras.Model, count: int) -> list[int]:
    """How many times as large what each map is joined with is: the image for the first, then the map before it."""
    strides = [1, *(info.stride for info in feature_info(encoder).values())][: count + 1]
    return [after // before for before, after in itertools.pairwise(strides)]


def _shared(encoder: keras.Model, *settings: Any) -> dict[str, Any]:
    """Settings of each decoder block: those passed, and the encoder's own format and type."""
    names = ("upsampling", "merge", "attention", "dropout", "norm", "norm_momentum", "norm_epsilon", "activation")
    return {**dict(zip(names, settings, strict=True)), **encoder_form(encoder)}
