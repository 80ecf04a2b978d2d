"""The blocks' arithmetic beside the same composition of stock Keras layers, and what their options promise."""

import keras
import numpy as np
import pytest

from keras_resnet import layers
from tests import tolerances
from tests.arrays import as_numpy, assert_unchanged, normal, values
from tests.check_layer import run
from tests.gradients import layer_gradients

X = normal(4, 7, 6, 8)
BLOCKS = [layers.BasicBlock, layers.Bottleneck, layers.PreActBasicBlock, layers.PreActBottleneck]


def built(block, *args, **settings):
    """A block in which no number is a special one."""
    layer = block(*args, data_format="channels_last", **settings)
    layer.build(X.shape)
    for i, variable in enumerate(layer.variables):
        if "float" in variable.dtype and "seed" not in variable.path:
            variable.assign(np.abs(as_numpy(variable)) * 0.5 + 0.5 if "variance" in variable.path else
                            as_numpy(variable) + normal(*variable.shape, seed=i, deviation=0.2))  # fmt: skip
    return layer


def stock(ours, x, training=False, strides=1, padding=0, dilation=1, groups=1):
    """What a stock Keras layer with the weights of `ours` makes of `x`."""
    if isinstance(ours, layers.Conv2D):
        kernel = as_numpy(ours.kernel)
        x = keras.layers.ZeroPadding2D(padding, data_format="channels_last")(x)
        theirs = keras.layers.Conv2D(
            kernel.shape[-1],
            kernel.shape[:2],
            strides,
            dilation_rate=dilation,
            groups=groups,
            use_bias=ours.use_bias,
            data_format="channels_last",
        )
        theirs.build(x.shape)
        theirs.set_weights([as_numpy(v) for v in ours.variables])
        return theirs(x)
    if isinstance(ours, keras.layers.GroupNormalization):
        theirs = keras.layers.GroupNormalization(ours.groups, axis=-1, epsilon=1e-5)
        theirs.build(x.shape)
        theirs.set_weights([as_numpy(v) for v in ours.variables])
        return theirs(x)
    if ours is None:
        return x
    theirs = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
    theirs.build(x.shape)
    theirs.set_weights([as_numpy(v) for v in ours.variables])
    return theirs(x, training=training)


def around(block, x, training, strides):
    if block.shortcut is None:
        return 0.0
    if block.shortcut_layer is None:
        return x
    if block.shortcut == "identity":
        new = block.filters * block.expansion - x.shape[-1]
        before = new // 2 if block.zero_padding == "both" else 0
        return keras.ops.convert_to_tensor(np.pad(as_numpy(x)[:, ::strides, ::strides], [(0, 0)] * 3 + [(before, new - before)]))
    if block.shortcut == "avg_pool" and strides > 1:
        x, strides = keras.layers.AveragePooling2D(2, strides, "same", data_format="channels_last")(x), 1
    return stock(block.shortcut_layer.norm_layer, stock(block.shortcut_layer.conv_layer, x, strides=strides), training)


def composed(block, x, training, scale):
    """The block as its paper draws it, out of stock layers."""
    s, act, wide = block.strides, block.activation, dict(padding=block.dilation_rate, dilation=block.dilation_rate)
    if isinstance(block, layers.Bottleneck):
        first, second = (s, 1) if block.strides_in == "1x1" else (1, s)
        steps = [dict(strides=first), dict(strides=second, groups=block.groups, **wide), {}]
    else:
        steps = [dict(strides=s, **wide), wide]
    convs = [getattr(block, f"conv{i + 1}") for i in range(len(steps))]
    norms = [getattr(block, f"norm{i + 1}") for i in range(len(steps))]
    x = keras.ops.convert_to_tensor(x)
    y = x
    if block.preactivation:
        for i, (conv, norm, step) in enumerate(zip(convs, norms, steps, strict=True)):
            y = act(stock(norm, y, training))
            if i == 0:
                projects = block.shortcut_layer is not None and block.shortcut != "identity"
                other = around(block, y if projects else x, training, s)
            y = stock(conv, y, **step)
        return as_numpy(scale * y + other)
    for i, (conv, norm, step) in enumerate(zip(convs, norms, steps, strict=True)):
        y = stock(norm, stock(conv, y, **step), training)
        y = y if i == len(steps) - 1 else act(y)
    return as_numpy(act(scale * y + around(block, x, training, s)))


COMPOSITIONS = [
    (layers.BasicBlock, dict(filters=8), 1.0),
    (layers.BasicBlock, dict(filters=13, strides=2, shortcut="identity", zero_padding="both", residual_scale=0.5), 0.5),
    (layers.BasicBlock, dict(filters=8, shortcut=None, dilation_rate=2), 1.0),
    (layers.Bottleneck, dict(filters=4, strides=2, groups=2, width=6, residual_scale="1/sqrt(N)", num_blocks=4), 0.5),
    (layers.Bottleneck, dict(filters=4, strides=2, strides_in="1x1", dilation_rate=2, shortcut="avg_pool"), 1.0),
    (layers.Bottleneck, dict(filters=2, shortcut="projection_all", norm="group", activation="gelu"), 1.0),
    (layers.PreActBasicBlock, dict(filters=8), 1.0),
    (layers.PreActBasicBlock, dict(filters=12, strides=2, shortcut="identity"), 1.0),
    (layers.PreActBottleneck, dict(filters=4, strides=2, residual_scale=0.25), 0.25),
    (layers.PreActBottleneck, dict(filters=2, strides_in="1x1", shortcut="projection_all", norm=None), 1.0),
]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("block", "settings", "scale"), COMPOSITIONS)
def test_block_is_its_drawing(block, settings, scale, training):
    layer = built(block, **settings)
    expected = composed(layer, X, training, scale)
    y = as_numpy(run(layer, X, training))
    assert np.abs(y).mean() > 0.1
    assert tolerances.difference(y, expected) < tolerances.LOGITS_FLOAT32


def test_learned_scale_starts_at_zero():
    layer = layers.PreActBasicBlock(8, residual_scale="learned", data_format="channels_last")
    assert tolerances.difference(as_numpy(run(layer_built(layer), X)), X) < 1e-6
    layer.residual_gain.assign(0.5)
    assert tolerances.difference(as_numpy(run(layer, X)), composed(layer, X, False, 0.5)) < tolerances.LOGITS_FLOAT32


def layer_built(layer):
    layer.build(X.shape)
    return layer


@pytest.mark.parametrize("place", ["end", "both"])
def test_new_channels_of_the_identity_are_zeros(place):
    y = as_numpy(layers.Shortcut(13, 2, kind="identity", zero_padding=place, data_format="channels_last")(X))
    start = 2 if place == "both" else 0
    assert (y[..., start : start + 8] == X[:, ::2, ::2]).all()
    assert (y[..., :start] == 0).all()
    assert (y[..., start + 8 :] == 0).all()
    assert y.shape == (4, 4, 3, 13)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("norm", ["batch", None])
@pytest.mark.parametrize("block", BLOCKS)
def test_zero_init_residual_starts_as_the_shortcut(block, norm, training):
    layer = layer_built(block(8 // block.expansion, norm=norm, zero_init_residual=True, data_format="channels_last"))
    expected = X if block.preactivation else np.maximum(X, 0)
    assert tolerances.difference(as_numpy(run(layer, X, training)), expected) < 1e-6
    usual = layer_built(block(8 // block.expansion, norm=norm, data_format="channels_last"))
    assert tolerances.difference(as_numpy(run(usual, X, training)), expected) > 0.1


@pytest.mark.parametrize("frozen", ["before", "after"])
@pytest.mark.parametrize("block", [layers.Bottleneck, layers.PreActBasicBlock])
def test_a_frozen_block_keeps_its_statistics(block, frozen):
    layer = block(4, strides=2, data_format="channels_last", trainable=frozen != "before")
    layer.build(X.shape)
    if frozen == "after":
        layer.trainable = False
    assert layer.trainable_variables == []
    before = values(layer)
    x = 3 * X + 1
    assert (as_numpy(run(layer, x, True)) == as_numpy(run(layer, x, False))).all()
    assert_unchanged(before, layer)
    layer.trainable = True
    run(layer, x, True)
    moved = [path for path, value in values(layer).items() if (value != before[path]).any()]
    assert moved == [path for path in before if "moving" in path]
    assert moved


@pytest.mark.parametrize("settings", [{}, dict(stochastic_depth=0.5), dict(norm="group"), dict(attention="se")], ids=str)
@pytest.mark.parametrize("block", [layers.BasicBlock, layers.PreActBottleneck])
def test_remat_changes_nothing(block, settings):
    plain, remat = (built(block, 4, strides=2, remat=remat, **settings) for remat in (False, True))
    for new, old in zip(remat.variables, plain.variables, strict=True):
        new.assign(as_numpy(old))  # a copy: on JAX a training step deletes the arrays it is given
    results = [layer_gradients(layer, X) for layer in (plain, remat)]
    (y, gradients, after), (y_remat, gradients_remat, after_remat) = results
    assert tolerances.difference(y_remat, y) < 1e-5
    for a, b in zip(gradients_remat.values(), gradients.values(), strict=True):
        assert np.abs(a - b).max() <= tolerances.OPERATION_GRADIENT["float32"] * max(np.abs(b).max(), 1e-2)
    for a, b in zip(after_remat.values(), after.values(), strict=True):
        assert np.allclose(a, b, rtol=1e-5, atol=1e-6)
    before = values(remat)
    for layer in (plain, remat):  # a training step, in which PyTorch runs the block a second time on the layer itself
        image = keras.Input(X.shape[1:])
        model = keras.Model(image, layer(image))
        model.compile(keras.optimizers.SGD(0.01), "mse")
        model.fit(X, np.zeros_like(y), batch_size=len(X), shuffle=False, verbose=0)
    for (path, a), b in zip(values(remat).items(), values(plain).values(), strict=True):
        assert (a != before[path]).any(), f"{path} has not moved"
        assert np.allclose(a, b, rtol=1e-4, atol=1e-5), path


@pytest.mark.parametrize("setting", ["dropout", "drop_block"])
@pytest.mark.parametrize("block", BLOCKS)
def test_dropout_acts_within_the_branch_in_training_only(block, setting):
    common = dict(filters=8 // block.expansion, data_format="channels_last")
    plain = layer_built(block(**common))
    layer = layer_built(block(**common, **{setting: 0.5}, **(dict(drop_block_size=3) if setting == "drop_block" else {})))
    for new, old in zip(layer.trainable_variables, plain.trainable_variables, strict=True):
        new.assign(as_numpy(old))
    assert (as_numpy(run(layer, X)) == as_numpy(run(plain, X))).all()
    first, second = (as_numpy(run(layer, X, training=True)) for _ in range(2))
    assert np.abs(first - second).max() > 1e-2
    last = getattr(layer, "conv2" if block.expansion == 1 else "conv3")
    last.kernel.assign(np.zeros(last.kernel.shape))  # what is left is the shortcut, which is never dropped
    assert tolerances.difference(as_numpy(run(layer, X, training=True)), X if block.preactivation else np.maximum(X, 0)) < 1e-6


def test_attention_stands_before_the_sum():
    """With a gate of zeros, sigmoid(0) = 1/2 of the branch is left."""
    plain, gated = (
        layer_built(layers.BasicBlock(8, attention=kind, activation=None, data_format="channels_last")) for kind in (None, "se")
    )
    for new, old in zip(gated.conv1.variables + gated.conv2.variables, plain.conv1.variables + plain.conv2.variables, strict=True):
        new.assign(as_numpy(old))
    for variable in gated.attention_layer.variables:
        variable.assign(np.zeros(variable.shape))
    expected = X + (as_numpy(run(plain, X)) - X) / 2
    assert tolerances.difference(as_numpy(run(gated, X)), expected) < tolerances.LOGITS_FLOAT32


@pytest.mark.parametrize(("kind", "pool"), [("average", layers.AveragePooling2D(2, 2, "same")), ("blur", layers.BlurPooling2D())])
def test_an_anti_aliased_block_strides_behind_the_activation(kind, pool):
    settings = dict(strides=2, anti_alias=kind, shortcut=None, norm=None, data_format="channels_last")
    layer = layer_built(layers.BasicBlock(8, **settings))
    y = keras.ops.relu(stock(layer.conv1, X, padding=1))
    assert y.shape[1:3] == X.shape[1:3]
    expected = keras.ops.relu(stock(layer.conv2, pool(y), padding=1))
    assert tolerances.difference(as_numpy(run(layer, X)), as_numpy(expected)) < tolerances.LOGITS_FLOAT32


def test_bias_where_it_is_asked_for():
    def biased(block, **settings):
        layer = layer_built(block(4, strides=2, **settings))
        convs = [layer.conv1, layer.conv2, *([layer.conv3] if block.expansion == 4 else []), layer.shortcut_layer.conv_layer]
        return [conv.use_bias for conv in convs]

    assert biased(layers.Bottleneck) == [False] * 4
    assert biased(layers.Bottleneck, use_bias=True) == [True] * 4
    assert biased(layers.Bottleneck, norm=None) == [True] * 4
    assert biased(layers.Bottleneck, norm=None, use_bias=False) == [False] * 4
    assert biased(layers.Bottleneck, use_bias="unnormalized") == [False] * 4
    assert biased(layers.PreActBottleneck) == [False] * 4
    assert biased(layers.PreActBottleneck, use_bias="unnormalized") == [False, False, True, True]


def test_variable_paths():
    layer = layers.Bottleneck(4, strides=2, residual_scale="learned", name="block")
    layer.build((None, 8, 8, 8))
    norms = ("gamma", "beta", "moving_mean", "moving_variance")
    expected = {f"block/conv{i}/kernel" for i in (1, 2, 3)} | {f"block/norm{i}/{leaf}" for i in (1, 2, 3) for leaf in norms}
    expected |= {"block/shortcut/conv/kernel", "block/residual_gain"} | {f"block/shortcut/norm/{leaf}" for leaf in norms}
    found = {v.path if v.path.startswith("block/") else f"block/{v.path}" for v in layer.variables}
    assert found == expected


@pytest.mark.parametrize(
    "settings",
    [
        dict(filters=0),
        dict(strides=1.5),
        dict(shortcut="none"),
        dict(zero_padding="start"),
        dict(norm="layers"),
        dict(activation="relus"),
        dict(conv="standard"),
        dict(padding="valid"),
        dict(use_bias="yes"),
        dict(attention="gate"),
        dict(attention_ratio=-1),
        dict(anti_alias="max"),
        dict(dropout=1.0),
        dict(drop_block=-0.1),
        dict(drop_block_size=0),
        dict(first_width=0),
        dict(conv="scaled", activation="mish"),
        dict(residual_scale="half"),
        dict(residual_scale="1/sqrt(N)"),
        dict(stochastic_depth=1.0),
        dict(groups=3, width=8),
        dict(strides_in="5x5"),
    ],
    ids=str,
)
def test_an_impossible_setting_is_refused(settings):
    with pytest.raises(ValueError, match="Received"):
        layers.Bottleneck(**{"filters": 8, **settings})
