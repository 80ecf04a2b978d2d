"""Which tests one backend is enough for, as long as nobody asks for all."""

from typing import Any

import keras
import pytest

ON_TORCH = keras.backend.backend() == "torch"


def all_on_torch(values: Any, quick: Any) -> list:
    """Parameters of a test: all on PyTorch; on the other backends those of `quick`, and the rest as full."""
    return [value if ON_TORCH or value in quick else pytest.param(value, marks=pytest.mark.full) for value in values]


def quick_on_torch(test: Any) -> Any:
    """Marks a test as full on the other backends: what it holds is the same there, and building large networks takes them seconds."""
    return test if ON_TORCH else pytest.mark.full(test)
