"""Pictures to learn from, for all tests that do not change them."""

import pytest

from tests.applications import picture_folders


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """The folder of `picture_folders.crops`."""
    folder = tmp_path_factory.mktemp("pictures")
    picture_folders.crops(folder)
    return folder
