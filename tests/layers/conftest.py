"""What holds for the tests of layers and models: on JAX nearly all their time is compilation, so XLA is told not to optimize."""

import keras
import pytest


@pytest.fixture(autouse=True)
def compile_fast():
    """Turns off XLA's optimizations on JAX for the length of a test."""
    if keras.backend.backend() != "jax":
        yield
        return
    import jax

    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
