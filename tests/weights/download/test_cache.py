"""What is in the cache already, disks that are full or locked, and names that lead elsewhere."""

import contextlib
import errno
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

import keras
import pytest

from keras_resnet.weights import transfer
from keras_resnet.weights.download import DownloadError, cache_folder, download
from tests.weights.download.downloading import MD5, NAME, OTHER_SHA, SHA, WITHOUT_KERAS, fetch, names, only_good, refused
from tests.weights.local_server import CONTENT, OTHER, status, whole

pytestmark = pytest.mark.skipif(keras.backend.backend() != "torch", reason="no backend takes part; runs with torch")

WAYS_OUT = ("..", ".", ".hidden", "../up.h5", "a/b.h5", "a\\b.h5", "/etc/passwd", "C:x", "C:\\x", "~", "$HOME", "-rf")
NO_NAMES = ("nul", "NUL.h5", "com1.txt", "x\0y", "x\ny", "a" * 201, "end.", "end ", " start", "ä.h5", "a:b", "a*b", 7)
NOT_HTTPS = ("http://h/x", "file:///x", "ftp://h/x", "x", "", None, 7, b"https://h/x")
NO_HOSTS = ("https://", "https:///x", "https://a b/x", "https://u:p@h/x", "https://h:x/x", "https://h:99999/x", "https://[::1/x")
NO_HOSTS += ("https://h/\r\nHost: x/y", "https://h\\@g/x", "https://ä/x")


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
