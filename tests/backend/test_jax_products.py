"""The JAX twin's convolutions by products: whatever derivative is asked for, it is that of XLA's own convolution."""

import os

import numpy as np
import pytest

if os.environ.get("KERAS_BACKEND") != "jax":
    pytest.skip("about a primitive of the JAX twin", allow_module_level=True)

import jax
import jax.numpy as jnp
from jax import lax

from keras_resnet.backend import jax as twin
from tests.tolerances import OPERATION_GRADIENT, difference

CASES = {
    "1x1": ((1, 1), (1, 1), ((0, 0), (0, 0)), 6),
    "3x3": ((3, 3), (1, 1), ((1, 1), (1, 1)), 6),
    "3x3 without padding": ((3, 3), (1, 1), ((0, 0), (0, 0)), 6),
    "3x3 over two, odd": ((3, 3), (2, 2), ((1, 1), (1, 1)), 7),
    "3x3 over two, even": ((3, 3), (2, 2), ((1, 1), (1, 1)), 6),
    "3x1": ((3, 1), (1, 1), ((1, 1), (0, 0)), 5),
}
DERIVATIVES = {
    "value": lambda f, x, k: f(x, k),
    "gradients": lambda f, x, k: jax.grad(f, (0, 1))(x, k),
    "gradients, compiled": lambda f, x, k: jax.jit(jax.grad(f, (0, 1)))(x, k),
    "forward mode": lambda f, x, k: jax.jvp(f, (x, k), (x, k)),
    "gradients of each image": lambda f, x, k: jax.vmap(jax.grad(f, (0, 1)), (0, None))(x[:, None], k),
    "gradients of each kernel": lambda f, x, k: jax.vmap(jax.grad(f, 1), (None, 0))(x, jnp.stack([k, 2 * k])),
    "second derivative": lambda f, x, k: jax.hessian(lambda scale: f(x, scale * k))(jnp.ones((), x.dtype)),
    "gradient of a gradient": lambda f, x, k: jax.grad(lambda x: jax.grad(f, 1)(x, k).astype("float32").sum())(x),
    "recomputed": lambda f, x, k: jax.grad(jax.checkpoint(f), 1)(x, k),
}


@pytest.mark.parametrize("derivative", DERIVATIVES)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_is_the_convolution(dtype, case, derivative):
    window, strides, pads, size = CASES[case]
    generator = np.random.default_rng(3)
    x = jnp.asarray(generator.standard_normal((2, size, size, 8)), dtype)
    kernel = jnp.asarray(generator.standard_normal((*window, 8, 5)), dtype)

    def ours(x, kernel):
        return twin._products.bind(x, kernel, strides=strides, pads=pads)

    def xla(x, kernel):
        return lax.conv_general_dilated(x, kernel, strides, pads, dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def results(convolution):
        return DERIVATIVES[derivative](lambda x, kernel: (convolution(x, kernel).astype("float32") ** 2).sum(), x, kernel)

    for got, expected in zip(jax.tree.leaves(results(ours)), jax.tree.leaves(results(xla)), strict=True):
        assert got.dtype == expected.dtype
        assert difference(got, expected) < OPERATION_GRADIENT[dtype]


@pytest.mark.parametrize(("size", "channels", "chosen"), [(14, 128, True), (14, 64, False), (56, 512, False)])
def test_larger_kernels_only_where_that_is_faster(size, channels, chosen):
    image = jax.ShapeDtypeStruct((16, size, size, channels), "bfloat16")
    kernel = jax.ShapeDtypeStruct((3, 3, channels, 128), "bfloat16")
    program = str(jax.make_jaxpr(lambda x, k: twin.conv2d(x, k, padding=(1, 1)))(image, kernel))
    assert ("convolution_by_products" in program) == chosen
    generous = str(jax.make_jaxpr(lambda x, k: twin.conv2d(x, k, padding=(3, 3)))(image, kernel))
    assert "convolution_by_products" not in generous  # its gradient would have to pad by less than nothing
    wide = [jax.ShapeDtypeStruct(a.shape, "float32") for a in (image, kernel)]
    assert "convolution_by_products" not in str(jax.make_jaxpr(lambda x, k: twin.conv2d(x, k, padding=(1, 1)))(*wide))


def test_works_within_shard_map():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("devices",))
    spread, whole = jax.sharding.PartitionSpec("devices"), jax.sharding.PartitionSpec()
    parallel = jax.shard_map(twin.conv2d, mesh=mesh, in_specs=(spread, whole), out_specs=spread)
    x, kernel = jnp.ones((2, 4, 4, 3)), jnp.ones((1, 1, 3, 2))
    gradient = jax.jit(jax.grad(lambda k: parallel(x, k).sum()))(kernel)
    assert (np.asarray(gradient) == 32).all()
