"""Files of the hub, through its own client, from a hub of ours on 127.0.0.1. No network; every failure is one error of ours."""

import hashlib
import importlib
import os
import pathlib
import socket
import subprocess
import sys
import time

import keras
import pytest

from keras_resnet.weights import download as module
from keras_resnet.weights.download import DownloadError, download_from_hub
from tests.weights import local_server
from tests.weights.download.downloading import WITHOUT_KERAS
from tests.weights.download.test_cache import only_readable
from tests.weights.local_server import CONTENT, OTHER, redirect, status

pytestmark = pytest.mark.skipif(keras.backend.backend() != "torch", reason="no backend takes part; runs with torch")

SHA = hashlib.sha256(CONTENT).hexdigest()
COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY, FILE = "timm/resnet50.a1_in1k", "model.safetensors"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub that has our file. The client reads its settings when it is imported, but for those that we hand over at each call.

    So it is imported before any test names another endpoint: it would follow redirections to that one ever after.
    """
    for name in ("KERAS_RESNET_OFFLINE", "HF_HUB_OFFLINE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KERAS_RESNET_CACHE", str(tmp_path / "cache"))
    importlib.import_module("huggingface_hub.file_download")

    with local_server.serving() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url(""))
        server.answers = [stored()]
        yield server


def stored(content: bytes = CONTENT, tag: str = SHA, commit: str = COMMIT, stop: int | None = None):
    """A file of a repository, as the hub answers HEAD and GET."""

    def answer(handler):
        asked = handler.headers.get("Range", "")
        start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        part = dict(Content_Range=f"bytes {start}-{len(content) - 1}/{len(content)}") if asked else {}
        handler.head(206 if asked else 200, ETag=f'"{tag}"', X_Repo_Commit=commit, Content_Length=len(content) - start, **part)
        if handler.command == "GET":
            handler.send(content[start:stop])

    return answer


def refuses(code: str, number: int = 404):
    return status(number, X_Error_Code=code, X_Error_Message="as the hub says")


def refused(*words: str, revision: str = "", file: str = FILE) -> None:
    start = time.monotonic()
    with pytest.raises(DownloadError) as caught:
        download_from_hub(REPOSITORY, file, revision)
    assert time.monotonic() - start < 5
    place = pathlib.Path(os.environ["KERAS_RESNET_CACHE"]) / "by_hand" / REPOSITORY / (revision or "main") / file
    for word in (*words, REPOSITORY, file, str(place), "weights=None"):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def asked(hub) -> list[tuple[str, str]]:
    """Method and path of each request for a file; the client asks for other things too."""
    return [(method, path) for method, path, _ in hub.requests if "/resolve/" in path]


def test_once(hub, tmp_path):
    path = download_from_hub(REPOSITORY, FILE)
    assert path.read_bytes() == CONTENT
    assert path.is_relative_to(tmp_path / "cache" / "hub")
    assert asked(hub) == [(method, f"/{REPOSITORY}/resolve/main/{FILE}") for method in ("HEAD", "HEAD", "GET")]
    assert download_from_hub(REPOSITORY, FILE) == path
    assert len(asked(hub)) == 3


def test_revision_and_folder(hub):
    assert download_from_hub(REPOSITORY, "deep/er/config.json", "refs/pr/1").read_bytes() == CONTENT
    assert asked(hub)[-1] == ("GET", f"/{REPOSITORY}/resolve/refs%2Fpr%2F1/deep/er/config.json")


def test_commit(hub):
    path = download_from_hub(REPOSITORY, FILE, COMMIT)
    assert COMMIT in path.parts
    assert download_from_hub(REPOSITORY, FILE, COMMIT) == path
    assert len(asked(hub)) == 3


def test_goes_on_where_it_broke_off(hub):
    hub.answers = [stored(), stored(), stored(stop=30_000), stored()]
    assert download_from_hub(REPOSITORY, FILE).read_bytes() == CONTENT


def test_put_there_by_hand(hub, tmp_path):
    for revision in ("", "v1"):
        place = tmp_path / "cache" / "by_hand" / REPOSITORY / (revision or "main") / FILE
        place.parent.mkdir(parents=True)
        place.write_bytes(b"mine")
        assert download_from_hub(REPOSITORY, FILE, revision) == place
    assert hub.requests == []


@pytest.mark.parametrize("variable", ["KERAS_RESNET_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline(hub, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    refused("not in the cache", variable)
    assert hub.requests == []
    monkeypatch.delenv(variable)
    path = download_from_hub(REPOSITORY, FILE)
    monkeypatch.setenv(variable, "1")
    assert download_from_hub(REPOSITORY, FILE) == path


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (refuses("RepoNotFound", 401), "no such repository"),
        (refuses("GatedRepo", 403), "accept the terms"),
        (refuses("RevisionNotFound"), "no such revision"),
        (refuses("EntryNotFound"), "no such file"),
        (status(400), "400"),
    ],
)
def test_refusals(hub, answer, said):
    hub.answers = [answer]
    refused(said, revision="v1")
    assert len(asked(hub)) == 1


@pytest.mark.parametrize("number", [429, 503])
def test_troubles(hub, monkeypatch, number):
    monkeypatch.setattr(module, "HUB_WAITS", (0.1, 0.1, 0))
    hub.answers = [status(number)]
    refused(str(number))
    assert len(asked(hub)) == 3
    hub.answers = [status(number), stored()]
    assert download_from_hub(REPOSITORY, FILE).read_bytes() == CONTENT


def test_too_long(hub):
    hub.answers = [status(200, ETag=f'"{SHA}"', X_Repo_Commit=COMMIT, X_Linked_Size=2**33)]
    refused("8,589,934,592")


def test_another_content_than_named(hub, tmp_path):
    hub.answers = [stored(OTHER)]
    refused("another SHA-256")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.stat().st_size == len(OTHER)]
    hub.answers = [stored()]
    assert download_from_hub(REPOSITORY, FILE).read_bytes() == CONTENT


class TestSpoiltInTheCache:
    """What somebody finds in the hub's cache may be there before the one who brought it has checked it."""

    @pytest.fixture
    def path(self, hub):
        return download_from_hub(REPOSITORY, FILE)

    def spoil(self, path, content=OTHER):
        path.resolve().write_bytes(content)

    def test_brought_anew(self, hub, path):
        self.spoil(path)
        assert download_from_hub(REPOSITORY, FILE).read_bytes() == CONTENT
        assert [method for method, _ in asked(hub)].count("GET") == 2

    def test_killed_before_the_check(self, hub, path):
        """The client has put it in place, and nothing was noted."""
        for record in path.resolve().parent.glob(".*.json"):
            record.unlink()
        self.spoil(path)
        hub.answers = [stored(OTHER)]
        refused("another SHA-256")
        hub.answers = [stored()]
        assert download_from_hub(REPOSITORY, FILE).read_bytes() == CONTENT

    def test_offline(self, path, monkeypatch):
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        self.spoil(path)
        refused("another file than its SHA-256 says, and was deleted", "HF_HUB_OFFLINE")
        assert not path.exists()
        refused("not in the cache")

    def test_hub_gone(self, hub, path):
        self.spoil(path)
        hub.answers = [status(404, X_Error_Code="EntryNotFound")]
        refused("no such file")
        assert not path.exists()

    def test_read_once(self, path, monkeypatch):
        monkeypatch.setattr(hashlib, "file_digest", None)
        assert download_from_hub(REPOSITORY, FILE) == path

    def test_touched(self, hub, path):
        os.utime(path.resolve(), (1, 1))
        assert download_from_hub(REPOSITORY, FILE) == path
        assert len(asked(hub)) == 3

    def test_a_folder_that_cannot_be_written(self, tmp_path, path, monkeypatch):
        for record in path.resolve().parent.glob(".*.json"):
            record.unlink()
        with only_readable(path.resolve().parent):
            for _ in range(2):
                assert download_from_hub(REPOSITORY, FILE) == path
        assert not list(path.resolve().parent.glob(".*.json"))

    def test_small_files_have_other_names(self, hub):
        hub.answers = [stored(b"{}", tag="0123456789" * 4)]
        assert download_from_hub(REPOSITORY, "config.json").read_bytes() == b"{}"
        assert download_from_hub(REPOSITORY, "config.json").read_bytes() == b"{}"

    def test_kept_elsewhere_under_another_name(self, hub, path, tmp_path):
        """As the client's store for all repositories does, whose names are no SHA-256 of the content."""
        blob = path.resolve()
        blob.rename(tmp_path / ("0" * 64))
        blob.symlink_to(tmp_path / ("0" * 64))
        assert download_from_hub(REPOSITORY, FILE).read_bytes() == CONTENT
        (tmp_path / ("0" * 64)).write_bytes(OTHER)
        assert download_from_hub(REPOSITORY, FILE).read_bytes() == CONTENT
        assert (tmp_path / ("0" * 64)).read_bytes() == OTHER  # not ours to delete

    def test_without_links(self, hub, monkeypatch):
        """As on Windows: the file itself lies where else the link does."""
        monkeypatch.setattr("huggingface_hub.file_download.are_symlinks_supported", lambda folder=None: False)
        hub.answers = [stored(OTHER)]
        refused("another SHA-256")
        hub.answers = [stored()]
        path = download_from_hub(REPOSITORY, FILE)
        assert not path.is_symlink()
        assert download_from_hub(REPOSITORY, FILE).read_bytes() == CONTENT


class TestEndpoint:
    """Nothing is asked in the clear, but of this machine itself."""

    @pytest.mark.parametrize(
        "url",
        ["http://example.org", "http://10.0.0.1:8080", "http://127.0.0.1.example.org", "http://localhost.example.org", "ftp://h", "h"],
    )
    def test_refused(self, hub, monkeypatch, url):
        monkeypatch.setenv("HF_ENDPOINT", url)
        with pytest.raises(ValueError, match="variable HF_ENDPOINT must be an https:// URL") as caught:
            download_from_hub(REPOSITORY, FILE)
        assert url in str(caught.value)

    @pytest.mark.parametrize("url", ["http://[::1", "https://user:secret@h", "https://h/\r\nx"])
    def test_no_url(self, hub, monkeypatch, url):
        monkeypatch.setenv("HF_ENDPOINT", url)
        with pytest.raises(ValueError, match="variable HF_ENDPOINT must be"):
            download_from_hub(REPOSITORY, FILE)

    def test_no_url_before_the_client_is_imported(self, hub, monkeypatch):
        monkeypatch.setenv("HF_ENDPOINT", "http://[::1")
        program = f"{WITHOUT_KERAS}from keras_resnet.weights.download import download_from_hub\ndownload_from_hub({REPOSITORY!r}, {FILE!r})"
        process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert "ValueError: The environment variable HF_ENDPOINT must be an https:// URL" in process.stderr

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
    def test_this_machine(self, hub, monkeypatch, host):
        monkeypatch.setenv("HF_ENDPOINT", f"http://{host}:{hub.server_port}/")
        assert download_from_hub(REPOSITORY, FILE).read_bytes() == CONTENT

    @pytest.mark.parametrize("place", ["http://example.org/x", "ftp://example.org/x"])
    def test_redirected_into_the_clear(self, hub, place):
        hub.answers = [status(302, Location=place, X_Linked_Etag=f'"{SHA}"', X_Repo_Commit=COMMIT, X_Linked_Size=len(CONTENT))]
        refused("redirects to what is not asked", place)
        assert len(asked(hub)) == 1

    def test_not_asked(self, hub, monkeypatch):
        path = download_from_hub(REPOSITORY, FILE)
        monkeypatch.setenv("HF_ENDPOINT", "http://example.org")
        assert download_from_hub(REPOSITORY, FILE) == path


@pytest.mark.parametrize("lie", [dict(commit="../../../../out"), dict(tag="../../../../out"), dict(commit=""), dict(tag="")])
def test_hostile_hub(hub, tmp_path, lie):
    hub.answers = [stored(**lie)]
    refused("names no file")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(asked(hub)) == 1


def test_redirected_to_nowhere(hub):
    hub.answers = [redirect("http://127.0.0.1:1/x")]
    refused()


def test_nobody_there(hub, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{listener.getsockname()[1]}")
    refused("cannot be reached")


def test_four_processes(hub, tmp_path):
    program = WITHOUT_KERAS + (
        "from keras_resnet.weights.download import download_from_hub\n"
        f"print(download_from_hub({REPOSITORY!r}, {FILE!r}).read_bytes() == bytes(i * i % 251 for i in range(100_000)))"
    )
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    found = [process.communicate(timeout=60) for process in [subprocess.Popen([sys.executable, "-c", program], **pipes) for _ in range(4)]]
    assert [out for out, _ in found] == ["True\n"] * 4, found
    assert [method for method, _ in asked(hub)].count("GET") == 1
    assert not list(tmp_path.rglob("*.incomplete"))


@pytest.mark.parametrize(
    "repository", ["", "resnet50", "a/b/c", "../a", "a/..", "a/.b", "a--b/c", "/a/b", "a/b\0", "a b/c", None, "a/" + "b" * 97]
)
def test_repositories(hub, repository):
    with pytest.raises(ValueError, match="`repository` must be"):
        download_from_hub(repository, FILE)
    assert hub.requests == []


@pytest.mark.parametrize(
    "file", ["", "..", "../x", "a/../x", "/x", "a//x", "a\\x", "C:x", "x\0", "x\n", ".git/config", "nul", "a" * 201, None]
)
def test_files(hub, file):
    with pytest.raises(ValueError, match="`file` must be"):
        download_from_hub(REPOSITORY, file)
    assert hub.requests == []


@pytest.mark.parametrize("revision", ["..", "../x", "a/../x", "/x", "x\n", "x y", "a" * 201, None])
def test_revisions(hub, revision):
    with pytest.raises(ValueError, match="`revision` must be"):
        download_from_hub(REPOSITORY, FILE, revision)
    assert hub.requests == []


def test_without_the_package(hub, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    refused("pip install huggingface_hub")
