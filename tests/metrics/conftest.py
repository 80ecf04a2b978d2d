"""On JAX, XLA does not optimize here: nearly all the time of these tests would be compilation, of one small operation after another."""

import keras
import pytest


@pytest.fixture(autouse=True, scope="package")
def compile_at_once():
    if keras.backend.backend() != "jax":
        yield
        return
    import jax

    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
