"""Dense layers, blocks and transitions beside the same composition of stock Keras layers, and what their options promise."""

import functools

import keras
import numpy as np
import pytest

from keras_resnet import layers
from tests import tolerances
from tests.arrays import as_numpy, normal
from tests.check_layer import check_layer, run
from tests.gradients import layer_gradients

X = normal(4, 7, 6, 8)


def built(layer, shape=X.shape):
    """A layer in which no number is a special one."""
    layer.build(shape)
    for i, variable in enumerate(layer.variables):
        if "float" in variable.dtype and "seed" not in variable.path:
            variable.assign(np.abs(as_numpy(variable)) * 0.5 + 0.5 if "variance" in variable.path else
                            as_numpy(variable) + normal(*variable.shape, seed=i, deviation=0.2))  # fmt: skip
    return layer


def normalized(norm, x, training):
    """relu(norm(x)) by a stock Keras layer with the weights of `norm`."""
    theirs = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
    theirs.build(x.shape)
    theirs.set_weights([as_numpy(v) for v in norm.variables])
    return keras.ops.relu(theirs(x, training=training))


def convolved(conv, x, dilation=1):
    kernel = as_numpy(conv.kernel)
    theirs = keras.layers.Conv2D(
        kernel.shape[-1], kernel.shape[0], padding="same", dilation_rate=dilation, use_bias=False, data_format="channels_last"
    )
    theirs.build(x.shape)
    theirs.set_weights([kernel])
    return theirs(x)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("settings", [{}, dict(bottleneck=None), dict(dilation_rate=2), dict(remat=True)])
def test_block_is_its_drawing(settings, training):
    block = built(layers.DenseBlock(3, 4, data_format="channels_last", **settings))
    features = keras.ops.convert_to_tensor(X)
    for i in (1, 2, 3):
        layer, y = getattr(block, f"layer{i}"), features
        if block.bottleneck:
            y = convolved(layer.conv1, normalized(layer.norm1, y, training))
            y = convolved(layer.conv2, normalized(layer.norm2, y, training), block.dilation_rate)
        else:
            y = convolved(layer.conv1, normalized(layer.norm1, y, training), block.dilation_rate)
        features = keras.ops.concatenate([features, y], -1)
    assert tolerances.difference(as_numpy(run(block, X, training)), as_numpy(features)) < tolerances.OPERATION["float32"]


@pytest.mark.parametrize("remat", [False, True])
def test_new_features_of_several_maps(remat):
    """Several maps count as joined; without the input the output is the last features of the other."""
    settings = dict(bottleneck=None, use_bias=True, remat=remat, data_format="channels_last")
    whole, new = (layers.DenseBlock(3, 4, keeps_input=keeps, **settings) for keeps in (True, False))
    built(whole)
    new.build([(4, 7, 6, 3), (4, 7, 6, 5)])
    for mine, other in zip(new.variables, whole.variables, strict=True):
        mine.assign(other.value)
    shapes = [(4, 7, 6, 3), (4, 7, 6, 5)]
    assert new.compute_output_shape(shapes) == (4, 7, 6, 12)
    assert tuple(new([keras.Input(shape[1:], batch_size=4) for shape in shapes]).shape) == (4, 7, 6, 12)
    expected = as_numpy(run(whole, X, training=True))
    y = as_numpy(new([keras.ops.convert_to_tensor(part) for part in (X[..., :3], X[..., 3:])], training=True))
    assert tolerances.difference(y, expected[..., 8:]) < tolerances.OPERATION["float32"]


@pytest.mark.parametrize("gamma", [-1.0, 0.0, 1e-30], ids=str)
def test_any_gamma(gamma):
    """Negative and vanishing ones, which trained networks have."""
    block = built(layers.DenseBlock(2, 4, data_format="channels_last"))
    for layer in (block.layer1, block.layer2):
        scale = as_numpy(layer.norm1.gamma)
        scale[::2] = gamma
        layer.norm1.gamma.assign(scale)
    features = keras.ops.convert_to_tensor(X)
    for layer in (block.layer1, block.layer2):
        y = convolved(layer.conv1, normalized(layer.norm1, features, False))
        features = keras.ops.concatenate([features, convolved(layer.conv2, normalized(layer.norm2, y, False))], -1)
    assert tolerances.difference(as_numpy(run(block, X)), as_numpy(features)) < tolerances.OPERATION["float32"]


@pytest.mark.parametrize("training", [False, True])
def test_transition_is_its_drawing(training):
    layer = built(layers.Transition(0.4, data_format="channels_last"))
    y = convolved(layer.conv, normalized(layer.norm_layer, keras.ops.convert_to_tensor(X), training))
    y = as_numpy(keras.layers.AveragePooling2D(2, data_format="channels_last")(y))
    assert y.shape == (4, 3, 3, 3) == layer.compute_output_shape(X.shape)
    assert tolerances.difference(as_numpy(run(layer, X, training)), y) < tolerances.OPERATION["float32"]


def test_transition_to_the_maximum():
    """Of an odd map the last row counts, too; recomputed or not."""
    y: list = []
    weights: list = []
    for remat in (False, True):
        layer = built(
            layers.Transition(1.0, pool="max", use_bias=True, remat=remat, data_format="channels_last"),
        )
        assert layer.conv.use_bias
        if weights:
            layer.set_weights(weights)
        weights = [as_numpy(v) for v in layer.variables]
        y.append(as_numpy(run(layer, X, training=True)))
    theirs = keras.layers.Conv2D(8, 1, data_format="channels_last")
    before = normalized(layer.norm_layer, keras.ops.convert_to_tensor(X), True)
    theirs.build(X.shape)
    theirs.set_weights([as_numpy(v) for v in layer.conv.variables])
    expected = as_numpy(keras.layers.MaxPooling2D(2, padding="same", data_format="channels_last")(theirs(before)))
    assert expected.shape == (4, 4, 3, 8) == layer.compute_output_shape(X.shape)
    for one in y:
        assert tolerances.difference(one, expected) < tolerances.OPERATION["float32"]
    with pytest.raises(ValueError, match="strides=2"):
        layers.Transition(pool="max", strides=1)


def test_a_transition_that_keeps_the_size_has_the_same_pixels_in_between():
    strided = built(layers.Transition(0.5, data_format="channels_last"))
    for rate in (1, 2):
        kept = layers.Transition(0.5, strides=1, dilation_rate=rate, data_format="channels_last")
        kept.build(X.shape)
        kept.set_weights([as_numpy(v) for v in strided.variables])
        x = np.repeat(np.repeat(X, rate, 1), rate, 2)
        expected = as_numpy(run(strided, X))
        found = as_numpy(run(kept, x))
        assert found.shape[1:3] == x.shape[1:3]
        assert tolerances.difference(found[:, :: 2 * rate, :: 2 * rate][:, :3, :3], expected) < tolerances.OPERATION["float32"]


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_recomputing_changes_nothing(dropout):
    """The same output, gradients and statistics, moved once; and under dropout the same mask when it is worked out again."""
    plain = built(layers.DenseBlock(3, 4, dropout=dropout, data_format="channels_last"))
    lean = layers.DenseBlock(3, 4, dropout=dropout, remat=True, data_format="channels_last")
    lean.build(X.shape)
    for new, old in zip(lean.variables, plain.variables, strict=True):
        new.assign(old.value)
    keras.utils.set_random_seed(1)  # on PyTorch Keras's dropout draws from the global generator
    y, gradients, after = layer_gradients(plain, X)
    keras.utils.set_random_seed(1)
    y2, gradients2, after2 = layer_gradients(lean, X)
    assert tolerances.difference(y2, y) < tolerances.OPERATION["float32"]
    for (path, one), two in zip(gradients.items(), gradients2.values(), strict=True):
        assert np.abs(one).max() > 0, path
        assert tolerances.difference(two, one) < tolerances.OPERATION_GRADIENT["float32"], path
    for (path, one), two, before in zip(after.items(), after2.values(), plain.non_trainable_variables, strict=True):
        # On PyTorch Keras's dropout leaves its seeds as they are.
        assert (one != as_numpy(before)).any() or "seed" in path, path
        assert tolerances.difference(two, one) < tolerances.OPERATION["float32"], path


@pytest.mark.parametrize("settings", [dict(dropout=0.3), dict(dropout=0.3, bottleneck=None), dict(dropout=0.3, remat=True)])
def test_dropout(settings, tmp_path):
    """Apart from `test_every_layer`: which numbers fall depends on the data format."""
    check_layer(functools.partial(layers.DenseBlock, 2, 4, **settings), (3, 9, 8, 8), tmp_path, has_formats=False)
    layer = built(layers.DenseLayer(4, data_format="channels_last", **settings))
    y = as_numpy(run(layer, X, training=True))
    assert 0.1 < (y == 0).mean() < 0.5
    assert (as_numpy(run(layer, X, training=True)) != y).any()
    assert (as_numpy(run(layer, X)) == as_numpy(run(layer, X))).all()


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="TensorFlow tells no byte count; benchmarks/densenet.py measures there."
)
def test_recomputing_saves_memory():
    """What a step holds between forward and backward pass: on PyTorch the tensors saved for it, on JAX what XLA lays out."""
    shape = (4, 16, 16, 16)
    x = normal(*shape)
    kept = []
    for remat in (False, True):
        block = layers.DenseBlock(10, 4, remat=remat, data_format="channels_last")
        block.build(shape)
        kept.append(saved_bytes(block, x))
    # XLA's also holds what one layer needs for the moment, a larger share of so small a block; jax.checkpoint's is 0.996 on a CPU.
    assert kept[1] < (0.6 if keras.backend.backend() == "torch" else 0.8) * kept[0]


def saved_bytes(block, x):
    if keras.backend.backend() == "torch":
        import torch

        sizes = {}

        def pack(tensor):
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            y = block(torch.from_numpy(x), training=True)
        del y
        return sum(sizes.values())
    import jax

    def loss(trained, others, x):
        y, others = block.stateless_call(trained, others, x, training=True)
        return (y * y).sum(), others

    values = [v.value for v in block.trainable_variables], [v.value for v in block.non_trainable_variables], x
    return jax.jit(jax.grad(loss, has_aux=True)).lower(*values).compile().memory_analysis().temp_size_in_bytes


def test_freezing_before_building_holds():
    block = layers.DenseBlock(2, 4, data_format="channels_last", trainable=False)
    block.build(X.shape)
    assert not block.trainable_variables
    before = as_numpy(block.layer2.norm1.moving_mean)
    run(block, X, training=True)
    assert (as_numpy(block.layer2.norm1.moving_mean) == before).all()


def test_paths_of_variables():
    """What the rules of `weights/rename.py` and files rest on."""
    block = layers.DenseBlock(2, 4, name="stage1")
    block.build((None, None, None, 8) if block.data_format == "channels_last" else (None, 8, None, None))
    parts = [f"{kind}{i}/{leaf}" for i in (1, 2) for kind, leaves in (("norm", ("gamma", "beta", "moving_mean", "moving_variance")),
             ("conv", ("kernel",))) for leaf in leaves]  # fmt: skip
    assert {v.path for v in block.variables} == {f"stage1/layer{i}/{part}" for i in (1, 2) for part in parts}
    transition = layers.Transition(name="transition1")
    transition.build(block.compute_output_shape((None, None, None, 8)))
    assert {v.path.split("/")[1] for v in transition.variables} == {"norm", "conv"}


@pytest.mark.parametrize(
    ("layer", "settings", "word"),
    [
        (layers.DenseLayer, dict(growth_rate=0), "growth_rate"),
        (layers.DenseLayer, dict(growth_rate=4, bottleneck=0), "bottleneck"),
        (layers.DenseLayer, dict(growth_rate=4, dropout=1.0), "dropout"),
        (layers.DenseLayer, dict(growth_rate=4, remat="yes"), "remat"),
        (layers.DenseBlock, dict(num_layers=0, growth_rate=4), "num_layers"),
        (layers.DenseBlock, dict(num_layers=2, growth_rate=-1), "growth_rate"),
        (layers.DenseBlock, dict(num_layers=2, growth_rate=4, norm="bunch"), "norm"),
        (layers.DenseBlock, dict(num_layers=2, growth_rate=4, dilation_rate=0), "dilation_rate"),
        (layers.Transition, dict(compression=0), "compression"),
        (layers.Transition, dict(compression=1.5), "compression"),
        (layers.Transition, dict(strides=3), "strides"),
        (layers.Transition, dict(filters=0), "filters"),
        (layers.Transition, dict(pool="min"), "pool"),
        (layers.Transition, dict(remat=2), "remat"),
        (layers.DenseBlock, dict(num_layers=2, growth_rate=4, keeps_input=0), "keeps_input"),
        (layers.DenseLayer, dict(growth_rate=4, use_bias="no"), "use_bias"),
        (layers.DenseLayer, dict(growth_rate=4, distribution="flat"), "distribution"),
    ],
)
def test_impossible_arguments(layer, settings, word):
    with pytest.raises(ValueError, match=f"`{word}`") as error:
        layer(**settings)
    assert repr(settings[word]) in str(error.value)


def test_unknown_activation():
    with pytest.raises(ValueError, match="activation"):
        layers.DenseBlock(2, 4, activation="rleu")


def test_a_transition_must_leave_channels():
    with pytest.raises(ValueError, match="compression"):
        layers.Transition(0.1).build((None, 8, 8, 8))


@pytest.mark.parametrize("layer", [layers.DenseLayer(4, remat=True), layers.DenseBlock(2, 4, remat=True), layers.Transition(remat=True)])
def test_a_configuration_of_the_older_word(layer):
    config = layer.get_config()
    config["memory_efficient"] = config.pop("remat")
    assert type(layer).from_config(config).get_config() == layer.get_config()
