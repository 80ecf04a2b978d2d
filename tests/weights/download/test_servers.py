"""Servers that are slow, lie, refuse, or are not there: every failure is one error, in time."""

import hashlib
import socket
import time

import keras
import pytest

from keras_resnet.weights import download as module
from keras_resnet.weights.connection import Limits
from keras_resnet.weights.download import download
from tests.weights import local_server
from tests.weights.download.downloading import HASTY, NAME, OTHER_SHA, PATIENT, SHA, fetch, names, only_good, refused
from tests.weights.local_server import CONTENT, OTHER, drips, endless, redirect, says, silent, status, whole

pytestmark = pytest.mark.skipif(keras.backend.backend() != "torch", reason="no backend takes part; runs with torch")


class TestSlow:
    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (silent, "no answer"),
            (whole(stop=30_000, hang=True), "the connection broke"),
            (drips(b"HTTP/1.1 200 OK\r\nX-Slow: "), "too little"),
            (drips(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"), "too little"),
            (drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;"), "too little"),
        ],
    )
    def test_ends(self, server, cache, answer, said):
        """Three attempts of 0.3 s of silence or 0.6 s of drops; and the fourth call of a server that recovers is good."""
        server.answers = [*[answer] * 3, whole()]
        with refused(said, "3 of 3", seconds=3 * 0.6 + 3):
            fetch(server, limits=HASTY)
        fetch(server, limits=HASTY)
        assert only_good(cache)

    def test_slow_but_steady_is_no_fault(self, server, cache):
        def slow(handler):
            handler.head(200, Content_Length=len(CONTENT))
            for start in range(0, len(CONTENT), 5000):
                handler.send(CONTENT[start : start + 5000])
                time.sleep(0.05)

        server.answers = [slow]
        fetch(server, limits=HASTY)
        assert only_good(cache)
        assert len(server.requests) == 1

    def test_no_handshake(self, cache):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"https://127.0.0.1:{listener.getsockname()[1]}/{NAME}"
            with refused("no connection"):
                module._download(url, SHA, "", Limits(connect=0.3, attempts=2, backoff=0.01))


class TestLies:
    def test_announces_more_than_comes(self, server, cache):
        server.answers = [says(Content_Length=len(CONTENT) + 1)]
        with refused("broke off after 100,000 of 100,001"):
            fetch(server)
        assert names(cache) == set()

    def test_announces_less_than_comes(self, server, cache):
        server.answers = [says(Content_Length=len(CONTENT) - 1)]
        with refused("another file"):
            fetch(server)
        assert names(cache) == set()
        assert len(server.requests) == 1

    def test_announces_too_much(self, server, cache):
        server.answers = [whole(stop=0, hang=True)]
        with refused("100,000 bytes", "99,999", seconds=3):
            fetch(server, limits=Limits(most_bytes=99_999))
        assert names(cache) == set()

    def test_sends_too_much(self, server, cache):
        server.answers = [endless]
        with refused("more than the allowed 1,048,576"):
            fetch(server, "")
        assert names(cache) == set()

    @pytest.mark.parametrize("length", ["-1", "x", "9" * 5000, None])
    def test_no_length(self, server, cache, length):
        server.answers = [says(**(dict(Content_Length=length) if length else {}))]
        with refused("how long"):
            fetch(server)
        assert names(cache) == set()

    def test_part_that_nobody_asked_for(self, server, cache):
        server.answers = [says(number=206, Content_Length=len(CONTENT), Content_Range="bytes 0-99999/100000")]
        with refused("206"):
            fetch(server)
        assert names(cache) == set()

    def test_packed(self, server, cache):
        server.answers = [says(Content_Length=len(CONTENT), Content_Encoding="gzip")]
        with refused("packs"):
            fetch(server)
        assert "gzip" not in server.requests[0][2]["Accept-Encoding"]

    def test_no_http(self, server, cache):
        server.answers = [lambda handler: handler.wfile.write(b"\x1b[31mhello\n" * 100)]
        with refused("no answer", r"\x1b"):
            fetch(server)

    @pytest.mark.parametrize("digest", [OTHER_SHA, OTHER_SHA[:15], f"md5:{hashlib.md5(OTHER).hexdigest()}"])
    def test_another_file(self, server, cache, digest):
        with refused("another file", digest):
            fetch(server, digest)
        assert names(cache) == set()
        assert len(server.requests) == 1


class TestAnswers:
    @pytest.mark.parametrize("number", [400, 401, 403, 404, 410, 204, 300])
    def test_refusals_are_final(self, server, cache, number):
        server.answers = [status(number)]
        with refused(f"answered {number}"):
            fetch(server)
        assert len(server.requests) == 1
        assert names(cache) == set()

    @pytest.mark.parametrize("number", [408, 429, 500, 502, 503, 504])
    def test_troubles_pass(self, server, cache, number):
        server.answers = [status(number), status(number), whole()]
        fetch(server)
        assert only_good(cache)

    def test_troubles_that_stay(self, server, cache):
        server.answers = [status(503)]
        with refused("answered 503", "3 of 3"):
            fetch(server)
        assert len(server.requests) == 3
        assert names(cache) == set()

    @pytest.mark.parametrize("value", ["1", "date"])
    def test_waits_as_asked(self, server, cache, value):
        server.answers = [status(429, Retry_After=local_server.in_seconds(2) if value == "date" else value), whole()]
        start = time.monotonic()
        fetch(server)
        assert 0.9 < time.monotonic() - start < 8  # HTTP's dates count whole seconds
        assert only_good(cache)

    @pytest.mark.parametrize("value", ["3600", "999999999", "Sat, 21 Nov 2099 10:00:00 GMT"])
    def test_does_not_wait_for_ever(self, server, cache, value):
        server.answers = [status(429, Retry_After=value)]
        with refused("429", "asks to wait", seconds=3):
            fetch(server)
        assert len(server.requests) == 1

    @pytest.mark.parametrize("value", ["soon", "-5", "9" * 5000, "Sat, 99 Nov 2099 10:00:00 GMT"])
    def test_wait_that_is_none(self, server, cache, value):
        server.answers = [status(429, Retry_After=value), whole()]
        fetch(server)
        assert only_good(cache)

    @pytest.mark.parametrize(
        "target", ["http://127.0.0.1/x", "file:///etc/passwd", "https://user:word@127.0.0.1/", "ftp://127.0.0.1/", "https://:1/"]
    )
    def test_redirected_to_what_is_not_asked(self, server, cache, target):
        server.answers = [redirect(target)]
        with refused("redirects", "https://"):
            fetch(server)
        assert len(server.requests) == 1

    def test_redirected_in_a_circle(self, server, cache):
        server.answers = [redirect(f"/{NAME}")]
        with refused("more than 5 times"):
            fetch(server)
        assert len(server.requests) == 6


class TestNoConnection:
    def test_not_trusted(self, server, cache, monkeypatch):
        monkeypatch.delenv("SSL_CERT_FILE")
        with refused("certificate is not trusted"):
            fetch(server)
        assert server.requests == []

    def test_nobody_there(self, cache):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        with refused("no connection", "refused"):
            module._download(f"https://127.0.0.1:{port}/{NAME}", SHA, "", PATIENT)
        assert names(cache) == set()

    def test_no_network(self, cache, monkeypatch):
        def unknown(*args, **kwargs):
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        with refused("'weights.example' is not found", seconds=3):
            download(f"https://weights.example/{NAME}", SHA)

    @pytest.mark.parametrize("variable", ["KERAS_RESNET_OFFLINE", "HF_HUB_OFFLINE"])
    def test_offline(self, server, cache, monkeypatch, variable):
        monkeypatch.setenv(variable, "1")
        with refused("not in the cache", variable):
            fetch(server)
        assert not cache.exists()
        cache.mkdir()
        (cache / NAME).write_bytes(OTHER)
        with refused("another file", variable):
            fetch(server)
        (cache / NAME).write_bytes(CONTENT)
        assert fetch(server) == cache / NAME
        assert server.requests == []
