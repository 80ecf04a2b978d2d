"""Vision transformers: a sequence of patches, and blocks whose residual branches are attention and a perceptron."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_resnet.backend import geometry
from keras_resnet.layers import ClassToken, LayerNormalization, PatchStem, TokenMap, Tokens, TransformerBlock
from keras_resnet.layers.configured import check_count, check_number, is_count
from keras_resnet.models import network
from keras_resnet.models.row import Row


def vit(
    dim: int = 768,
    depths: Sequence[int] = (3, 3, 3, 3),
    num_heads: int = 12,
    patch_size: int = 16,
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
    ```

    Images of any size from one patch on: what the patches do not divide is padded by zeros at the bottom and right, and the position
    embeddings are resized. All stages have the same size; there are four so that `features` gives four maps.

    Args:
        dim: channels of a token.
        depths: blocks in each stage.
        num_heads: of the attention; `dim` must be a multiple of it.
        patch_size: pixels a side of a patch.
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

    Source: Dosovitskiy et al. 2020, arXiv:2010.11929, table 1; tiny and small Touvron et al. 2020, arXiv:2012.12877, table 1.
    """
    for argument, value in (("dim", dim), ("patch_size", patch_size), ("num_heads", num_heads)):
        check_count(argument, value)
    if not isinstance(depths, (tuple, list)) or not depths or not all(map(is_count, depths)):
        raise ValueError(f"`depths` must hold an integer of at least 1 for each stage. Received: {depths=}.")
    if dim % num_heads:
        raise ValueError(f"`dim` must be a multiple of `num_heads`. Received: {dim=}, {num_heads=}.")
    check_number("stochastic_depth", stochastic_depth, 0, 1)
    position_grid = geometry.pair(position_grid, "position_grid", least=1)
    data_format = geometry.standardize_data_format(data_format, keras.config.image_data_format())
    maps = dict(data_format=data_format, dtype=dtype)

    def body(x: Any) -> Any:
        image_map = PatchStem(dim, patch_size, name="stem", **maps)(x)
        x = Tokens(position_grid, dropout, name="tokens", **maps)(image_map)
        index, count = 0, sum(depths)
        for stage, depth in enumerate(depths, start=1):
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


VITS = {
    #                         what differs from vit()'s defaults           trainable parameters
    "vit_tiny_patch16_224":  Row(dict(dim=192, num_heads=3),               params=5_717_416, builder=vit, paper="2012.12877"),
    "vit_small_patch16_224": Row(dict(dim=384, num_heads=6),               params=22_050_664, builder=vit, paper="2012.12877"),
    "vit_base_patch16_224":  Row(dict(dim=768, num_heads=12),              params=86_567_656, builder=vit, paper="2010.11929"),
}  # fmt: skip
