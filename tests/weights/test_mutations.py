"""A thousand spoilt files of each kind: each is refused in one error, or loads to just what it holds. No crash, no code, no bomb."""

import collections
import json
import os
import pathlib
import queue
import subprocess
import sys
import threading

import keras
import pytest

from tests.weights import mutated_files

ROOT = pathlib.Path(__file__).parents[2]
FEW, MANY = 100, 1000
PATIENCE = 90  # seconds without a word


class Worker:
    """The process that loads, started anew when a file ends it."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.process = folder, None

    def start(self) -> None:
        environment = {**os.environ, "KERAS_BACKEND": keras.backend.backend(), "PYTHONPATH": os.fspath(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
        with open(self.folder.parent / "worker.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.weights.mutation_worker", os.fspath(self.folder)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT, env=environment,
            )  # fmt: skip
        self.lines: queue.Queue = queue.Queue()
        threading.Thread(target=self._listen, args=(self.process, self.lines), daemon=True).start()

    @staticmethod
    def _listen(process: subprocess.Popen, lines: queue.Queue) -> None:
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def outcomes(self, kind: str, count: int) -> list[dict]:
        """Of the first `count` seeds, each once; a seed that ends the process has that for its problem."""
        found: list[dict] = []
        while len(found) < count:
            if self.process is None:
                self.start()
            begun = None
            self.process.stdin.write(json.dumps([kind, len(found), count]) + "\n")
            self.process.stdin.flush()
            while len(found) < count:
                line = self._line()
                if line is None:
                    code = self.process.wait(timeout=10) if self.process else "no answer"
                    self.process = None
                    log = (self.folder.parent / "worker.log").read_text(errors="replace")[-3000:]
                    assert begun is not None, f"the worker ends with {code} before the first file:\n{log}"
                    found.append(
                        dict(
                            kind=kind,
                            seed=begun,
                            mutation="?",
                            loaded=False,
                            seconds=0,
                            memory=0,
                            said=log,
                            problems=[f"ends the process: {code}"],
                        )
                    )
                    break
                said = json.loads(line)
                if isinstance(said, list):
                    (begun,) = said
                else:
                    found.append(said)
        return found

    def _line(self) -> str | None:
        try:
            return self.lines.get(timeout=PATIENCE)
        except queue.Empty:
            self.stop()
            return None


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    running = Worker(tmp_path_factory.mktemp("mutations") / "folder")
    running.folder.mkdir()
    yield running
    running.stop()


def check(worker: Worker, kind: str, count: int) -> None:
    outcomes = worker.outcomes(kind, count)
    assert [outcome["seed"] for outcome in outcomes] == list(range(count))
    loaded = sum(outcome["loaded"] for outcome in outcomes)
    most = {name: max(outcome[name] for outcome in outcomes) for name in ("seconds", "memory")}
    print(f"{kind}: {loaded} loaded, {count - loaded} refused; at most {most['seconds']:.2f} s, {most['memory'] / 2**20:.0f} MiB")
    wrong = [outcome for outcome in outcomes if outcome["problems"]]
    assert not wrong, "\n".join(f"{o['kind']} {o['seed']} ({o['mutation']}): {o['problems']}" for o in wrong[:20])
    assert loaded > count // 50, "if next to nothing loads, nothing was tried but the door"
    assert loaded < count // 2
    if folder := os.environ.get("KERAS_RESNET_MUTATIONS"):  # the whole record, for whoever looks closer
        pathlib.Path(folder, f"{kind}.json").write_text(json.dumps(outcomes))


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as Linux tells it")
@pytest.mark.skipif(keras.backend.backend() != "torch", reason="the readers are the same with every backend; all of it runs with -m full")
@pytest.mark.parametrize("kind", mutated_files.KINDS)
def test_spoilt_files(worker, kind):
    check(worker, kind, FEW)


@pytest.mark.full
@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as Linux tells it")
@pytest.mark.parametrize("kind", mutated_files.KINDS)
def test_a_thousand_spoilt_files(worker, kind):
    if kind.startswith("pth"):
        pytest.importorskip("torch", reason="reading .pth needs PyTorch")
    check(worker, kind, MANY)


@pytest.mark.parametrize("kind", [kind for kind in mutated_files.KINDS if not kind.startswith("pth")])
def test_what_a_seed_makes_stays_the_same(kind):
    """A finding can be made again from its number; every mutation is among the first hundred."""
    one = mutated_files.kind(kind)
    assert len(one.mutations) <= FEW
    for seed in range(0, 60, 7):
        assert one.mutated(seed) == one.mutated(seed)
    assert collections.Counter(seed % len(one.mutations) for seed in range(MANY)).most_common()[-1][1] >= MANY // len(one.mutations)
