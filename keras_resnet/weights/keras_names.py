"""How keras.applications and Big Transfer's own files name the variables of each family, and in which order the former keeps them."""

import re

from keras_resnet.weights.family import BLOCK, Family

LEAVES = {leaf: leaf for leaf in ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")}
EPSILON = 1.001e-5  # of all norms of keras.applications
# Of an optimizer, in a file that was saved with it; and the head of files from before 2019.
IGNORED = r"(optimizer_weights|optimizer)/.*"
SPELLINGS = (
    (r"^(?:model_weights/)?conv1/(conv|bn)/(?:.*/)?([^/:]+)(?::0)?$", r"conv1_\1/\2"),  # the published DenseNets, of 2018
    (r"^(?:model_weights/)?([^/]+)/(?:.*/)?([^/:]+)(?::0)?$", r"\1/\2"),
    (r"^(?:probs|fc1000)/", "predictions/"),
    (r"/depthwise_kernel$", "/kernel"),
)

KERAS_RESNET = Family(
    modules=(
        (r"stem/conv", "conv1_conv"),
        (r"stem/norm", "conv1_bn"),
        (rf"{BLOCK}/conv(?P<i>\d)", "conv{after}_block{b}_{i}_conv"),
        (rf"{BLOCK}/norm(?P<i>\d)", "conv{after}_block{b}_{i}_bn"),
        (rf"{BLOCK}/shortcut/conv", "conv{after}_block{b}_0_conv"),
        (rf"{BLOCK}/shortcut/norm", "conv{after}_block{b}_0_bn"),
        (r"head", "predictions"),
    ),
    head=r"predictions/.*",
    # Keras sorts layers by how far they are from the output: the shortcut comes beside the block's last convolution.
    order=("1_conv", "1_bn", "2_conv", "2_bn", "0_conv", "3_conv", "0_bn", "3_bn"),
)
KERAS_PREACTIVATION = Family(
    modules=(
        (r"stem/conv", "conv1_conv"),
        (rf"{BLOCK}/norm1", "conv{after}_block{b}_preact_bn"),
        (rf"{BLOCK}/norm(?P<i>\d)", "conv{after}_block{b}_{before}_bn"),
        (rf"{BLOCK}/conv(?P<i>\d)", "conv{after}_block{b}_{i}_conv"),
        (rf"{BLOCK}/shortcut/conv", "conv{after}_block{b}_0_conv"),
        (r"post_norm/norm", "post_bn"),
        (r"head", "predictions"),
    ),
    head=r"predictions/.*",
    order=("preact_bn", "1_conv", "1_bn", "2_conv", "2_bn", "0_conv", "3_conv"),
)
KERAS_DENSE = Family(
    modules=(
        (r"stem/conv", "conv1_conv"),
        (r"stem/norm", "conv1_bn"),
        (r"stage(?P<s>\d+)/layer(?P<l>\d+)/norm1", "conv{after}_block{l}_0_bn"),
        (r"stage(?P<s>\d+)/layer(?P<l>\d+)/conv1", "conv{after}_block{l}_1_conv"),
        (r"stage(?P<s>\d+)/layer(?P<l>\d+)/norm2", "conv{after}_block{l}_1_bn"),
        (r"stage(?P<s>\d+)/layer(?P<l>\d+)/conv2", "conv{after}_block{l}_2_conv"),
        (r"transition(?P<s>\d+)/norm", "pool{after}_bn"),
        (r"transition(?P<s>\d+)/conv", "pool{after}_conv"),
        (r"post_norm/norm", "bn"),
        (r"head", "predictions"),
    ),
    head=r"predictions/.*",
)

# Big Transfer (Kolesnikov et al. 2020, arXiv:1912.11370): TensorFlow's layouts, in .npz files; some count their convolutions.
BIT_IGNORED = r"(?!)"
BIT_SPELLINGS = ((r"/standardized_conv2d_\d+/", "/standardized_conv2d/"), (r"/group_norm_\d+/", "/group_norm/"))
BIT = Family(
    modules=(
        (r"stem/conv", "resnet/root_block/standardized_conv2d"),
        (rf"{BLOCK}/conv(?P<i>\d)", "resnet/block{s}/unit{unit}/{letter}/standardized_conv2d"),
        (rf"{BLOCK}/norm(?P<i>\d)", "resnet/block{s}/unit{unit}/{letter}/group_norm"),
        (rf"{BLOCK}/shortcut/conv", "resnet/block{s}/unit{unit}/a/proj/standardized_conv2d"),
        (r"post_norm/norm", "resnet/group_norm"),
        (r"head", "resnet/head/conv2d"),
    ),
    head=r"resnet/head/conv2d/.*",
)


def place(layer: str, layers: list[str]) -> tuple[int, int]:
    """A layer's place in the order by which keras.applications reads its files: that of `layers`, but inside a block."""
    block = re.fullmatch(r"(conv\d+_block\d+)_(.*)", layer)
    if block is None or f"{block[1]}_3_conv" not in layers:
        return layers.index(layer), 0
    order = KERAS_PREACTIVATION.order if f"{block[1]}_preact_bn" in layers else KERAS_RESNET.order
    return min(layers.index(other) for other in layers if other.startswith(f"{block[1]}_")), order.index(block[2])
