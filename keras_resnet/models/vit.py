"""Vision transformers: a sequence of patches, or of a residual network's vectors, and blocks of attention and perceptron."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet.backend import geometry
from keras_resnet.layers import (
    Bottleneck,
    ClassToken,
    LayerNormalization,
    MaxPooling2D,
    PatchStem,
    Stem,
    TokenMap,
    Tokens,
    TransformerBlock,
)
from keras_resnet.layers.configured import check_count, check_number, is_count
from keras_resnet.models import network
from keras_resnet.models.row import Row


def vit(
    dim: int = 768,
    depths: Sequence[int] = (3, 3, 3, 3),
    num_heads: int = 12,
    patch_size: int = 16,
    backbone_depths: Sequence[int] = (),
    position_grid: tuple[int, int] = (14, 14),
    mlp_ratio: float = 4,
    pre_norm: bool = True,
    norm_epsilon: float = 1e-6,
    activation: Any = "gelu",
    qkv_bias: bool = True,
    dropout: float = 0.0,
    attention_dropout: float = 0.0,
    layer_scale: float | None = None,
    residual_scale: float | str = 1.0,
    stochastic_depth: float = 0.0,
    remat: bool = False,
    data_format: str | None = None,
    dtype: Any = None,
    include_top: bool = True,
    input_tensor: Any = None,
    input_shape: Sequence | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "vit",
) -> keras.Model:
    """Builds a vision transformer of any depth and width; the defaults are ViT-B/16.

    ```
    image -- stem: patches 16x16 (/16) -- tokens -- stage1 ... stage4, 3 blocks each -- norm -- class token -- dense
    image -- stem: conv 7x7, 64, /2 -- max 3x3, /2 -- stage1 (/4) ... stage3 (/16) -- patches 1x1 -- tokens -- stage4 ...     hybrid
    ```

    Images of any size from one patch on: what the patches do not divide is padded by zeros at the bottom and right, and the position
    embeddings are resized. All stages of a transformer have the same size; there are four so that `features` gives four maps.

    Args:
        dim: channels of a token.
        depths: blocks in each stage.
        num_heads: of the attention; `dim` must be a multiple of it.
        patch_size: pixels a side of a patch, of the image or of the backbone's map.
        backbone_depths: bottlenecks in each stage of a residual network in front, such as (3, 4, 9): with standardized convolutions,
            group normalization and TensorFlow's padding. The transformer's stages are counted on from there.
        position_grid: height and width in patches of the images whose position embeddings are learned: 14 for 224 pixels.
        mlp_ratio, pre_norm, norm_epsilon, activation, qkv_bias, attention_dropout, layer_scale, residual_scale, remat: as in
            `layers.TransformerBlock`; without `pre_norm` no norm stands behind the last block.
        dropout: as there, and of the tokens that enter the first block.
        stochastic_depth: share of the last block's samples that skip its branches in training; earlier blocks' shares grow to it
            from 0.
        data_format: `"channels_last"`, `"channels_first"`, or `None` for Keras's setting.
        dtype: dtype policy, such as `"mixed_bfloat16"`; `None` for Keras's setting. The head stays in the variables' type.
        include_top: whether to end in class token and classifier, or in the map of the other tokens, normalized.
        input_tensor: a KerasTensor to build on.
        input_shape: without the batch; any number of channels, `patch_size` pixels or more or `None`. Default (224, 224, 3), without
            top (None, None, 3).
        pooling: without top: `None` (the map), `"avg"` or `"max"`.
        classes: number of outputs.
        classifier_activation: `"softmax"`, or `None` for logits.
        name: of the model.

    Returns:
        A `keras.Model` from `(n, height, width, channels)` to `(n, classes)`.

    Raises:
        ValueError: at an argument outside what is listed; nothing is built then.

    Source: Dosovitskiy et al. 2020, arXiv:2010.11929, table 1, hybrid in section 3.1; tiny and small Touvron et
    al. 2020, arXiv:2012.12877, table 1.
    """
    for argument, value in (("dim", dim), ("patch_size", patch_size), ("num_heads", num_heads)):
        check_count(argument, value)
    for argument, stages, least in (("depths", depths, 1), ("backbone_depths", backbone_depths, 0)):
        if not isinstance(stages, (tuple, list)) or len(stages) < least or not all(map(is_count, stages)):
            raise ValueError(f"`{argument}` must hold an integer of at least 1 for each stage. Received: {argument}={stages!r}.")
    if dim % num_heads:
        raise ValueError(f"`dim` must be a multiple of `num_heads`. Received: {dim=}, {num_heads=}.")
    check_number("stochastic_depth", stochastic_depth, 0, 1)
    position_grid = geometry.pair(position_grid, "position_grid", least=1)
    data_format = geometry.standardize_data_format(data_format, keras.config.image_data_format())
    maps = dict(data_format=data_format, dtype=dtype)

    def body(x: Any) -> Any:
        if backbone_depths:
            x = _backbone(x, backbone_depths, remat, maps)
        image_map = PatchStem(dim, patch_size, name="patches" if backbone_depths else "stem", **maps)(x)
        x = Tokens(position_grid, dropout, name="tokens", **maps)(image_map)
        index, count = 0, sum(depths)
        for stage, depth in enumerate(depths, start=1 + len(backbone_depths)):
            for place in range(1, depth + 1):
                x = TransformerBlock(
                    num_heads,
                    mlp_ratio,
                    pre_norm,
                    norm_epsilon,
                    activation,
                    qkv_bias,
                    dropout,
                    attention_dropout,
                    stochastic_depth * index / max(count - 1, 1),
                    layer_scale,
                    residual_scale,
                    num_blocks=count,
                    remat=remat,
                    dtype=dtype,
                    name=f"stage{stage}_block{place}",
                )(x)
                index += 1
        if pre_norm:
            x = LayerNormalization(norm_epsilon, dtype=dtype, name="norm")(x)
        return ClassToken(dtype=dtype, name="pool")(x) if include_top else TokenMap(name="map", **maps)([x, image_map])

    return network.classifier(
        body,
        size=224,
        include_top=include_top,
        input_tensor=input_tensor,
        input_shape=input_shape,
        pooling=pooling,
        classes=classes,
        classifier_activation=classifier_activation,
        data_format=data_format,
        dtype=dtype,
        name=name,
    )


def _backbone(x: Any, depths: Sequence[int], remat: bool, maps: dict) -> Any:
    """The stem and the stages of a ResNet-50 as Big Transfer has them, but with activations behind the sums."""
    settings = dict(norm="group", conv="standardized", padding="same", **maps)
    x = Stem(64, 7, 2, minimum_size=2 ** (len(depths) + 1), name="stem", **settings)(x)
    x = MaxPooling2D(3, 2, padding="same", name="stem_pool", **maps)(x)
    widths = [64 * 2**i for i in range(len(depths))]
    strides = network.stage_strides(depths)
    return network.stages(
        x, Bottleneck, depths, widths, strides, output_stride=2 ** (len(depths) + 1), stride_so_far=4, remat=remat, **settings
    )


DATA_EFFICIENT, VISION = "2012.12877", "2010.11929"
PATCH32: dict[str, Any] = dict(patch_size=32, position_grid=(7, 7))
LARGE: dict[str, Any] = dict(dim=1024, num_heads=16, depths=(6, 6, 6, 6))

VITS = {
    #                         what differs from vit()'s defaults                                  trainable parameters, paper
    "vit_tiny_patch16_224":  Row(dict(dim=192, num_heads=3),                                        5_717_416, vit, DATA_EFFICIENT),
    "vit_small_patch16_224": Row(dict(dim=384, num_heads=6),                                       22_050_664, vit, DATA_EFFICIENT),
    "vit_small_patch32_224": Row(dict(dim=384, num_heads=6, **PATCH32),                            22_878_952, vit, DATA_EFFICIENT),
    "vit_base_patch16_224":  Row(dict(),                                                           86_567_656, vit, VISION),
    "vit_base_patch32_224":  Row(dict(**PATCH32),                                                  88_224_232, vit, VISION),
    "vit_large_patch16_224": Row(dict(**LARGE),                                                   304_326_632, vit, VISION),
    "vit_large_patch32_224": Row(dict(**LARGE, **PATCH32),                                        306_535_400, vit, VISION),
    "vit_base_r50_s16_224":  Row(dict(depths=(12,), patch_size=1, backbone_depths=(3, 4, 9)),      98_659_112, vit, VISION),
}  # fmt: skip
