"""UNet 3+: each step of the way up reads the maps of every scale."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet.backend import geometry
from keras_resnet.layers import Conv2D, ConvStack, FullScaleBlock, HeNormal, MaxPooling2D, PresenceGate
from keras_resnet.layers.configured import check_choice, check_count, check_flag, check_number, is_count
from keras_resnet.layers.full_scale_block import UPSAMPLINGS
from keras_resnet.layers.normalization import check_norm
from keras_resnet.models.functional import Network
from keras_resnet.models.network import check_dtype, image_input
from keras_resnet.models.pixel_head import pixel_head, to_size_of
from keras_resnet.models.row import Row


def unet3plus(
    widths: Sequence[int] = (64, 128, 256, 512, 1024),
    skip_width: int = 64,
    deep_supervision: bool = False,
    guided: bool = False,
    upsampling: str = "bilinear",
    norm: str | None = "batch",
    norm_momentum: float = 0.9,
    norm_epsilon: float = 1e-5,
    activation: Any = "relu",
    use_bias: bool | None = True,
    dropout: float = 0.0,
    remat: bool = False,
    data_format: str | None = None,
    dtype: Any = None,
    input_shape: Sequence | None = None,
    classes: int = 1,
    classifier_activation: Any = None,
    name: str = "unet3plus",
) -> keras.Model:
    """A U-Net with skips of every scale, for images of any size: the output has the image's height and width.

    ```
    image -- down1 (/1) -- down2 (/2) -- down3 (/4) -- down4 (/8) -- down5 (/16)
               |             |             |             |             |
    head ---- up1 --------- up2 --------- up3 --------- up4 -----------/
    ```

    `down` is twice conv 3x3, norm and relu; `up` joins the maps of all scales, made on the way up where there is one, else on the way down.

    Args:
        widths: channels on the way down, one a scale.
        skip_width: channels that each map is brought to where it is joined; a map of the way up has as many for each scale.
        deep_supervision: whether the maps of all scales have heads, whose logits are enlarged to the image's size.
        guided: whether the deepest map also says if the image shows anything but background, and empties the outputs where it does not:
            `layers.PresenceGate`.
        upsampling: `"bilinear"` or `"nearest"`, to the very size of the map that is joined.
        norm, norm_momentum, norm_epsilon, activation: as in `layers.DecoderBlock`.
        use_bias: whether the convolutions in front of a norm have a bias, which the authors' have; `None` where there is no norm.
        dropout: share of the numbers behind the two deepest scales of the way down that training sets to zero, from 0 to below 1.
        remat: whether training recomputes each step of the way down and, as in `layers.FullScaleBlock`, of the way up in the backward pass:
            memory for time.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.
        dtype: dtype policy, such as `"mixed_bfloat16"`; `None` for Keras's setting. Heads stay in the variables' type.
        input_shape: of the images without the batch; any number of channels; height and width may be `None`. Default (None, None, 3).
        classes: number of outputs for each pixel.
        classifier_activation: `None` for logits, `"softmax"`, or `"sigmoid"`.
        name: of the model.

    Returns:
        A `keras.Model` from `(n, height, width, channels)` to `(n, height, width, classes)`, or channels first. With `deep_supervision` to
        a dict of such: `"out"` for inference, `"aux1"` of up2, `"aux2"` of up3, and so on to the deepest map's. With `guided` to a dict
        with `"presence"`, too: `(n, 2)`, two sigmoids, of nothing and of something.

    Raises:
        ValueError: at an argument outside what is listed; nothing is built then.

    Source: Huang et al. 2020, arXiv:2004.08790. The authors' images have sides that divide by 16; at others an odd side is rounded up
    where it is halved. Where `guided` says that there is nothing, the authors' code multiplies the logits by zero and the paper the
    outputs: here it is the outputs, so that probabilities are 0 there; logits of 0 say nothing, so give a `classifier_activation`.
    """
    if not isinstance(widths, (tuple, list)) or len(widths) < 2 or not all(map(is_count, widths)):
        raise ValueError(f"`widths` must hold two integers of at least 1, or more, one for each scale. Received: widths={widths!r}.")
    check_count("skip_width", skip_width)
    check_flag("deep_supervision", deep_supervision)
    check_flag("guided", guided)
    check_number("dropout", dropout, 0, 1)
    check_flag("remat", remat)
    check_choice("upsampling", upsampling, UPSAMPLINGS)
    check_choice("use_bias", use_bias, (True, False, None))
    check_norm(norm, norm_momentum, norm_epsilon)
    data_format = geometry.standardize_data_format(data_format, keras.config.image_data_format())
    formats: dict[str, Any] = dict(data_format=data_format, dtype=dtype)
    norms = dict(norm=norm, norm_momentum=norm_momentum, norm_epsilon=norm_epsilon, activation=activation, use_bias=use_bias, **formats)

    check_dtype(dtype)

    x = image = image_input(None, input_shape, None, data_format)
    maps: list = []
    for scale, width in enumerate(widths, start=1):
        x = MaxPooling2D(2, padding="same", name=f"down{scale}_pool", **formats)(x) if maps else image
        drops = dropout if scale >= len(widths) - 1 else 0.0
        x = ConvStack((width, width), dropout=drops, remat=remat, name=f"down{scale}", **norms)(x)
        maps.append(x)
    for scale in range(len(widths) - 1, 0, -1):
        maps[scale - 1] = FullScaleBlock(skip_width, scale, upsampling, remat=remat, name=f"up{scale}", **norms)(maps)
    model = pixel_head(
        image,
        [(maps[0], None), *((x, to_size_of(image)) for x in maps[1:])],
        classes=classes,
        classifier_activation=classifier_activation,
        deep_supervision=deep_supervision,
        name=name,
        **formats,
    )
    if not guided:
        return model
    outputs = model.output if deep_supervision else {"out": model.output}
    presence = _presence(maps[-1], formats)
    for key, x in outputs.items():
        outputs[key] = PresenceGate(data_format, dtype=x.dtype, name=f"{key}_gate")([x, presence])
    return Network(image, {**outputs, "presence": presence}, name=name)


def _presence(deepest: Any, formats: dict) -> Any:
    """Two scores an image: whether it shows nothing, or something."""
    x = keras.layers.Dropout(0.5, dtype=formats["dtype"], name="presence_dropout")(deepest)
    x = Conv2D(2, 1, kernel_initializer=HeNormal(mode="fan_in"), name="presence_head", **formats)(x)
    wide = keras.dtype_policies.get(formats["dtype"]).variable_dtype
    x = keras.layers.GlobalMaxPooling2D(data_format=formats["data_format"], dtype=wide, name="presence_pool")(x)
    return keras.layers.Activation("sigmoid", dtype=wide, name="presence")(x)


UNETS3PLUS = {
    #                     what differs from unet3plus()'s defaults              trainable parameters
    "unet3plus":         Row({},                                                26_971_777, unet3plus, "2004.08790"),
    "unet3plus_ds":      Row(dict(deep_supervision=True),                       26_989_637, unet3plus, "2004.08790"),
    "unet3plus_ds_cgm":  Row(dict(deep_supervision=True, guided=True),          26_991_687, unet3plus, "2004.08790"),
}  # fmt: skip
