"""Downloads of a server that does what it should, and those that go on where one broke off."""

import os
import sys
import time

import keras
import pytest

from keras_resnet.weights.download import download
from tests.weights import local_server
from tests.weights.download.downloading import MD5, NAME, SHA, fetch, names, only_good, refused
from tests.weights.local_server import CONTENT, OTHER, chunked, redirect, says, status, whole

pytestmark = pytest.mark.skipif(keras.backend.backend() != "torch", reason="no backend takes part; runs with torch")


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
