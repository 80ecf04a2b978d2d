"""Several processes that want one file at once: one transfer, and one good file for all."""

import signal
import subprocess
import sys
import time

import filelock
import keras
import pytest

from tests.weights.download.downloading import HASTY, NAME, SHA, WITHOUT_KERAS, fetch, names, only_good, refused
from tests.weights.local_server import CONTENT, OTHER, whole

pytestmark = pytest.mark.skipif(keras.backend.backend() != "torch", reason="no backend takes part; runs with torch")


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
