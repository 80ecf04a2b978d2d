"""The layers of diffusion networks: what every layer must do, embeddings against published numbers, and wrong arguments."""

import functools

import keras
import numpy as np
import pytest

from keras_resnet import layers
from keras_resnet.layers.timestep_embedding import waves
from tests import tolerances
from tests.arrays import as_numpy, normal
from tests.check_layer import check_layer

# Step 10 in 8 numbers: half sines, half cosines of 10 / 10000 ** (i / 3), and with ADM's order and of 10 / 10000 ** (i / 4).
EMBEDDED = {
    "ddpm": [-0.544021, 0.447671, 0.021543, 0.001, -0.839072, 0.894198, 0.999768, 1],
    "adm": [-0.839072, 0.540302, 0.995004, 0.99995, -0.544021, 0.841471, 0.099833, 0.01],
}


@pytest.mark.parametrize("convention", EMBEDDED)
def test_waves(convention):
    found = as_numpy(waves(np.array([10, 0], "int32"), 8, convention))
    assert np.abs(found[0] - EMBEDDED[convention]).max() < 1e-6
    assert found[1].tolist() == ([0] * 4 + [1] * 4 if convention == "ddpm" else [1] * 4 + [0] * 4)
    odd = as_numpy(waves(np.array([10.0], "float32"), 9, convention))
    assert np.abs(odd[0] - [*EMBEDDED[convention], 0]).max() < 1e-6


def test_late_steps_differ_in_bfloat16():
    """bfloat16 has no 999 but 1000: steps must not pass through it. A float32 step is as good as an integer."""
    layer = layers.TimestepEmbedding(32, 64, dtype="mixed_bfloat16")
    late, last, exact = (as_numpy(layer(np.array([t], kind))) for t, kind in ((998, "int32"), (999, "int32"), (999, "float32")))
    assert np.abs(late - last).max() > 0.05
    assert (last == exact).all()
    assert keras.backend.standardize_dtype(layer(np.array([1])).dtype) == "bfloat16"


IMAGES = (2, 8, 6, 8)
SINGLE = {
    "attention": (layers.AttentionBlock, {}),
    "attention_heads": (layers.AttentionBlock, dict(head_channels=2, norm="batch")),
    "upsample": (layers.UpsampleConv2D, dict(filters=4)),
}


@pytest.mark.parametrize("name", SINGLE)
def test_layer(name, tmp_path):
    layer, settings = SINGLE[name]
    check_layer(functools.partial(layer, **settings), IMAGES, tmp_path)


def test_attention_by_hand():
    """Two heads, in NumPy and float64."""
    layer = layers.AttentionBlock(num_heads=2, norm=None)
    x = normal(2, 3, 4, 8)
    layer.build(x.shape)
    for number, variable in enumerate(layer.weights):
        variable.assign(normal(*variable.shape, seed=number, deviation=0.5))
    qkv, bias, out, shift = (as_numpy(variable).astype("float64") for variable in layer.weights)
    tokens = x.reshape(2, 12, 8).astype("float64")
    q, k, v = ((tokens @ qkv + bias).reshape(2, 12, 3, 2, 4).transpose(2, 0, 3, 1, 4))[:]
    scores = q @ k.swapaxes(-1, -2) / 2
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    mean = (weights / weights.sum(-1, keepdims=True)) @ v
    expected = tokens + mean.transpose(0, 2, 1, 3).reshape(2, 12, 8) @ out + shift
    assert tolerances.difference(as_numpy(layer(x)), expected.reshape(x.shape)) < tolerances.OPERATION["float32"]


@pytest.mark.parametrize(
    ("resample", "size"),
    [("up", (12, 16)), ("down", (3, 4)), (None, (6, 8))],
)
def test_block_resamples_both_ways(resample, size):
    """A fresh block is its shortcut: the repeated, averaged or plain map, whatever the embedding."""
    layer = layers.DiffusionBlock(8, resample, scale_shift=True)
    x = normal(2, 6, 8, 8)
    y = as_numpy(layer([x, normal(2, 5)]))
    assert y.shape == (2, *size, 8) == tuple(layer.compute_output_shape([x.shape, (2, 5)]))
    means = x.reshape(2, 3, 2, 4, 2, 8).mean((2, 4))
    expected = {"up": x.repeat(2, 1).repeat(2, 2), "down": means, None: x}[resample]
    assert np.abs(y - expected).max() < 1e-3


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: layers.TimestepEmbedding(1, 8), "`dim`"),
        (lambda: layers.TimestepEmbedding(8, 8, "fourier"), "'ddpm', 'adm'"),
        (lambda: layers.TimestepEmbedding(8, 8)(np.zeros((2, 1))), r"\(n,\)"),
        (lambda: layers.LabelEmbedding(0), "`classes`"),
        (lambda: layers.DiffusionBlock(8, "half"), "'up', 'down', None"),
        (lambda: layers.DiffusionBlock(8)([np.zeros((1, 4, 4, 8), "float32")]), "a list of maps"),
        (lambda: layers.AttentionBlock(3)(np.zeros((1, 4, 4, 8), "float32")), "multiple of `num_heads`"),
        (lambda: layers.AttentionBlock(head_channels=3)(np.zeros((1, 4, 4, 8), "float32")), "multiple of `head_channels`"),
        (lambda: layers.UpsampleConv2D(0), "`filters`"),
    ],
)
def test_wrong_arguments(make, says):
    with pytest.raises(ValueError, match=says):
        make()
