"""Squeeze-and-excitation and efficient channel attention beside timm's, and their settings."""

import keras
import pytest

from keras_resnet import layers
from tests.arrays import as_numpy, normal
from tests.golden.layers import check

SQUEEZE_KEYS = {"fc1/kernel": "fc1.weight", "fc1/bias": "fc1.bias", "fc2/kernel": "fc2.weight", "fc2/bias": "fc2.bias"}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("case", "settings"),
    [("squeeze_excite", {}), ("squeeze_excite_quarter", dict(ratio=0.25)), ("squeeze_excite_1", dict(ratio=0.5, divisor=1))],
)
def test_squeeze_excite_is_timms(case, settings, dtype):
    check(layers.SqueezeExcite(**settings, dtype=_policy(dtype)), case, SQUEEZE_KEYS, dtype)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("case", ["eca", "eca_wide"])
def test_efficient_channel_attention_is_timms(case, dtype):
    check(layers.EfficientChannelAttention(dtype=_policy(dtype)), case, {"conv/kernel": "conv.weight"}, dtype)


def _policy(dtype: str) -> str:
    return "float32" if dtype == "float32" else f"mixed_{dtype}"


@pytest.mark.parametrize(
    ("channels", "ratio", "divisor", "squeezed"),
    [(64, 1 / 16, 8, 8), (256, 1 / 16, 8, 16), (320, 1 / 16, 8, 24), (64, 0.25, 8, 16), (44, 0.5, 1, 22), (3, 0, 4, 4)],
)
def test_squeezed_channels(channels, ratio, divisor, squeezed):
    """1/16 of 320 is 20, as near to 16 as to 24: halves go up."""
    layer = layers.SqueezeExcite(ratio, divisor, data_format="channels_last")
    layer.build((None, None, None, channels))
    assert tuple(layer.fc1.kernel.shape) == (1, 1, channels, squeezed)
    assert tuple(layer.fc2.kernel.shape) == (1, 1, squeezed, channels)


@pytest.mark.parametrize(("channels", "size"), [(1, 3), (16, 3), (64, 3), (128, 5), (256, 5), (512, 5), (1024, 5), (2048, 7)])
def test_kernel_size_by_channels(channels, size):
    layer = layers.EfficientChannelAttention(data_format="channels_last")
    layer.build((None, None, None, channels))
    assert [tuple(v.shape) for v in layer.variables] == [(size, 1, 1)]
    layer = layers.EfficientChannelAttention(kernel_size=9, data_format="channels_last")
    layer.build((None, None, None, channels))
    assert layer.conv.kernel_size == (9,)


@pytest.mark.parametrize("layer", [layers.SqueezeExcite, layers.EfficientChannelAttention])
def test_images_of_unknown_size(layer):
    image = keras.Input((None, None, 16))
    model = keras.Model(image, layer()(image))
    assert model.output_shape == (None, None, None, 16)
    for size in (4, 7):
        x = normal(2, size, 5, 16)
        y = as_numpy(model(x))
        assert y.shape == x.shape
        scales = y / x
        assert abs(scales - scales[:, :1, :1]).max() < 1e-5
        assert 0 < scales.min() < scales.max() < 1


@pytest.mark.parametrize(
    ("layer", "settings", "name"),
    [
        (layers.SqueezeExcite, dict(ratio=-0.1), "ratio"),
        (layers.SqueezeExcite, dict(ratio="1/16"), "ratio"),
        (layers.SqueezeExcite, dict(divisor=0), "divisor"),
        (layers.EfficientChannelAttention, dict(kernel_size=4), "kernel_size"),
        (layers.EfficientChannelAttention, dict(kernel_size=0), "kernel_size"),
        (layers.EfficientChannelAttention, dict(gamma=0), "gamma"),
        (layers.EfficientChannelAttention, dict(beta=None), "beta"),
    ],
)
def test_impossible_settings_are_refused(layer, settings, name):
    with pytest.raises(ValueError, match=f"`{name}` must"):
        layer(**settings)
