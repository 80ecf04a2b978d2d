"""A server that is trusted, and an empty cache."""

import pathlib

import pytest

from tests.weights import local_server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> pathlib.Path:
    return local_server.make_certificate(tmp_path_factory.mktemp("certificate") / "server.pem")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch, certificate) -> pathlib.Path:
    """An empty cache; the server is trusted; and no proxy of this machine."""
    for name in ("KERAS_RESNET_OFFLINE", "HF_HUB_OFFLINE", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("KERAS_RESNET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def server(certificate):
    with local_server.serving(certificate) as running:
        yield running
