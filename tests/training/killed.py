"""Kills a training with SIGKILL again and again, resumes it each time, and compares what it ends with: `python -m tests.training.killed`.

    KERAS_BACKEND=torch python -m tests.training.killed [KILLS] [SEED]

The training has dropout, random crops and flips, averaged weights, and checkpoints within epochs. In those that are killed each fsync
takes longer, so that many kills fall into a write. Nothing of Keras is imported here.
"""

import io
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator

import h5py
import numpy as np
import safetensors.numpy

WORDS = ["fashion_wrn40_4", "--quick", "--checkpoint-every", "3"]
WORDS += [f"--set={one}" for one in ("epochs=40", "steps=none", "batch=4", "data.size=8", "data.test_size=8", "optimizer.average=0.9")]
WORDS += ["--set=network.settings.dropout=0.3", "--set=schedule.warm_up=2"]
SLOW = "import os, time\nfsync = os.fsync\n\n\ndef slow(handle):\n    time.sleep(0.05)\n    fsync(handle)\n\n\nos.fsync = slow\n"
PATIENCE = 300  # seconds for any step of a process


def command(folder: pathlib.Path) -> list[str]:
    """That begins the run or goes on with it."""
    return [sys.executable, "-m", "training", *(["resume", str(folder)] if folder.exists() else [*WORDS, "--out", str(folder)])]


def moments(folder: pathlib.Path, kills: int, chance: random.Random, begin: float) -> Iterator[tuple[str, float]]:
    """What to wait for, and how long behind it to kill: the start of a process, a write, a checkpoint that is complete, the run's end."""
    for number in range(kills):
        if number >= kills - 2:
            yield "end", chance.uniform(0, 0.1)
        else:
            kind = ("start", "write", "training", "write")[number % 4]
            yield kind, chance.uniform(0, {"start": begin, "write": 0.25, "training": 1.0}[kind])


def reached(kind: str, folder: pathlib.Path, before: set[str]) -> bool:
    """Whether the moment has come."""
    if kind == "start":
        return True
    if kind == "end":
        return any(path.suffix in (".keras", ".png") or (folder / "model.keras").exists() for path in folder.glob(".writing-*"))
    places = set(os.listdir(folder / "checkpoints")) if (folder / "checkpoints").is_dir() else set()
    return bool({one for one in places - before if one.startswith(".writing-" if kind == "write" else "step_")})


def halves(folder: pathlib.Path) -> list[str]:
    """What is being written."""
    return [path.name for path in [*folder.glob(".writing-*"), *folder.glob("checkpoints/.[wr]*ing-*")]]


def whole(folder: pathlib.Path) -> None:
    """Asserts that each file which has its name can be read."""
    for path in folder.glob("checkpoints/step_*"):
        safetensors.numpy.load_file(path / "state.safetensors")
        assert (path / "checkpoint.json").read_text().rstrip().endswith("}")
    if (folder / "model.keras").exists():
        assert zipfile.ZipFile(folder / "model.keras").testzip() is None
    if (folder / "result.json").exists():
        assert (folder / "result.json").read_text().endswith("}\n")


def final(folder: pathlib.Path) -> dict[str, np.ndarray]:
    """Every number that the run ended with: the model in its file, and all of the last checkpoint."""
    last = max(folder.glob("checkpoints/step_*"), key=lambda path: path.name)
    found = dict(safetensors.numpy.load_file(last / "state.safetensors"))
    with zipfile.ZipFile(folder / "model.keras") as archive:
        file = h5py.File(io.BytesIO(archive.read("model.weights.h5")))
    file.visititems(lambda name, one: found.update({f"file/{name}": one[()]}) if isinstance(one, h5py.Dataset) else None)
    return found


def differences(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> tuple[int, float]:
    """How many arrays differ in any bit, and the most by which a number does."""
    assert one.keys() == other.keys()
    unlike = [name for name in one if one[name].tobytes() != other[name].tobytes()]
    most = max((float(np.abs(one[name].astype("float64") - other[name]).max()) for name in unlike), default=0.0)
    return len(unlike), most


def run(place: pathlib.Path, kills: int, seed: int) -> dict[str, float]:
    """Trains once undisturbed and once killed, and gives counts.

    Returns:
        `kills`, those `inside` a write, arrays that are `unlike` and the `most` they differ by, of `arrays`.
    """
    chance = random.Random(seed)
    (place / "slow").mkdir()
    (place / "slow" / "sitecustomize.py").write_text(SLOW)
    straight, folder = place / "straight", place / "killed"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    slow = {**environment, "PYTHONPATH": str(place / "slow")}
    began, begin = time.perf_counter(), 0.0
    with open(place / "output", "w") as output:
        process = subprocess.Popen(command(straight), env=environment, stdout=output, stderr=output)
        while process.poll() is None and time.perf_counter() - began < PATIENCE:
            if not begin and (straight / "log.csv").exists():
                begin = time.perf_counter() - began
            time.sleep(0.01)
        assert process.wait(1) == 0, (place / "output").read_text()[-3000:]
        inside = 0
        for kind, delay in moments(folder, kills, chance, begin):
            before = set(os.listdir(folder / "checkpoints")) if (folder / "checkpoints").is_dir() else set()
            process, began = subprocess.Popen(command(folder), env=slow, stdout=output, stderr=output), time.perf_counter()
            while not reached(kind, folder, before):
                assert process.poll() is None, f"The run ended before {kind}: {(place / 'output').read_text()[-3000:]}"
                assert time.perf_counter() - began < PATIENCE
                time.sleep(0.002)
            time.sleep(delay)
            process.kill()
            assert process.wait() == -9, f"The run ended before it was killed at {kind}."
            inside += bool(halves(folder))
            whole(folder)
        subprocess.run(command(folder), env=environment, stdout=output, stderr=output, check=True, timeout=PATIENCE)
    assert halves(folder) == []
    mine, theirs = final(folder), final(straight)
    unlike, most = differences(mine, theirs)
    rows = [(one / "log.csv").read_text().count("\n") for one in (straight, folder)]
    assert rows[0] == rows[1] == 41
    return {"kills": kills, "inside": inside, "arrays": len(mine), "unlike": unlike, "most": most}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        print(run(pathlib.Path(made), *(map(int, [*sys.argv[1:], *(20, 0)[len(sys.argv) - 1 :]]))))
