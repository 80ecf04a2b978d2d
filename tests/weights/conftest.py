"""One small model and its files, for all tests that must change neither."""

import pytest

from tests.weights import files
from tests.weights.spoilt import SUFFIXES


@pytest.fixture(scope="module")
def model():
    """One model for all tests: none of them may change it."""
    return files.small(1)


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict[str, bytes]:
    """What a file of each format holds, made from a model with other numbers."""
    folder, other = tmp_path_factory.mktemp("written"), files.small(2)
    return {suffix: files.write(other, folder / f"model{suffix}").read_bytes() for suffix in SUFFIXES}
