"""The transformer's block and its attention: what the papers say they compute, out of stock layers, and every option."""

import functools

import keras
import numpy as np
import pytest

from keras_resnet import backend, layers
from tests import tolerances
from tests.arrays import as_numpy, normal, values
from tests.check_layer import check_layer, run
from tests.gradients import layer_gradients, value_and_gradients

TOKENS = (3, 7, 12)
X = normal(*TOKENS)
LAYERS = {
    "norm": (layers.LayerNormalization, {}),
    "norm_plain": (layers.LayerNormalization, dict(center=False, scale=False, epsilon=1e-3)),
    "attention": (layers.Attention, dict(num_heads=3)),
    "attention_no_bias": (layers.Attention, dict(num_heads=1, qkv_bias=False)),
    "attention_dropout": (layers.Attention, dict(num_heads=4, dropout=0.1, attention_dropout=0.2)),
    "block": (layers.TransformerBlock, dict(num_heads=3)),
    "block_post_norm": (layers.TransformerBlock, dict(num_heads=2, pre_norm=False, activation="relu", mlp_ratio=1.5)),
    "block_layer_scale": (layers.TransformerBlock, dict(num_heads=4, layer_scale=0.1, qkv_bias=False, remat=True)),
    "block_dropped": (
        layers.TransformerBlock,
        dict(num_heads=3, dropout=0.1, attention_dropout=0.2, stochastic_depth=0.2, residual_scale="1/sqrt(N)", num_blocks=4),
    ),
    "block_learned": (layers.TransformerBlock, dict(num_heads=1, residual_scale="learned", stochastic_depth=0.1, remat=True)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name, tmp_path):
    layer, settings = LAYERS[name]
    check_layer(functools.partial(layer, **settings), TOKENS, tmp_path, has_formats=False)


def built(layer):
    """The layer, every one of its numbers moved, so that none is invisible."""
    layer.build(TOKENS)
    for i, variable in enumerate(layer.trainable_variables):
        variable.assign(as_numpy(variable) + normal(*variable.shape, seed=i, deviation=0.3))
    return layer


def stock_norm(norm, x):
    theirs = keras.layers.LayerNormalization(epsilon=norm.epsilon)
    theirs.build(x.shape)
    theirs.set_weights([as_numpy(v) for v in norm.variables])
    return theirs(x)


def stock_attention(ours, x):
    """By `keras.layers.MultiHeadAttention` with the same weights."""
    dim, heads = x.shape[-1], ours.num_heads
    theirs = keras.layers.MultiHeadAttention(heads, dim // heads, use_bias=True)
    theirs.build(x.shape, x.shape)
    kernel = as_numpy(ours.qkv.kernel).reshape(dim, 3, heads, -1)
    bias = as_numpy(ours.qkv.bias).reshape(3, heads, -1) if ours.qkv_bias else np.zeros((3, heads, dim // heads))
    query, key, value = ((kernel[:, i], bias[i]) for i in range(3))
    projection = as_numpy(ours.projection.kernel).reshape(heads, -1, dim), as_numpy(ours.projection.bias)
    theirs.set_weights([*query, *key, *value, *projection])
    return theirs(x, x)


def composed(block, x, scale):
    """The block as its paper draws it, out of stock layers."""

    def mlp(x):
        for dense, activation in ((block.mlp1, block.activation), (block.mlp2, keras.activations.linear)):
            theirs = keras.layers.Dense(dense.units, activation)
            theirs.build(x.shape)
            theirs.set_weights([as_numpy(v) for v in dense.variables])
            x = theirs(x)
        return x

    x = keras.ops.convert_to_tensor(x)
    for place, (norm, branch) in enumerate(((block.norm1, functools.partial(stock_attention, block.attention)), (block.norm2, mlp))):
        channels = 1.0 if block.layer_scale is None else block.layer_scales[place]
        y = x + scale * channels * branch(stock_norm(norm, x) if block.pre_norm else x)
        x = y if block.pre_norm else stock_norm(norm, y)
    return as_numpy(x)


@pytest.mark.parametrize("settings", [dict(num_heads=3), dict(num_heads=1, qkv_bias=False)], ids=str)
def test_attention_is_keras_multi_head_attention(settings):
    layer = built(layers.Attention(**settings))
    expected = as_numpy(stock_attention(layer, keras.ops.convert_to_tensor(X)))
    assert tolerances.difference(as_numpy(run(layer, X)), expected) < tolerances.OPERATION["float32"]


@pytest.mark.parametrize(
    ("settings", "scale"),
    [
        (dict(num_heads=3), 1.0),
        (dict(num_heads=2, pre_norm=False, activation="relu", mlp_ratio=1.5, norm_epsilon=1e-3), 1.0),
        (dict(num_heads=4, layer_scale=0.5, residual_scale="1/sqrt(N)", num_blocks=16), 0.25),
        (dict(num_heads=6, pre_norm=False, residual_scale=0.5, layer_scale=2), 0.5),
    ],
    ids=str,
)
def test_block_is_its_drawing(settings, scale):
    layer = built(layers.TransformerBlock(**settings))
    y = as_numpy(run(layer, X))
    assert np.abs(y - X).mean() > 0.1
    assert tolerances.difference(y, composed(layer, X, scale)) < tolerances.OPERATION_GRADIENT["float32"]


@pytest.mark.parametrize("settings", [dict(residual_scale="learned"), dict(layer_scale=0)], ids=str)
def test_a_block_whose_factors_start_at_zero_is_the_identity(settings):
    layer = layers.TransformerBlock(3, **settings)
    layer.build(TOKENS)
    assert (as_numpy(run(layer, X)) == X).all()


def test_a_learned_scale_multiplies_its_branch():
    layer = built(layers.TransformerBlock(3, residual_scale="learned"))
    for gain in layer.gains:
        gain.assign(0.25)
    assert tolerances.difference(as_numpy(run(layer, X)), composed(layer, X, 0.25)) < tolerances.OPERATION_GRADIENT["float32"]


def test_layer_scale_starts_where_it_is_told():
    layer = layers.TransformerBlock(3, layer_scale=1e-5)
    layer.build(TOKENS)
    assert all((as_numpy(v) == np.float32(1e-5)).all() and v.shape == (12,) for v in layer.layer_scales)


def test_stochastic_depth_leaves_out_branches_of_samples():
    layer = built(layers.TransformerBlock(3, stochastic_depth=0.5, residual_scale=1.0))
    x = np.repeat(normal(1, 7, 12), 64, 0)
    y = as_numpy(run(layer, x, training=True))
    kinds = np.unique(np.round(y.reshape(64, -1)[:, :5], 3), axis=0)
    assert len(kinds) == 4, "each of the two branches is in or out, by sample"
    assert tolerances.difference(as_numpy(run(layer, x)), composed(layer, x, 1.0)) < tolerances.OPERATION_GRADIENT["float32"]


@pytest.mark.parametrize("where", ["dropout", "attention_dropout"])
def test_dropout_is_for_training_only(where):
    layer = built(layers.TransformerBlock(3, **{where: 0.5}))
    plain = layers.TransformerBlock(3)
    plain.build(TOKENS)
    for new, old in zip(plain.trainable_variables, layer.trainable_variables, strict=True):
        new.assign(old.value)
    expected = as_numpy(run(plain, X))
    assert (as_numpy(run(layer, X)) == expected).all()
    first, second = (as_numpy(run(layer, X, training=True)) for _ in range(2))
    assert np.abs(first - expected).max() > 0.01
    assert np.abs(first - second).max() > 0.01


@pytest.mark.parametrize("settings", [{}, dict(stochastic_depth=0.5), dict(dropout=0.3, attention_dropout=0.3)], ids=str)
def test_remat_changes_nothing(settings):
    plain, remat = (built(layers.TransformerBlock(3, remat=remat, **settings)) for remat in (False, True))
    if "dropout" in settings:  # PyTorch's unseeded dropout draws anew in the second layer: only that it runs can be seen
        _, gradients, _ = layer_gradients(remat, X)
        assert all(np.isfinite(g).all() and np.abs(g).max() > 0 for g in gradients.values())
        return
    for new, old in zip(remat.variables, plain.variables, strict=True):
        new.assign(as_numpy(old))
    (y, gradients, after), (y_remat, gradients_remat, after_remat) = (layer_gradients(layer, X) for layer in (plain, remat))
    assert tolerances.difference(y_remat, y) < 1e-5
    for a, b in zip(gradients_remat.values(), gradients.values(), strict=True):
        assert np.abs(a - b).max() <= tolerances.OPERATION_GRADIENT["float32"] * max(np.abs(b).max(), 1e-2)
    for a, b in zip(after_remat.values(), after.values(), strict=True):
        assert (a == b).all()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("operation", ["dense", "self_attention"])
def test_the_fast_path_is_the_reference(operation, dtype):
    """Values and gradients of what the backend overrides."""
    arrays = {
        "dense": (normal(2, 5, 12), normal(12, 7, seed=1), normal(7, seed=2)),
        "self_attention": (normal(2, 5, 36), 3),
    }[operation]
    tensors, rest = [a for a in arrays if isinstance(a, np.ndarray)], [a for a in arrays if not isinstance(a, np.ndarray)]

    def results():
        return value_and_gradients(lambda *given: getattr(backend, operation)(*given, *rest), *tensors, dtype=dtype)

    y, gradients = results()
    with backend.use_reference():
        expected, expected_gradients = results()
    assert tolerances.difference(y, expected) < tolerances.OPERATION[dtype]
    for a, b in zip(gradients, expected_gradients, strict=True):
        assert tolerances.difference(a, b) < tolerances.OPERATION_GRADIENT[dtype]


def test_softmax_is_taken_in_float32():
    """Scores that differ by less than bfloat16 can tell at their size still give different weights."""
    tokens, channels = 512, 8
    qkv = np.zeros((1, tokens, 3 * channels), "float32")
    qkv[..., 2 * channels :] = 1 + normal(1, tokens, channels, deviation=0.01)
    with backend.use_reference():
        y = as_numpy(backend.self_attention(keras.ops.cast(qkv, "bfloat16"), 1))
    assert np.abs(y - 1).max() < 0.01  # weights summed in bfloat16 end at 0.5


def test_unknown_number_of_tokens():
    layer = built(layers.TransformerBlock(3))
    free = keras.Input((None, 12))
    model = keras.Model(free, layer(free))
    assert model.output_shape == (None, None, 12)
    for tokens in (7, 4):
        x = normal(2, tokens, 12)
        assert tolerances.difference(model.predict(x, verbose=0), as_numpy(run(layer, x))) < tolerances.OPERATION["float32"]


def test_lora_and_freezing():
    layer = layers.TransformerBlock(3, trainable=False)
    layer.build(TOKENS)
    assert layer.trainable_variables == []
    before = values(layer)
    layer.trainable = True
    assert len(layer.trainable_variables) == len(before) == 12
    layer.mlp1.enable_lora(2)
    y = as_numpy(run(layer, X))
    layer.mlp1.lora_kernel_b.assign(normal(*layer.mlp1.lora_kernel_b.shape))
    assert np.abs(as_numpy(run(layer, X)) - y).max() > 1e-3


def test_variable_paths():
    layer = layers.TransformerBlock(3, layer_scale=1.0, residual_scale="learned", name="block")
    layer.build(TOKENS)
    expected = {f"block/{norm}/{leaf}" for norm in ("norm1", "norm2") for leaf in ("gamma", "beta")}
    dense = ("attention/qkv", "attention/projection", "mlp1", "mlp2")
    expected |= {f"block/{name}/{leaf}" for name in dense for leaf in ("kernel", "bias")}
    expected |= {f"block/{name}{i}" for name in ("layer_scale", "residual_gain") for i in (1, 2)}
    assert {v.path if v.path.startswith("block/") else f"block/{v.path}" for v in layer.variables} == expected


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        (dict(num_heads=0), "num_heads"),
        (dict(num_heads=2.0), "num_heads"),
        (dict(mlp_ratio=-1), "mlp_ratio"),
        (dict(pre_norm="yes"), "pre_norm"),
        (dict(norm_epsilon=-1), "norm_epsilon"),
        (dict(activation="gellu"), "gellu"),
        (dict(qkv_bias=1), "qkv_bias"),
        (dict(dropout=1), "dropout"),
        (dict(attention_dropout=-0.1), "attention_dropout"),
        (dict(stochastic_depth=1.0), "stochastic_depth"),
        (dict(layer_scale=-1e-5), "layer_scale"),
        (dict(layer_scale="small"), "layer_scale"),
        (dict(residual_scale="half"), "residual_scale"),
        (dict(residual_scale="1/sqrt(N)"), "num_blocks"),
        (dict(remat=None), "remat"),
    ],
    ids=str,
)
def test_an_impossible_setting_is_refused(settings, match):
    with pytest.raises(ValueError, match=match):
        layers.TransformerBlock(**{"num_heads": 3, **settings})


@pytest.mark.parametrize(("shape", "match"), [((2, 7, 10), "num_heads=3"), ((2, 12), "tokens"), ((2, 7, None), "tokens")], ids=str)
@pytest.mark.parametrize("layer", [layers.Attention, layers.TransformerBlock])
def test_an_impossible_input_is_refused(layer, shape, match):
    with pytest.raises(ValueError, match=match):
        layer(3)(keras.Input(shape[1:], batch_size=shape[0]))
