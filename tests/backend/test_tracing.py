"""Every way to trace or to call without state: nothing breaks the graph, nothing of the caller's changes, nothing is copied for nothing."""

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet import layers
from tests import tolerances
from tests.arrays import as_numpy, assert_unchanged, normal, values

BACKEND = keras.backend.backend()
only_torch = pytest.mark.skipif(BACKEND != "torch", reason="about PyTorch's memory layouts and compiler")
only_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="about tf.function and XLA")


def small(**settings):
    """A network of two bottlenecks, grouped, with a stride and a projection."""
    given = dict(depths=(1, 1), widths=(16, 32), stem_width=16, groups=4, group_width=16, classes=5, input_shape=(32, 32, 3))
    return keras_resnet.models.resnet(**{**given, **settings})


def state(model):
    return [[keras.ops.copy(v.value) for v in kind] for kind in (model.trainable_variables, model.non_trainable_variables)]


@pytest.mark.parametrize(
    "settings", [{}, dict(stochastic_depth=0.5), dict(remat=True), dict(norm="group"), dict(residual_scale="learned")], ids=str
)
def test_a_stateless_call_changes_nothing_of_the_callers(settings):
    model = small(**settings)
    given = state(model)
    copies = [[as_numpy(value) for value in kind] for kind in given]
    before = values(model)
    _, after = model.stateless_call(*given, normal(4, 32, 32, 3), training=True)
    assert_unchanged(before, model)
    for kind, copy in zip(given, copies, strict=True):
        for value, old in zip(kind, copy, strict=True):
            assert as_numpy(value).tobytes() == old.tobytes()
    moved = [v.path for v, new, old in zip(model.non_trainable_variables, after, copies[1], strict=True) if (as_numpy(new) != old).any()]
    statistics = [v.path for v in model.non_trainable_variables if "moving" in v.path]
    assert set(statistics) <= set(moved)


def test_a_stateless_call_gives_the_statistics_of_a_plain_one():
    model = small()
    _, after = model.stateless_call(*state(model), normal(4, 32, 32, 3), training=True)
    model(normal(4, 32, 32, 3), training=True)
    for variable, new in zip(model.non_trainable_variables, after, strict=True):
        assert tolerances.difference(as_numpy(variable), as_numpy(new)) < tolerances.OPERATION["float32"]


@only_torch
@pytest.mark.parametrize("training", [True, False])
def test_torch_compile_meets_no_graph_break(training):
    import torch

    model = small()
    model(normal(2, 32, 32, 3))
    expected = as_numpy(model(normal(2, 32, 32, 3), training=training))
    torch._dynamo.reset()
    compiled = torch.compile(lambda x: model(x, training=training), backend="eager", fullgraph=True)  # raises at a break
    x = torch.from_numpy(normal(2, 32, 32, 3))
    assert tolerances.difference(as_numpy(compiled(x)), expected) < tolerances.OPERATION["float32"]


@pytest.mark.skipif(BACKEND != "jax", reason="about jax.jit")
@pytest.mark.parametrize("training", [True, False])
def test_jax_jit(training):
    import jax

    model = small(classifier_activation=None)
    function = lambda trained, others, x: model.stateless_call(trained, others, x, training=training)  # noqa: E731
    expected, statistics = function(*state(model), normal(2, 32, 32, 3))
    y, after = jax.jit(function)(*state(model), normal(2, 32, 32, 3))
    assert tolerances.difference(y, expected) < tolerances.LOGITS_FLOAT32
    for new, old in zip(after, statistics, strict=True):
        assert tolerances.difference(new, old) < tolerances.STATISTICS


@only_tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_tf_function_with_gradients(jit_compile):
    import tensorflow as tf

    model = small(classifier_activation=None)
    before = [as_numpy(v) for v in model.variables]

    def step(x):
        with tf.GradientTape() as tape:
            y = model(x, training=True)
            loss = tf.reduce_mean(tf.square(y))
        return [y, *tape.gradient(loss, [v.value for v in model.trainable_variables])]

    expected = [as_numpy(t) for t in step(tf.constant(normal(4, 32, 32, 3)))]
    statistics = [as_numpy(v) for v in model.non_trainable_variables]
    for variable, value in zip(model.variables, before, strict=True):
        variable.assign(value)
    found = tf.function(step, jit_compile=jit_compile)(tf.constant(normal(4, 32, 32, 3)))
    for new, old in zip(found, expected, strict=True):
        assert tolerances.difference(as_numpy(new), old) < tolerances.GRADIENTS
    for variable, old in zip(model.non_trainable_variables, statistics, strict=True):
        assert tolerances.difference(as_numpy(variable), old) < tolerances.STATISTICS


@pytest.mark.parametrize("jit_compile", [False, "auto"])
def test_grouped_convolution_trains(jit_compile):
    model = small()
    before = values(model)
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", jit_compile=jit_compile)
    history = model.fit(normal(8, 32, 32, 3), np.arange(8) % 5, batch_size=4, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    unmoved = [path for path, value in values(model).items() if path in before and (value == before[path]).all()]
    assert not unmoved


@only_torch
def test_no_float32_copy_of_a_narrow_activation():
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    model = small(dtype="mixed_bfloat16", include_top=False, groups=1, group_width=64)
    x = torch.from_numpy(normal(4, 32, 32, 3))  # the image itself is float32, and is no activation
    smallest = 4 * 4 * 4 * 16  # numbers in the least activation: batch, pixels, channels
    kernels = {tuple(v.shape) for v in model.variables}
    made = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            outputs = function(*args, **(kwargs or {}))
            for tensor in outputs if isinstance(outputs, (tuple, list)) else [outputs]:
                if (  # noqa: SIM102
                    isinstance(tensor, torch.Tensor)
                    and tensor.ndim == 4
                    and tensor.dtype == torch.float32
                    and tensor.numel() >= smallest
                    and tensor.shape != x.shape
                ):
                    # A view of a kernel is no activation: its axes are the kernel's, in some order.
                    if not any(sorted(tensor.shape) == sorted(shape) for shape in kernels):
                        made.append((str(function), tuple(tensor.shape)))
            return outputs

    for training in (True, False):
        with Watch():
            y = model(x, training=training)
        assert y.dtype == torch.bfloat16
        assert not made


@only_torch
def test_a_training_step_copies_few_activations():
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    model = small(groups=1, group_width=64)
    x = torch.from_numpy(normal(4, 32, 32, 3))
    copies = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            outputs = function(*args, **(kwargs or {}))
            name = function.overloadpacket.__name__
            if name in ("clone", "copy_", "_to_copy", "contiguous") and outputs.ndim == 4 and outputs.shape[0] == 4:
                copies.append((name, tuple(outputs.shape)))
            return outputs

    with Watch():
        model(x, training=True).square().mean().backward()
    assert len(copies) <= 1, copies


@only_torch
def test_kernels_and_slots_stay_channels_last(tmp_path):
    model = small()

    def check():
        for layer in model._flatten_layers():
            if isinstance(layer, layers.Conv2D):
                assert layer._kernel.value.permute(3, 2, 0, 1).is_contiguous(memory_format=channels_last), layer.path

    import torch

    channels_last = torch.channels_last
    check()
    model.compile(keras.optimizers.Adam(), "sparse_categorical_crossentropy")
    model.fit(normal(8, 32, 32, 3), np.arange(8) % 5, batch_size=4, verbose=0)
    check()
    model.set_weights(model.get_weights())
    check()
    model.save_weights(tmp_path / "a.weights.h5")
    model.load_weights(tmp_path / "a.weights.h5")
    check()
    keras_resnet.load_weights(model, tmp_path / "a.weights.h5")
    check()
    strides = {(tuple(v.shape), v.value.stride()) for v in model.trainable_variables if len(v.shape) == 4}
    slots = [v for v in model.optimizer.variables if len(v.shape) == 4]
    assert len(slots) == 2 * sum(len(v.shape) == 4 for v in model.trainable_variables)
    for slot in slots:
        assert (tuple(slot.shape), slot.value.stride()) in strides, slot.path


@pytest.mark.parametrize("change", ["assign", "statistics", "fit", "load"])
def test_folded_kernels_follow_the_weights(change, tmp_path):
    model = small(classifier_activation=None)
    x = normal(2, 32, 32, 3)
    model.predict(x, verbose=0)
    if BACKEND == "torch":
        import torch

        with torch.no_grad():
            first = as_numpy(model(x))
        held = [layer.folded._held for layer in model._flatten_layers() if isinstance(layer, layers.Conv2D)]
        assert all(held)
    first = model.predict(x, verbose=0)
    block = model.get_layer("stage1_block1")
    if change == "assign":
        block.conv2.kernel.assign(block.conv2.kernel.value * 2)
    elif change == "statistics":
        block.norm2.moving_variance.assign(block.norm2.moving_variance.value * 4)
    elif change == "fit":
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.fit(normal(4, 32, 32, 3, seed=3), normal(4, 5), batch_size=2, verbose=0)
    else:
        for variable in model.trainable_variables:
            variable.assign(variable.value * 1.1)
        model.save_weights(tmp_path / "a.weights.h5")
        for variable in model.trainable_variables:
            variable.assign(variable.value / 1.1)
        model.predict(x, verbose=0)
        keras_resnet.load_weights(model, tmp_path / "a.weights.h5")
    with keras_resnet.backend.use_reference():
        expected = as_numpy(model(x))
    y = model.predict(x, verbose=0)
    assert tolerances.difference(y, expected) < tolerances.LOGITS_FLOAT32
    assert tolerances.difference(y, first) > 10 * tolerances.LOGITS_FLOAT32


@only_torch
def test_no_folding_while_a_tape_watches():
    model = small()
    model(normal(2, 32, 32, 3)).sum().backward()
    for layer in model._flatten_layers():
        if isinstance(layer, layers.Conv2D):
            assert layer.folded._held is None
            assert layer.kernel.value.grad is not None, layer.path
