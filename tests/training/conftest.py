"""One backend is enough for most of the program's tests while nobody asks for all: what differs between backends is `keras_resnet`'s."""

import pathlib

import pytest

from tests.quick import ON_TORCH

HERE = pathlib.Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what is marked
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks this folder's tests full on the other backends."""
    for item in items:
        if not ON_TORCH and HERE in item.path.parents:
            item.add_marker(pytest.mark.full)
