"""Feature pyramid networks for dense prediction: the encoder's maps, each enriched by the deeper ones, summed at a quarter of the size."""

from typing import Any

import keras

from keras_resnet.layers import ClimbingConvs, Conv2D, HeNormal, LateralSum
from keras_resnet.layers.configured import check_choice, check_count, check_flag, check_number
from keras_resnet.layers.normalization import check_norm
from keras_resnet.layers.upsample_to import METHODS
from keras_resnet.models.encoder_maps import encoder_form, encoder_maps
from keras_resnet.models.pixel_head import check_head, pixel_head, to_size_of


def fpn(
    encoder: keras.Model,
    depth: int = 5,
    pyramid_width: int = 256,
    width: int = 128,
    upsampling: str = "aligned",
    dropout: float = 0.2,
    norm: str | None = "group",
    norm_momentum: float = 0.9,
    norm_epsilon: float = 1e-5,
    activation: Any = "relu",
    deep_supervision: bool = False,
    classes: int = 1,
    classifier_activation: Any = None,
    name: str = "fpn",
) -> keras.Model:
    """A feature pyramid on an encoder, for images of any size: the output has the image's height and width.

    ```
    stage1 (/4)  -- + -- conv ------------------------- + -- [dropout] -- conv 1x1, classes -- enlarge
                    |                                   |
    stage2 (/8)  -- + -- conv, enlarge -----------------|
                    |                                   |
    stage3 (/16) -- + -- conv, enlarge, twice ----------|
                    |                                   |
    stage4 (/32) ------- conv, enlarge, three times ----/
    ```

    Args:
        encoder: a network of the zoo without top, for images of open size or of one. Data format and dtype are its own.
        depth: how many of the encoder's maps are used, the stem's included, at least 3; what lies deeper is left out.
        pyramid_width: channels of the pyramid's maps.
        width: channels of the maps that are summed at the end.
        upsampling: `"aligned"`, bilinear with the outermost pixels' centres in the same places before and behind,
            segmentation_models.pytorch's way; `"bilinear"`, by the distance of the pixels' centres; or `"nearest"`.
        dropout: share of the channels of that sum that training sets to zero, from 0 to below 1.
        norm: `"group"`, `"batch"`, `"instance"`, `"layer"`, or `None`: biases instead; of the convolutions behind the pyramid.
        norm_momentum, norm_epsilon: of the norm.
        activation: any Keras activation, by name or function.
        deep_supervision: whether the pyramid's maps get heads too: the output is then `{"out": ..., "aux1": ..., ...}`, from the largest
            map, each enlarged to the image's size; see `keras_resnet.learning.deep_supervision`.
        classes: number of outputs for each pixel.
        classifier_activation: `None` for logits, `"softmax"`, or `"sigmoid"`.
        name: of the model.

    Returns:
        A `keras.Model` from `(n, height, width, channels)` to `(n, height, width, classes)`, or channels first; with `deep_supervision`
        to a dictionary of those.

    Raises:
        ValueError: at an argument outside what is listed; nothing is built then.

    Source: Lin et al. 2017, arXiv:1612.03144; the branch for dense prediction Kirillov et al. 2019, arXiv:1901.02446, figure 3. Layout
    and weights of segmentation_models.pytorch's `FPN`; here each map is enlarged to the very size of the next, so that any image will do.
    """
    check_head(classes, classifier_activation)
    maps = encoder_maps(encoder, depth, least=3)[1:]
    for argument, value in (("pyramid_width", pyramid_width), ("width", width)):
        check_count(argument, value)
    check_choice("upsampling", upsampling, METHODS)
    check_number("dropout", dropout, 0, 1)
    check_norm(norm, norm_momentum, norm_epsilon)
    check_flag("deep_supervision", deep_supervision)
    form = encoder_form(encoder)
    (image,) = encoder.inputs
    start = HeNormal(scale=1.0, mode="fan_in")
    pyramid = [Conv2D(pyramid_width, 1, kernel_initializer=start, name="deepest", **form)(maps[-1])]
    for place in range(len(maps) - 1, 0, -1):
        pyramid.insert(0, LateralSum(name=f"lateral{place}", **form)([pyramid[0], maps[place - 1]]))
    settings = dict(norm=norm, norm_momentum=norm_momentum, norm_epsilon=norm_epsilon, activation=activation, **form)
    climbed = []
    for place in range(len(maps)):
        larger = pyramid[:place][::-1]
        climbed.append(ClimbingConvs(width, upsampling, name=f"climb{place + 1}", **settings)([pyramid[place], *larger]))
    x = keras.layers.Add(dtype=form["dtype"], name="sum")(climbed)
    if dropout:
        x = keras.layers.SpatialDropout2D(dropout, name="drop", **form)(x)
    head: dict = dict(classes=classes, classifier_activation=classifier_activation, name=name, **form)
    maps = [(one, to_size_of(image, upsampling)) for one in (x, *pyramid)]
    return pixel_head(image, maps, kernel_size=1, deep_supervision=deep_supervision, **head)
