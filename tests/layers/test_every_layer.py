"""`check_layer` on every layer, its options in pairs."""

import functools

import pytest

from keras_resnet import layers
from tests.check_layer import check_layer

IMAGES = (3, 9, 8, 8)  # odd and even, so that each stride meets both
LAYERS = {
    "conv": (layers.Conv2D, dict(filters=6, kernel_size=3, padding=1)),
    "conv_strided_same": (layers.Conv2D, dict(filters=6, kernel_size=3, strides=2, padding="same", activation="relu")),
    "conv_grouped_dilated": (layers.Conv2D, dict(filters=4, kernel_size=(3, 1), padding=(2, 0), groups=2, dilation_rate=2, use_bias=False)),
    "conv_transpose": (layers.ConvTranspose, dict(filters=6)),
    "conv_transpose_3x3": (layers.ConvTranspose, dict(filters=6, kernel_size=3, use_bias=False)),
    "conv_transpose_uneven": (layers.ConvTranspose, dict(filters=3, kernel_size=(4, 1), strides=(2, 1), kernel_initializer="he_normal")),
    "conv_stack": (layers.ConvStack, dict(filters=(6, 8), norm="batch")),
    "conv_stack_valid": (layers.ConvStack, dict(filters=(6,), pool=(2, 1), padding="valid", norm="layer", activation="gelu")),
    "residual_conv_stack": (layers.ResidualConvStack, dict(filters=(8, 8), norm="group")),
    "enlarge_transpose": (layers.Enlarge, dict(filters=6)),
    "enlarge_nearest": (layers.Enlarge, dict(filters=6, method="nearest", norm="batch")),
    "enlarge_bilinear": (layers.Enlarge, dict(method="bilinear", strides=(2, 3))),
    "enlarge_pixel_shuffle": (layers.Enlarge, dict(filters=4, method="pixel_shuffle", kernel_size=1)),
    "max_pool": (layers.MaxPooling2D, dict(pool_size=3, strides=2, padding=1)),
    "average_pool": (layers.AveragePooling2D, dict(pool_size=3, strides=2, padding=1)),
    "average_pool_same": (layers.AveragePooling2D, dict(pool_size=2, strides=2, padding="same")),
    "global_pool": (layers.GlobalAveragePooling2D, {}),
    "stem": (layers.Stem, dict(filters=6)),
    "stem_group_gelu": (layers.Stem, dict(filters=6, kernel_size=3, strides=1, norm="group", activation="gelu")),
    "stem_bias": (layers.Stem, dict(filters=6, kernel_size=3, norm=None, activation=None)),
    "shortcut": (layers.Shortcut, dict(filters=12, strides=2)),
    "shortcut_bias": (layers.Shortcut, dict(filters=8, kind="projection_all", norm=None, use_bias=True)),
    "shortcut_identity": (layers.Shortcut, dict(filters=11, strides=2, kind="identity", zero_padding="both")),
    "shortcut_pool": (layers.Shortcut, dict(filters=12, strides=2, kind="avg_pool", norm="group")),
    "shortcut_pool_dilated": (layers.Shortcut, dict(filters=12, dilation_rate=2, kind="avg_pool")),
    "basic": (layers.BasicBlock, dict(filters=8)),
    "basic_identity_remat": (layers.BasicBlock, dict(filters=12, strides=2, shortcut="identity", remat=True)),
    "basic_pool_group": (layers.BasicBlock, dict(filters=12, strides=2, shortcut="avg_pool", norm="group", activation="gelu")),
    "basic_scaled_dropped": (layers.BasicBlock, dict(filters=8, residual_scale="1/sqrt(N)", num_blocks=4, stochastic_depth=0.4)),
    "basic_plain_dilated": (layers.BasicBlock, dict(filters=8, dilation_rate=2, first_dilation_rate=1, shortcut=None)),
    "basic_bias_learned": (layers.BasicBlock, dict(filters=8, shortcut="projection_all", norm=None, residual_scale="learned")),
    "bottleneck": (layers.Bottleneck, dict(filters=4, strides=2)),
    "bottleneck_grouped": (layers.Bottleneck, dict(filters=4, groups=2, width=6, shortcut="avg_pool", strides=2, residual_scale=0.5)),
    "bottleneck_1x1_learned": (layers.Bottleneck, dict(filters=4, strides=2, strides_in="1x1", residual_scale="learned", remat=True)),
    "bottleneck_identity_group": (layers.Bottleneck, dict(filters=2, shortcut="identity", norm="group", stochastic_depth=0.3, remat=True)),
    "bottleneck_bias_gelu": (layers.Bottleneck, dict(filters=3, shortcut="projection", norm=None, activation="gelu")),
    "stem_deep": (layers.Stem, dict(filters=8, kernel_size=3, deep=(3, 4))),
    "stem_deep_open_same": (layers.Stem, dict(filters=8, kernel_size=3, deep=(4,), preactivation=True, padding="same")),
    "stem_scaled": (layers.Stem, dict(filters=6, norm=None, conv="scaled", activation="silu")),
    "shortcut_3x3": (layers.Shortcut, dict(filters=8, strides=2, kind="projection_3x3")),
    "shortcut_3x3_dilated": (layers.Shortcut, dict(filters=8, dilation_rate=2, first_dilation_rate=1, kind="projection_3x3")),
    "basic_se_blur": (layers.BasicBlock, dict(filters=12, strides=2, attention="se", anti_alias="blur")),
    "basic_eca_average": (layers.BasicBlock, dict(filters=12, strides=2, attention="eca", anti_alias="average", remat=True)),
    "basic_blur_dilated": (layers.BasicBlock, dict(filters=8, dilation_rate=2, first_dilation_rate=1, anti_alias="blur")),
    "bottleneck_se_blur": (
        layers.Bottleneck,
        dict(filters=4, strides=2, attention="se", attention_ratio=0.25, anti_alias="blur", stochastic_depth=0.3),
    ),
    "bottleneck_standardized": (layers.Bottleneck, dict(filters=4, strides=2, conv="standardized", norm="group", padding="same")),
    "bottleneck_first_width": (layers.Bottleneck, dict(filters=4, strides=2, groups=2, width=8, first_width=4, shortcut="projection_3x3")),
    "normfree": (layers.NormFreeBottleneck, dict(filters=4, strides=2, input_scale=0.9)),
    "normfree_skip": (layers.NormFreeBottleneck, dict(filters=4, skip_init=True, attention="se", activation="gelu", remat=True)),
    "preact_basic_unnormalized": (layers.PreActBasicBlock, dict(filters=12, strides=2, use_bias="unnormalized")),
    "preact_basic": (layers.PreActBasicBlock, dict(filters=8, shortcut="identity")),
    "preact_basic_projected": (layers.PreActBasicBlock, dict(filters=12, strides=2, activation="gelu", residual_scale=0.5)),
    "preact_basic_bias": (layers.PreActBasicBlock, dict(filters=12, strides=2, norm=None, shortcut="identity", zero_padding="both")),
    "preact_basic_remat": (layers.PreActBasicBlock, dict(filters=8, residual_scale="1/sqrt(N)", num_blocks=9, remat=True)),
    "preact_bottleneck": (layers.PreActBottleneck, dict(filters=3, strides=2, shortcut="projection_all", stochastic_depth=0.3)),
    "preact_bottleneck_group": (layers.PreActBottleneck, dict(filters=4, groups=4, width=8, norm="group", residual_scale="learned")),
    "preact_bottleneck_1x1": (layers.PreActBottleneck, dict(filters=3, strides=2, strides_in="1x1", shortcut="avg_pool", remat=True)),
    "squeeze_excite": (layers.SqueezeExcite, dict(ratio=0.25)),
    "squeeze_excite_gelu": (layers.SqueezeExcite, dict(divisor=2, activation="gelu", gate="hard_sigmoid")),
    "efficient_channel_attention": (layers.EfficientChannelAttention, {}),
    "basic_instance_norm": (layers.BasicBlock, dict(filters=12, strides=2, norm="instance")),
    "basic_layer_norm_remat": (layers.BasicBlock, dict(filters=12, strides=2, norm="layer", remat=True)),
    "norm_activation_layer": (layers.NormActivation, dict(norm="layer", activation=None)),
    "drop_block": (layers.DropBlock2D, dict(rate=0.2, block_size=3, seed=3)),
    "blur_pool": (layers.BlurPooling2D, {}),
    "blur_pool_wide": (layers.BlurPooling2D, dict(kernel_size=4, strides=1)),
    "standardized_conv": (layers.StandardizedConv2D, dict(filters=6, kernel_size=3, strides=2, padding="same")),
    "standardized_conv_grouped": (layers.StandardizedConv2D, dict(filters=6, kernel_size=3, padding=1, groups=2, use_bias=False)),
    "scaled_standardized_conv": (layers.ScaledStandardizedConv2D, dict(filters=6, kernel_size=3, padding=1, dilation_rate=2)),
    "norm_activation": (layers.NormActivation, {}),
    "norm_activation_group": (layers.NormActivation, dict(norm="group", activation="gelu")),
    "norm_activation_none": (layers.NormActivation, dict(norm=None, activation=None)),
    "dense_layer": (layers.DenseLayer, dict(growth_rate=3)),
    "dense_layer_remat": (layers.DenseLayer, dict(growth_rate=4, bottleneck=2, dilation_rate=2, activation="gelu", remat=True)),
    "dense_layer_bias": (layers.DenseLayer, dict(growth_rate=3, bottleneck=None, norm=None)),
    "dense_block": (layers.DenseBlock, dict(num_layers=3, growth_rate=4)),
    "dense_block_remat": (layers.DenseBlock, dict(num_layers=3, growth_rate=2, remat=True)),
    "dense_block_group": (layers.DenseBlock, dict(num_layers=2, growth_rate=4, norm="group", activation="gelu")),
    "dense_block_bias": (layers.DenseBlock, dict(num_layers=2, growth_rate=3, norm=None)),
    "transition": (layers.Transition, {}),
    "transition_dilated_group": (layers.Transition, dict(filters=6, strides=1, dilation_rate=2, norm="group", activation="gelu")),
    "transition_bias": (layers.Transition, dict(compression=1.0, norm=None)),
}


VOLUMES = (2, 4, 6, 4, 5)
OF_VOLUMES = {
    "conv": (layers.Conv3D, dict(filters=6, kernel_size=3, strides=(1, 2, 1), padding=1)),
    "conv_1x1": (layers.Conv3D, dict(filters=6, kernel_size=1, strides=2, activation="relu")),
    "conv_transpose": (layers.ConvTranspose, dict(filters=3, strides=(1, 2, 2), kernel_size=(3, 2, 2))),
    "conv_stack": (layers.ConvStack, dict(filters=(6, 8), pool=2, norm="batch")),
    "conv_stack_anisotropic": (layers.ConvStack, dict(filters=(6,), kernel_size=(1, 3, 3), strides=(1, 2, 2), norm="instance")),
    "residual_conv_stack": (layers.ResidualConvStack, dict(filters=(6, 6), strides=2, norm="instance", activation="silu")),
    "enlarge_bilinear": (layers.Enlarge, dict(method="bilinear")),
    "enlarge_pixel_shuffle": (layers.Enlarge, dict(filters=3, method="pixel_shuffle")),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name, tmp_path):
    layer, settings = LAYERS[name]
    check_layer(functools.partial(layer, **settings), IMAGES, tmp_path)


@pytest.mark.parametrize("name", OF_VOLUMES)
def test_layer_of_volumes(name, tmp_path):
    layer, settings = OF_VOLUMES[name]
    check_layer(functools.partial(layer, **settings), VOLUMES, tmp_path)


@pytest.mark.parametrize(
    ("layer", "settings", "shape"),
    [
        (layers.BatchNormalization, {}, IMAGES),
        (layers.BatchNormalization, dict(axis=1, center=False), IMAGES),
        (layers.BatchNormalization, dict(scale=False, momentum=0.5), (6, 5)),
        (layers.BatchNormalization, {}, (4, 7, 5)),
        (layers.GroupNormalization, dict(groups=4), IMAGES),
        (layers.GroupNormalization, dict(groups=3, axis=1, center=False), IMAGES),
        (layers.StochasticDepth, dict(rate=0.5), IMAGES),
        (layers.HeNormal, {}, None),
    ],
)
def test_layer_without_data_format(layer, settings, shape, tmp_path):
    if shape is None:
        initializer = layer(seed=3, mode="fan_in", distribution="truncated_normal")
        assert layer.from_config(initializer.get_config()).get_config() == initializer.get_config()
    else:
        check_layer(functools.partial(layer, **settings), shape, tmp_path, has_formats=False)
