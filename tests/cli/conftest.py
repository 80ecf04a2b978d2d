import pytest


@pytest.fixture(autouse=True)
def no_window(monkeypatch):
    """The width of the window that the tests were started from does not matter."""
    monkeypatch.delenv("COLUMNS", raising=False)
