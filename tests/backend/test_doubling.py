"""A convolution of a doubled and joined map beside the three steps it stands for: values, gradients, and where it is used."""

import contextlib

import keras
import numpy as np
import pytest

from keras_resnet import backend, layers
from keras_resnet.backend import doubling
from tests import tolerances
from tests.arrays import as_numpy, normal
from tests.gradients import value_and_gradients

FAST = pytest.mark.skipif(keras.backend.backend() not in ("torch", "jax", "tensorflow"), reason="has no fast path")

TORCH = pytest.mark.skipif(keras.backend.backend() != "torch", reason="of PyTorch's tracers and folded kernels")


def turned(array, data_format):
    return array if data_format == "channels_last" else np.ascontiguousarray(array.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("others", [(), (3,), (3, 2)], ids=str)
@pytest.mark.parametrize("biased", [False, True])
def test_values_and_gradients_are_those_of_the_three_steps(others, biased, data_format):
    maps = [turned(normal(2, 5, 4, 4), data_format), *(turned(normal(2, 10, 8, width, seed=width), data_format) for width in others)]
    operands = [*maps, normal(3, 3, 4 + sum(others), 5, seed=7), *([normal(5, seed=8)] if biased else [])]

    def operation(convolve):
        def run(*tensors):
            x, *joined = tensors[: len(maps)]
            return convolve(x, joined, tensors[len(maps)], tensors[-1] if biased else None, data_format)

        return run

    y, gradients = value_and_gradients(operation(backend.doubled_conv2d), *operands)
    expected, expected_gradients = value_and_gradients(operation(doubling.doubled_conv2d), *operands)
    assert tolerances.difference(y, expected) < tolerances.OPERATION["float32"]
    for actual, right in zip(gradients, expected_gradients, strict=True):
        assert tolerances.difference(actual, right) < tolerances.OPERATION_GRADIENT["float32"]


def test_only_what_is_twice_as_large_is_doubled():
    x = keras.ops.convert_to_tensor(normal(8, 16, 12, 4))
    twice = keras.ops.convert_to_tensor(normal(8, 32, 24, 3))
    fast = keras.backend.backend() in ("torch", "jax", "tensorflow")
    assert backend.doubling_pays(x, [twice], "channels_last") is fast
    assert backend.doubling_pays(x, [], "channels_last") is fast
    for height, width in ((31, 24), (32, 23), (16, 12)):
        assert not backend.doubling_pays(x, [twice, keras.ops.convert_to_tensor(normal(8, height, width, 3))], "channels_last")
    assert not backend.doubling_pays(keras.ops.cast(x, "bfloat16"), [keras.ops.cast(twice, "bfloat16")], "channels_last")
    for slow in (backend.use_reference(), backend.recording()):
        with slow:
            assert not backend.doubling_pays(x, [twice], "channels_last")


@FAST
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("joins", [True, False])
@pytest.mark.parametrize("norm", ["batch", "group", None])
def test_a_block_gives_what_the_reference_does(norm, joins, training, monkeypatch):
    block = layers.DecoderBlock(8, joins=joins, norm=norm)
    maps = [keras.ops.convert_to_tensor(normal(8, 16, 12, 4)), *(keras.ops.convert_to_tensor(normal(8, 32, 24, c, seed=c)) for c in (3, 2))]
    block.build([tuple(one.shape) for one in maps])
    for place, variable in enumerate(block.variables):
        if len(variable.shape) == 1 and variable.dtype == "float32":
            variable.assign(np.abs(normal(*variable.shape, seed=place)) + 0.5)
    before = [as_numpy(variable) for variable in block.variables]
    asked = []
    pays = backend.doubling_pays
    monkeypatch.setattr(backend, "doubling_pays", lambda *args: asked.append(pays(*args)) or asked[-1])
    results = []
    for path in (contextlib.nullcontext(), backend.use_reference()):
        with path, no_gradient():
            results.append(as_numpy(block(maps, training=training)))
        moved = [as_numpy(variable) for variable in block.variables]
        for variable, value in zip(block.variables, before, strict=True):
            variable.assign(value)
        results.append(moved)
    assert asked == [True, False]
    assert tolerances.difference(results[0], results[2]) < tolerances.OPERATION["float32"]
    for actual, expected in zip(results[1], results[3], strict=True):
        assert tolerances.difference(actual, expected) < tolerances.OPERATION_GRADIENT["float32"]


def no_gradient():
    """As `predict`, where PyTorch folds norms into kernels."""
    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()


def block_and_maps(sizes):
    block = layers.DecoderBlock(8)
    maps = [
        [keras.ops.convert_to_tensor(normal(n, h, w, 4, seed=n)), keras.ops.convert_to_tensor(normal(n, 2 * h, 2 * w, 3, seed=h))]
        for n, h, w in sizes
    ]
    block.build([tuple(one.shape) for one in maps[0]])
    return block, maps


@TORCH
def test_a_folded_kernel_is_for_all_sizes_and_made_anew_when_a_weight_changes():
    block, maps = block_and_maps([(8, 16, 12), (1, 5, 7), (3, 1, 1), (8, 16, 12)])
    for factor in (1.0, 2.0):
        block.conv1.kernel.assign(factor * block.conv1.kernel)
        for one in maps:
            with no_gradient():
                y = as_numpy(block(one))
                with backend.use_reference():
                    expected = as_numpy(block(one))
            assert tolerances.difference(y, expected) < tolerances.OPERATION["float32"]


@TORCH
@pytest.mark.filterwarnings("ignore:`torch.jit.trace:DeprecationWarning")
def test_what_is_traced_holds_for_every_size():
    """A choice by an image's size would be traced as if all had that one."""
    import torch

    block, (one, other) = block_and_maps([(8, 16, 12), (2, 9, 6)])
    wider = [other[0], other[1][:, :-1, :-1]]

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.block = block

        def forward(self, x, skip):
            return self.block([x, skip])

    with no_gradient():
        traced = torch.jit.trace(Module(), tuple(one), check_trace=False)
        sizes = {0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO}
        exported = torch.export.export(Module(), tuple(one), dynamic_shapes=(sizes, sizes)).module()
        for maps in (one, other, wider):
            expected = as_numpy(block(maps))
            for program in (traced, exported):
                assert tolerances.difference(as_numpy(program(*maps)), expected) < tolerances.OPERATION["float32"]


@TORCH
def test_a_batch_of_others_alone():
    import torch

    x, others, kernel = (torch.tensor(normal(*shape)) for shape in ((2, 16, 12, 4), (3, 2, 32, 24, 3), (3, 3, 7, 5)))
    y = torch.func.vmap(lambda skip: backend.doubled_conv2d(x, [skip], kernel))(others)
    assert y.shape == (3, 2, 32, 24, 5)
    assert tolerances.difference(as_numpy(y[1]), as_numpy(backend.doubled_conv2d(x, [others[1]], kernel))) < tolerances.OPERATION["float32"]


@FAST
def test_upsample_conv(monkeypatch):
    layer = layers.UpsampleConv2D(5)
    x = keras.ops.convert_to_tensor(normal(8, 16, 12, 4))
    layer.build(x.shape)
    layer.conv.bias.assign(normal(5, seed=3))
    y = as_numpy(layer(x))
    monkeypatch.setattr(backend, "doubling_pays", lambda *args: False)
    assert tolerances.difference(y, as_numpy(layer(x))) < tolerances.OPERATION["float32"]
