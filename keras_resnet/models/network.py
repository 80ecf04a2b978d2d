"""What all networks for classification share: their input, stages of blocks, a head, and the checks of arguments."""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import keras

from keras_resnet.layers import GlobalAveragePooling2D, HeNormal, Residual, Stem
from keras_resnet.layers.configured import check_choice, check_count, check_flag, check_number, get_activation, is_count
from keras_resnet.models.functional import Network
from keras_resnet.models.image_shape import standardize_shape

POOLINGS = (None, "avg", "max")


def classifier(
    body: Callable[[Any], Any],
    size: int,
    *,
    include_top: bool,
    input_tensor: Any,
    input_shape: Sequence | None,
    pooling: str | None,
    classes: int,
    classifier_activation: Any,
    data_format: str,
    dtype: Any,
    name: str,
) -> keras.Model:
    """The model image -> `body` -> head, behind the mean where the body ends in a map.

    `size` is the height and width in pixels that the network was published with.
    """
    if pooling not in POOLINGS:
        raise ValueError(f"`pooling` must be None, 'avg' or 'max'. Received: pooling={pooling!r}.")
    check_flag("include_top", include_top)
    check_dtype(dtype)
    if include_top and not is_count(classes):
        raise ValueError(
            f"`classes` is the number of outputs, an integer of at least 1; for none pass include_top=False. Received: classes={classes!r}."
        )
    image = image_input(input_tensor, input_shape, size if include_top else None, data_format)
    if classifier_activation is not None and include_top:
        classifier_activation = get_activation("classifier_activation", classifier_activation)
    x = body(image)
    is_map = len(x.shape) == 4  # or a vector: a transformer's class token
    if is_map and (include_top or pooling == "avg"):
        x = GlobalAveragePooling2D(data_format=data_format, dtype=dtype, name="pool")(x)
    elif is_map and pooling == "max":
        x = keras.layers.GlobalMaxPooling2D(data_format=data_format, dtype=dtype, name="pool")(x)
    if include_top:
        # In float32 also under a mixed policy: it is 0.05 % of the arithmetic, and probabilities need the bits.
        wide = keras.dtype_policies.get(dtype).variable_dtype
        start = HeNormal(scale=1 / 3, mode="fan_in", distribution="uniform")  # how PyTorch starts it, and the published recipes with it
        x = keras.layers.Dense(
            operator.index(classes), activation=classifier_activation, kernel_initializer=start, dtype=wide, name="head"
        )(x)
    sources = keras.utils.get_source_inputs(image)
    return Network(sources[0] if len(sources) == 1 else sources, x, name=name)


def image_input(input_tensor: Any, input_shape: Sequence | None, size: int | None, data_format: str) -> Any:
    """`input_tensor`, or an `Input` of `input_shape` or of the default; its shape is checked."""
    if input_tensor is not None and not keras.utils.is_keras_tensor(input_tensor):
        raise ValueError(f"`input_tensor` must be a KerasTensor, such as keras.Input(...) gives. Received: {type(input_tensor).__name__}.")
    if input_tensor is None:
        return keras.Input(standardize_shape(input_shape, (size, size, 3), data_format), name="input")
    shape = standardize_shape(tuple(input_tensor.shape[1:]), (), data_format)
    if input_shape is not None and standardize_shape(input_shape, (), data_format) != shape:
        raise ValueError(f"`input_tensor` has the shape {shape}, `input_shape` is {input_shape}. Pass one of them, or make them agree.")
    return input_tensor


def check_dtype(dtype: Any) -> None:
    """Raises unless this is a policy of floating-point numbers."""
    if "float" not in (keras.dtype_policies.get(dtype).compute_dtype or ""):
        raise ValueError(f'`dtype` must be a policy of floating-point numbers, such as "mixed_bfloat16". Received: dtype={dtype!r}.')


def stages(
    x: Any,
    block: type[Residual],
    depths: Sequence[int],
    widths: Sequence[int],
    strides: Sequence[int],
    output_stride: int,
    stride_so_far: int,
    block_settings: Callable[[int, int, int], dict] = lambda stage, place, width: {},
    stochastic_depth: float = 0.0,
    drops_from_first: bool = False,
    strides_last: bool = False,
    dilates_first: bool = False,
    **shared: Any,
) -> Any:
    """All residual blocks: layers `stage1_block1`, `stage1_block2`, ...; the last of each stage is its output.

    Once the network has reached `output_stride`, further strides turn into dilation, which keeps what each weight sees.

    Args:
        block_settings: gives a block's own settings for its stage and place in it, both from 1, and the stage's width.
        stochastic_depth: the last block's rate; earlier blocks have less, linearly from 0 at the first, or with `drops_from_first` from
            one step above, as Huang et al. 2016 have it.
        strides_last: whether a stage strides in its last block, not its first.
        dilates_first: whether the first block of a stage whose stride became dilation is dilated as those behind it.
    """
    check_number("stochastic_depth", stochastic_depth, 0, 1)
    dilation, index, count = 1, 0, sum(depths)
    steps = (count, 1) if drops_from_first else (max(count - 1, 1), 0)
    for number, (depth, width, stride) in enumerate(zip(depths, widths, strides, strict=True), start=1):
        before = dilation
        if stride_so_far * stride > output_stride:
            dilation, stride = dilation * stride, 1
        stride_so_far *= stride
        striding = depth if strides_last else 1
        for place in range(1, depth + 1):
            x = block(
                width,
                stride if place == striding else 1,
                # What strides last is dilated after its last block.
                dilation_rate=before if strides_last else dilation,
                first_dilation_rate=before if place == 1 and not dilates_first else None,
                stochastic_depth=stochastic_depth * (index + steps[1]) / steps[0],
                num_blocks=count,
                name=f"stage{number}_block{place}",
                **block_settings(number, place, width),
                **shared,
            )(x)
            index += 1
    return x


def stem(kind: str, width: int, minimum_size: int = 32, **settings: Any) -> Stem:
    """The stem of an ImageNet network, of stride 2: `"7x7"`, or three 3x3 convolutions, `"deep"` or `"tiered"`."""
    check_choice("stem", kind, ("7x7", "deep", "tiered"))
    check_count("stem_width", width)
    deep = {"7x7": None, "deep": (width // 2,) * 2, "tiered": (width * 3 // 8, width // 2)}[kind]
    if deep and 0 in deep:
        raise ValueError(
            f"`stem_width` is too small for the stem {kind!r}, whose first convolution has less. Received: stem_width={width}."
        )
    return Stem(width, 3 if deep else 7, 2, deep, minimum_size=minimum_size, name="stem", **settings)


def block_settings(block: str, groups: int, group_width: int, reduce_first: int = 1, strides_in: str = "3x3") -> Callable:
    """What `stages` asks of each block, for `"basic"` and `"bottleneck"` ones: bottlenecks have an inner width, and groups in it.

    `group_width` is that of a group at width 64, and grows with the width of the stage.
    """
    check_choice("block", block, ("basic", "bottleneck"))
    for name, value in (("groups", groups), ("group_width", group_width), ("reduce_first", reduce_first)):
        check_count(name, value)
    if block == "basic" and (groups, group_width, reduce_first, strides_in) != (1, 64, 1, "3x3"):
        raise ValueError(
            "`groups`, `group_width`, `reduce_first` and `strides_in` are settings of the bottleneck; block='basic' has none of them."
        )

    def settings(stage: int, place: int, width: int) -> dict:
        inner = width * group_width // 64 * groups
        if block == "basic":
            return {}
        if inner == 0 or inner % reduce_first:
            raise ValueError(
                f"`group_width` at width {width} leaves {inner} inner channels, which must be at least 1 and a multiple of `reduce_first`. "
                f"Received: {group_width=}, {groups=}, {reduce_first=}."
            )
        return dict(groups=groups, width=inner, first_width=inner // reduce_first, strides_in=strides_in)

    return settings


def stage_strides(depths: Sequence[int]) -> tuple[int, ...]:
    """Every stage but the first halves the map."""
    return (1, *(2,) * (len(depths) - 1))


def check_stages(depths: Sequence[int], widths: Sequence[int], output_stride: int | None, stem_stride: int) -> int:
    """The output stride, which is that of all strides where it is `None`.

    Raises `ValueError` unless there is a number of blocks and a width for each stage, and the output stride can be had.
    """
    for name, values in (("depths", depths), ("widths", widths)):
        if not isinstance(values, (tuple, list)) or not values or not all(is_count(v) for v in values):
            raise ValueError(f"`{name}` must hold an integer of at least 1 for each stage. Received: {name}={values!r}.")
    if len(depths) != len(widths):
        raise ValueError(f"`depths` and `widths` must be equally long. Received: depths={depths!r}, widths={widths!r}.")
    possible = [stem_stride * 2**i for i in range(len(depths))]
    if stem_stride > 1 and len(depths) > 1:
        del possible[0]  # all that is left would be dilated by 8, which nobody has published and no map is large enough for
    if output_stride is not None and (not is_count(output_stride) or output_stride not in possible):
        raise ValueError(
            f"`output_stride` must be None or one of {', '.join(map(str, possible))}. Received: output_stride={output_stride!r}."
        )
    return possible[-1] if output_stride is None else output_stride
