"""The stub file says what the rows say."""

import keras
import pytest

from tests import stubs


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="the same on every backend; runs on JAX")
def test_the_stub_file_is_up_to_date():
    assert stubs.PATH.read_text() == stubs.render()
