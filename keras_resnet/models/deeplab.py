"""DeepLabV3+: a dilated encoder, its last map seen through windows of several sizes, and joined with an early one."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet.layers import AtrousPyramid, DeepLabDecoder
from keras_resnet.layers.configured import check_choice, check_count
from keras_resnet.layers.normalization import check_norm
from keras_resnet.layers.upsample_to import METHODS
from keras_resnet.models.encoder_maps import encoder_form, encoder_maps
from keras_resnet.models.pixel_head import check_head, pixel_head, to_size_of


def deeplab_v3_plus(
    encoder: keras.Model,
    depth: int = 5,
    width: int = 256,
    early_width: int = 48,
    rates: Sequence[int] = (12, 24, 36),
    upsampling: str = "aligned",
    dropout: float = 0.5,
    norm: str | None = "batch",
    norm_momentum: float = 0.9,
    norm_epsilon: float = 1e-5,
    activation: Any = "relu",
    classes: int = 1,
    classifier_activation: Any = None,
    name: str = "deeplab_v3_plus",
) -> keras.Model:
    """DeepLabV3+ on an encoder, for images of any size: the output has the image's height and width.

    A batch of one image has one mean of a map, and no variance to learn: training leaves those statistics as they are then.

    ```
    stage1 (/4) ----------------------------------------------------- conv 1x1, 48 -- concat -- separable conv -- conv 1x1, classes
      |                                                                                  |                             |
    stage4 (/16, dilated) -- atrous pyramid -- separable conv -- enlarge ----------------/                          enlarge
    ```

    Args:
        encoder: a network of the zoo without top, for images of open size or of one, best built with `output_stride=16` or `8`;
            `dilates_first=True`, which a named one gets, is segmentation_models.pytorch's way to dilate, `False` torchvision's. Data
            format and dtype are its own.
        depth: how many of the encoder's maps there are, the stem's included, at least 3; what lies deeper is left out.
        width: channels of the pyramid and of the convolutions behind it.
        early_width: channels of the early map when it is joined.
        rates: dilation of the pyramid's convolutions, (12, 24, 36) at `output_stride=16` or 8 in segmentation_models.pytorch,
            (6, 12, 18) at 16 in the paper.
        upsampling: `"aligned"`, bilinear with the outermost pixels' centres in the same places before and behind,
            segmentation_models.pytorch's way; `"bilinear"`, by the distance of the pixels' centres; or `"nearest"`.
        dropout: share of the pyramid's numbers that training sets to zero, from 0 to below 1.
        norm, norm_momentum, norm_epsilon, activation: as in `layers.AtrousPyramid`.
        classes: number of outputs for each pixel.
        classifier_activation: `None` for logits, `"softmax"`, or `"sigmoid"`.
        name: of the model.

    Returns:
        A `keras.Model` from `(n, height, width, channels)` to `(n, height, width, classes)`, or channels first.

    Raises:
        ValueError: at an argument outside what is listed; nothing is built then.

    Source: Chen et al. 2018, arXiv:1802.02611. Layout and weights of segmentation_models.pytorch's `DeepLabV3Plus`; here each map is
    enlarged to the very size of what it meets, so that any image will do.
    """
    check_head(classes, classifier_activation)
    maps = encoder_maps(encoder, depth, least=3)
    check_count("width", width)
    check_count("early_width", early_width)
    check_choice("upsampling", upsampling, METHODS)
    check_norm(norm, norm_momentum, norm_epsilon)
    form = encoder_form(encoder)
    settings = dict(norm=norm, norm_momentum=norm_momentum, norm_epsilon=norm_epsilon, activation=activation, **form)
    (image,) = encoder.inputs
    x = AtrousPyramid(width, rates, dropout, name="pyramid", **settings)(maps[-1])
    x = DeepLabDecoder(width, early_width, upsampling, name="decoder", **settings)([x, maps[1]])
    head: dict = dict(classes=classes, classifier_activation=classifier_activation, name=name, **form)
    return pixel_head(image, [(x, to_size_of(image, upsampling))], kernel_size=1, **head)
