"""Downloads, from a server of ours that does what servers do and should not. No network; every failure is one error, in time."""

import contextlib
import dataclasses
import errno
import hashlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import filelock
import keras
import pytest

from keras_resnet.weights import download as module
from keras_resnet.weights import transfer
from keras_resnet.weights.connection import Limits
from keras_resnet.weights.download import DownloadError, cache_folder, download
from tests.weights import local_server
from tests.weights.local_server import CONTENT, OTHER, chunked, drips, endless, redirect, says, silent, status, whole

pytestmark = pytest.mark.skipif(keras.backend.backend() != "torch", reason="no backend takes part; runs with torch")

ROOT = pathlib.Path(__file__).parents[2]
SHA, OTHER_SHA = (f"sha256:{hashlib.sha256(content).hexdigest()}" for content in (CONTENT, OTHER))
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
NAME = "weights.h5"
PATIENT = Limits(attempts=3, backoff=0.01, longest_wait=3, most_bytes=2**20)
HASTY = dataclasses.replace(PATIENT, connect=2, read=0.3, stall=0.6, least=5000, lock=0.5)
# The package without its own page, which would import Keras: eight processes of that would take most of a minute.
WITHOUT_KERAS = f"""
import sys, types
package = types.ModuleType("keras_resnet")
package.__path__ = [{str(ROOT / "keras_resnet")!r}]
sys.modules["keras_resnet"] = package
from keras_resnet.weights.connection import Limits
from keras_resnet.weights.download import _download
assert not {{"keras", "torch", "jax", "tensorflow"}} & sys.modules.keys()
"""
WAYS_OUT = ("..", ".", ".hidden", "../up.h5", "a/b.h5", "a\\b.h5", "/etc/passwd", "C:x", "C:\\x", "~", "$HOME", "-rf")
NO_NAMES = ("nul", "NUL.h5", "com1.txt", "x\0y", "x\ny", "a" * 201, "end.", "end ", " start", "ä.h5", "a:b", "a*b", 7)
NOT_HTTPS = ("http://h/x", "file:///x", "ftp://h/x", "x", "", None, 7, b"https://h/x")
NO_HOSTS = ("https://", "https:///x", "https://a b/x", "https://u:p@h/x", "https://h:x/x", "https://h:99999/x", "https://[::1/x")
NO_HOSTS += ("https://h/\r\nHost: x/y", "https://h\\@g/x", "https://ä/x")


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


def fetch(server, digest: str = SHA, limits: Limits = PATIENT, path: str = f"/{NAME}") -> pathlib.Path:
    return module._download(server.url(path), digest, "", limits)


def names(cache: pathlib.Path) -> set[str]:
    return {path.name for path in cache.rglob("*")} if cache.exists() else set()


def only_good(cache: pathlib.Path) -> bool:
    """The file, what is remembered of it, and nothing else."""
    return names(cache) == {NAME, f".{NAME}.json"} and (cache / NAME).read_bytes() == CONTENT


@contextlib.contextmanager
def refused(*words: str, seconds: float = 5.0):
    """One error with these words, within these seconds, that says what to do."""
    start = time.monotonic()
    with pytest.raises(DownloadError) as caught:
        yield
    assert time.monotonic() - start < seconds
    for word in (*words, NAME, "https://", str(cache_folder() / NAME), "weights=None"):
        assert word in str(caught.value)


class TestGood:
    @pytest.mark.parametrize("digest", [SHA, SHA[:15], MD5, ""])
    def test_once(self, server, cache, digest):
        path = fetch(server, digest)
        assert path == cache / NAME
        assert only_good(cache)
        assert fetch(server, digest) == path
        assert len(server.requests) == 1

    def test_public_call(self, server, cache):
        assert download(server.url("/some/where.h5?download=1"), SHA, name=NAME).read_bytes() == CONTENT
        assert only_good(cache)

    def test_other_kinds_of_digest_of_what_is_there(self, server, cache):
        for digest in ("", SHA, SHA[:20], MD5, MD5):
            fetch(server, digest)
        assert len(server.requests) == 1

    def test_chunks(self, server, cache):
        server.answers = [chunked]
        fetch(server)
        assert only_good(cache)

    def test_empty_file(self, server, cache):
        server.answers = [whole(b"")]
        assert fetch(server, "").read_bytes() == b""

    def test_redirected(self, server, cache):
        server.answers = [redirect("/elsewhere"), redirect(server.url("/really here?x=1")), whole()]
        fetch(server)
        assert only_good(cache)
        assert [path for _, path, _ in server.requests] == [f"/{NAME}", "/elsewhere", "/really%20here?x=1"]

    def test_through_a_proxy(self, server, cache, monkeypatch):
        monkeypatch.setenv("no_proxy", "")
        with local_server.tunnelling() as (port, heads):
            monkeypatch.setenv("https_proxy", f"http://me:se%40cret@127.0.0.1:{port}")
            fetch(server)
        assert only_good(cache)
        assert heads[0].startswith(b"CONNECT 127.0.0.1:")
        assert b"Basic bWU6c2VAY3JldA==" in heads[0]
        assert "Proxy-Authorization" not in server.requests[0][2]

    def test_bar_only_on_a_terminal(self, server, cache, capsys, monkeypatch):
        fetch(server)
        assert capsys.readouterr() == ("", "")
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        fetch(server, path="/another.h5")
        out, err = capsys.readouterr()
        assert out == ""
        assert "another.h5:   0%" in err


class TestResumes:
    def test_within_a_call(self, server, cache):
        server.answers = [whole(stop=30_000), whole(stop=70_000), whole()]
        fetch(server)
        assert only_good(cache)
        assert [headers.get("Range") for _, _, headers in server.requests] == [None, "bytes=30000-", "bytes=70000-"]
        assert server.sent == len(CONTENT)

    def test_in_the_next_call(self, server, cache):
        server.answers = [*(whole(stop=10_000 * (i + 1)) for i in range(3)), whole()]
        with refused("broke off", "30,000 of 100,000"):
            fetch(server)
        assert NAME not in names(cache)
        fetch(server)
        assert only_good(cache)
        assert server.sent == len(CONTENT)

    def test_by_date(self, server, cache):
        date = "Sat, 21 Nov 2026 10:00:00 GMT"
        server.answers = [whole(tag="", stop=30_000, Last_Modified=date), whole(tag="", Last_Modified=date)]
        fetch(server)
        assert only_good(cache)
        assert server.sent == len(CONTENT)

    @pytest.mark.parametrize("tag", ["", 'W/"weak"', "no quotes"])
    def test_not_what_has_no_name(self, server, cache, tag):
        server.answers = [whole(tag=tag, stop=30_000), whole(tag=tag)]
        fetch(server)
        assert only_good(cache)
        assert "Range" not in server.requests[1][2]

    def test_nothing_is_left_of_what_has_no_name(self, server, cache):
        server.answers = [whole(tag="", stop=30_000)]
        with refused("broke off"):
            fetch(server)
        assert names(cache) == set()

    def test_not_into_changed_content(self, server, cache):
        server.answers = [whole(OTHER, tag='"old"', stop=30_000), whole(CONTENT, tag='"new"')]
        fetch(server, "")
        assert only_good(cache)

    @pytest.mark.parametrize(
        "headers",
        [
            dict(ETag='"new"', Content_Range="bytes 30000-99999/100000"),
            dict(Content_Range="bytes 30000-99999/100000"),
            dict(ETag='"old"', Content_Range="bytes 0-69999/100000"),
            dict(ETag='"old"', Content_Range="bytes 30000-99999/*"),
            dict(ETag='"old"', Content_Range="bytes 30000-99998/99999"),
            dict(ETag='"old"', Content_Range="bytes 30000-99999/100001"),
            dict(ETag='"old"'),
            dict(ETag='"old"', Content_Range="bytes 30000-99999/100000", Content_Length=60_000),
        ],
    )
    def test_not_from_another_part(self, server, cache, headers):
        """A server that knows no If-Range, or counts wrong: what it sends is not joined to what is there, digest or none."""
        lie = says(CONTENT[30_000:], 206, **(dict(Content_Length=70_000) | headers))
        server.answers = [whole(OTHER, tag='"old"', stop=30_000), lie, whole()]
        fetch(server, "")
        assert only_good(cache)
        assert "Range" not in server.requests[2][2]

    def test_lie_with_the_right_headers(self, server, cache):
        """Only the digest can tell; then all is fetched anew, once."""
        server.answers = [whole(OTHER, stop=30_000), whole(CONTENT), whole(CONTENT)]
        fetch(server)
        assert only_good(cache)
        assert "Range" not in server.requests[2][2]

    def test_part_spoilt_on_the_disk(self, server, cache):
        server.answers = [*[whole(stop=30_000)] * 3, whole()]
        with refused("broke off"):
            fetch(server)
        (cache / f".{NAME}.part").write_bytes(OTHER[:40_000])
        fetch(server)
        assert only_good(cache)

    @pytest.mark.parametrize("left", [b"", b"{}", b"[1]", b"\xff", b'{"url": 1, "tag": 2, "date": 3, "total": "x"}'])
    def test_part_of_nothing_known(self, server, cache, left):
        cache.mkdir()
        (cache / f".{NAME}.part").write_bytes(OTHER[:40_000])
        (cache / f".{NAME}.part.json").write_bytes(left)
        fetch(server)
        assert only_good(cache)
        assert "Range" not in server.requests[0][2]

    def test_part_longer_than_what_is_there_now(self, server, cache):
        server.answers = [whole(stop=30_000), status(416), whole()]
        fetch(server)
        assert only_good(cache)

    def test_whole_part_needs_no_request(self, server, cache):
        server.answers = [*[whole(stop=30_000)] * 3]
        with refused("broke off"):
            fetch(server)
        (cache / f".{NAME}.part").write_bytes(CONTENT)
        asked = len(server.requests)
        fetch(server)
        assert only_good(cache)
        assert len(server.requests) == asked

    def test_part_is_no_way_out(self, server, cache, tmp_path):
        server.answers = [*[whole(stop=30_000)] * 3, whole()]
        with refused("broke off"):
            fetch(server)
        (tmp_path / "precious").write_bytes(b"mine")
        (cache / f".{NAME}.part").unlink()
        (cache / f".{NAME}.part").symlink_to(tmp_path / "precious")
        fetch(server)
        assert (tmp_path / "precious").read_bytes() == b"mine"
        assert only_good(cache)

    def test_not_into_the_part_of_another_url(self, server, cache):
        """Servers may name different files by the same tag."""
        server.answers = [*[whole(OTHER, stop=30_000)] * 3, whole()]
        with refused("broke off"):
            fetch(server, "", path=f"/other/{NAME}")
        fetch(server, "")
        assert only_good(cache)

    def test_old_parts_are_swept(self, server, cache):
        cache.mkdir()
        for name, age in ((".old.h5.part", 8), (".old.h5.part.json", 8), (".new.h5.part", 1)):
            (cache / name).write_bytes(b"x")
            os.utime(cache / name, (time.time() - age * 86400,) * 2)
        fetch(server)
        assert names(cache) == {NAME, f".{NAME}.json", ".new.h5.part"}


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


class TestCache:
    def test_folder(self, monkeypatch, tmp_path):
        monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
        assert cache_folder() == tmp_path / "cache"
        monkeypatch.setenv("KERAS_RESNET_CACHE", "")
        assert cache_folder() == tmp_path / "keras" / "keras_resnet"
        monkeypatch.delenv("KERAS_HOME")
        assert cache_folder() == pathlib.Path.home() / ".cache" / "keras_resnet"
        monkeypatch.setenv("KERAS_RESNET_CACHE", "~/mine")
        assert cache_folder() == pathlib.Path.home() / "mine"
        monkeypatch.setenv("KERAS_RESNET_CACHE", "here")
        assert cache_folder() == pathlib.Path.cwd() / "here"

    def test_no_home(self, monkeypatch):
        def none():
            raise RuntimeError("Could not determine home directory.")

        for name in ("KERAS_RESNET_CACHE", "KERAS_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(pathlib.Path, "home", none)
        with pytest.raises(ValueError, match="KERAS_RESNET_CACHE"):
            cache_folder()

    @pytest.mark.parametrize("digest", [SHA, SHA[:15], MD5, ""])
    def test_changed_file_is_noticed(self, server, cache, digest):
        path = fetch(server, digest)
        path.write_bytes(OTHER)
        fetch(server, digest)
        assert only_good(cache)
        assert len(server.requests) == 2

    @pytest.mark.parametrize("digest", [SHA, MD5, ""])
    def test_touched_file_is_read_again_once_and_kept(self, server, cache, digest, monkeypatch):
        os.utime(fetch(server, digest), (1, 1))
        fetch(server, digest)
        monkeypatch.setattr(hashlib, "file_digest", None)
        fetch(server, digest)
        assert len(server.requests) == 1

    def test_read_once(self, server, cache, monkeypatch):
        fetch(server)
        monkeypatch.setattr(hashlib, "file_digest", None)
        fetch(server)
        fetch(server, "")

    @pytest.mark.parametrize("digest", [SHA, SHA[:15], MD5, ""])
    def test_put_there_by_hand(self, server, cache, digest):
        cache.mkdir()
        (cache / NAME).write_bytes(CONTENT)
        fetch(server, digest)
        assert server.requests == []

    def test_wrong_file_put_there_by_hand(self, server, cache):
        cache.mkdir()
        (cache / NAME).write_bytes(OTHER)
        server.answers = [status(404), whole()]
        with refused("404"):
            fetch(server)
        assert (cache / NAME).read_bytes() == OTHER  # somebody's; replaced once the right one is there
        fetch(server)
        assert only_good(cache)

    def test_same_name_from_elsewhere(self, server, cache):
        fetch(server, "")
        server.answers = [whole(OTHER)]
        assert fetch(server, "", path=f"/elsewhere/{NAME}").read_bytes() == OTHER
        assert fetch(server, OTHER_SHA, path=f"/third/{NAME}").read_bytes() == OTHER
        assert len(server.requests) == 2

    @pytest.mark.parametrize("record", [b"", b"[]", b'{"size": 100000}', b"\xff"])
    def test_spoilt_record(self, server, cache, record):
        fetch(server)
        (cache / f".{NAME}.json").write_bytes(record)
        assert fetch(server).read_bytes() == CONTENT
        assert len(server.requests) == 1

    def test_folder_in_the_place(self, server, cache):
        (cache / NAME).mkdir(parents=True)
        with refused("cannot be written"):
            fetch(server)
        assert names(cache) == {NAME}


class TestDisk:
    def test_no_folder_there(self, server, tmp_path, monkeypatch):
        (tmp_path / "file").write_bytes(b"")
        monkeypatch.setenv("KERAS_RESNET_CACHE", str(tmp_path / "file" / "cache"))
        with refused("cannot be written", "KERAS_RESNET_CACHE"):
            fetch(server)
        assert server.requests == []

    def test_read_only(self, server, cache):
        fetch(server)
        (cache / f".{NAME}.json").unlink()
        with only_readable(cache):
            assert fetch(server).read_bytes() == CONTENT
            assert fetch(server, "").read_bytes() == CONTENT
            with pytest.raises(DownloadError, match="cannot be written"):
                fetch(server, path="/another.h5")
        assert names(cache) == {NAME}
        assert len(server.requests) == 1

    def test_no_room(self, server, cache, monkeypatch):
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: type("Usage", (), dict(free=99_999)))
        with refused("needs 100,000 bytes", "99,999 free"):
            fetch(server)
        assert names(cache) == set()

    def test_full_at_the_end(self, server, cache, monkeypatch):
        def full(number):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(transfer.os, "fsync", full)
        with refused("No space left"):
            fetch(server)
        assert names(cache) == set()
        assert len(server.requests) == 1

    @pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX's")
    def test_full_half_way(self, server, cache):
        """The system itself refuses to write on, as it does on a full disk."""
        program = WITHOUT_KERAS + (
            "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
            f"try:\n    _download({server.url()!r}, {SHA!r}, '', Limits())\nexcept OSError as error:\n    print(error)"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
        assert "cannot be written (File too large)" in done.stdout, done.stderr
        assert names(cache) == set()


@contextlib.contextmanager
def only_readable(folder: pathlib.Path):
    """Nobody writes there: by its mode, and where we are root, whom no mode stops, by not being root."""
    parents = [*folder.parents][:-1]
    modes = {path: path.stat().st_mode for path in (folder, *parents)}
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    try:
        if root:
            for path in parents:
                path.chmod(modes[path] | 0o055)
        folder.chmod(0o555)
        if root:
            os.seteuid(65534)
        yield
    finally:
        if root:
            os.seteuid(0)
        for path, mode in modes.items():
            if path == folder or root:
                path.chmod(mode)


class TestProcesses:
    def start(self, server, count: int, digest: str = SHA, limits: str = "Limits(backoff=0.01)") -> list[subprocess.Popen]:
        program = WITHOUT_KERAS + f"print(_download({server.url()!r}, {digest!r}, '', {limits}).read_bytes()[:4].hex())"
        pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return [subprocess.Popen([sys.executable, "-c", program], **pipes) for _ in range(count)]

    @pytest.mark.parametrize("digest", [SHA, ""])
    def test_eight_at_once(self, server, cache, digest):
        """One transfer's worth, though the first answer breaks off; all eight get the good file."""

        def slow(handler):
            time.sleep(1)  # until all eight have come
            whole(stop=30_000)(handler)

        server.answers = [slow, whole()]
        found = [process.communicate(timeout=40) for process in self.start(server, 8, digest)]
        assert [out for out, _ in found] == [f"{CONTENT[:4].hex()}\n"] * 8, found
        assert len(server.requests) == 2
        assert server.sent == len(CONTENT)
        assert only_good(cache)
        assert {err for _, err in found} <= {"", f"keras_resnet: waiting for another process that downloads {NAME!r}\n"}

    def test_four_at_once_and_only_bad_files(self, server, cache):
        server.answers = [whole(OTHER)]
        found = [process.communicate(timeout=40) for process in self.start(server, 4)]
        assert all(out == "" and "DownloadError" in err and "another file" in err for out, err in found), found
        assert names(cache) == set()

    def test_killed_half_way(self, server, cache):
        server.answers = [whole(stop=60_000, hang=True), whole()]
        (process,) = self.start(server, 1)
        part = cache / f".{NAME}.part"
        try:
            deadline = time.monotonic() + 20
            while not (part.exists() and part.stat().st_size >= 32_768):
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.02)
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=10)
        kept = part.stat().st_size
        fetch(server)
        assert only_good(cache)
        assert server.requests[1][2]["Range"] == f"bytes={kept}-"

    def test_held_by_one_that_hangs(self, server, cache, capsys):
        cache.mkdir()
        with filelock.FileLock(cache / f".{NAME}.lock"), refused("another process", "0.5 s"):
            fetch(server, limits=HASTY)
        assert "waiting for another process" in capsys.readouterr().err
        fetch(server)
        assert only_good(cache)


class TestArguments:
    @pytest.mark.parametrize("name", [*WAYS_OUT, *NO_NAMES])
    def test_hostile_names(self, server, cache, name):
        with pytest.raises(ValueError, match="`name`"):
            download(server.url(), SHA, name=name)
        assert not cache.exists()
        assert server.requests == []

    @pytest.mark.parametrize(
        "path", ["", "/", "/folder/", "/..", "/%2e%2e", "/a%2fb", "/%2e%2e%2fup.h5", "/x%00y", "/nul", "/" + "a" * 300]
    )
    def test_hostile_names_in_urls(self, server, cache, path):
        with pytest.raises(ValueError, match="last part of the URL"):
            download(server.url(path), SHA)
        assert not cache.exists()

    @pytest.mark.parametrize("url", [*NOT_HTTPS, *NO_HOSTS, "https://h/" + "a" * 5000])
    def test_urls(self, cache, url):
        with pytest.raises(ValueError, match="`url` must be an https:// URL"):
            download(url)
        assert not cache.exists()

    @pytest.mark.parametrize(
        "digest", ["sha256:", "sha256:abc", "sha256:" + "g" * 64, "sha1:" + "a" * 40, "md5:abc", "a" * 64, SHA.upper(), 7]
    )
    def test_digests(self, cache, digest):
        with pytest.raises(ValueError, match="`digest` must be"):
            download("https://127.0.0.1/x.h5", digest)
