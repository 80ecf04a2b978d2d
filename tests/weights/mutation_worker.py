"""A process that loads spoilt files one after the other and watches itself; `python -m tests.weights.mutation_worker FOLDER`.

Reads lines `KIND, START, STOP, as JSON`; writes a line `[seed]` before each load, so that what ends the process is known, and one with an
`Outcome` behind it. FOLDER is the only place that it may write to.
"""

import contextlib
import dataclasses
import faulthandler
import functools
import json
import os
import pathlib
import resource
import sys
import tempfile
import time
import types
import unicodedata
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_resnet.weights import load, read
from tests.arrays import as_numpy
from tests.weights import mutated_files

SECONDS = 5.0  # of the processor's time, which other processes do not lengthen
DEADLOCK = 60  # seconds, by the clock
SPACE = 8 * 2**30  # how much more memory the process may ask for; what it takes is measured
# Beside what a file may unpack to: Python's own copies of the structure, and what the allocators keep.
SPARE = 64 * 2**20
LETTERS = 20_000  # of a message
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
STARTS = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "subprocess.Popen",
    "socket.connect",
    "socket.bind",
    "ctypes.dlopen",
)
CHANGES = (
    "os.mkdir",
    "os.remove",
    "os.rmdir",
    "os.rename",
    "os.link",
    "os.symlink",
    "os.chmod",
    "os.chown",
    "os.truncate",
    "shutil.rmtree",
)


@dataclasses.dataclass
class Outcome:
    """What became of one file: `loaded` or `refused`, and what is wrong with that, if anything."""

    kind: str
    seed: int
    mutation: str
    loaded: bool
    seconds: float
    memory: int
    said: str
    problems: list[str]


class Guard:
    """Hears, through Python's audit hook, of code that starts and of files that are written to while a file is loaded."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.heard, self.on = os.fspath(folder), [], False
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple) -> None:
        if not self.on:
            return
        if event == "open":
            path, mode, flags = arguments
            writes = (isinstance(mode, str) and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & WRITING)
            if writes and not self._inside(path):
                self.heard.append(f"opens {path!r} to write")
        elif event in CHANGES:
            if not self._inside(arguments[0], arguments[-1]):
                self.heard.append(f"{event} {arguments!r}")
        elif event.startswith(STARTS) or event == "pickle.find_class":
            self.heard.append(f"{event} {arguments!r}"[:200])
        elif event == "exec" and isinstance(arguments[0], types.CodeType):
            source = arguments[0].co_filename
            if not (os.path.isfile(source) or source.startswith("<frozen")):  # what is imported late
                self.heard.append(f"runs code of {source!r}")

    def _inside(self, path: Any, folder: Any = -1) -> bool:
        """Where only the library itself writes: Keras's file that is asked for the names of variables. `folder` may be an open one."""
        if isinstance(path, int):
            return True
        if isinstance(folder, int) and folder >= 0 and not os.path.isabs(path):
            path = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), os.fsdecode(path))
        return os.path.abspath(os.fsdecode(path)).startswith(f"{self.folder}/temporary/")

    @contextlib.contextmanager
    def listening(self) -> Iterator[list[str]]:
        self.heard, self.on = [], True
        try:
            yield self.heard
        finally:
            self.on = False


def memory(field: str) -> int:
    """A line of the process's status, in bytes; `VmHWM` is the most it ever had since `forget`."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return 1024 * int(line.split()[1])
    return 0


def forget() -> None:
    with contextlib.suppress(OSError):
        pathlib.Path("/proc/self/clear_refs").write_text("5")


def listing(folder: pathlib.Path) -> dict[str, tuple]:
    """Everything under a folder, with its size and time, but for folders' own."""
    found = {}
    for path in sorted(folder.rglob("*")):
        state = path.lstat()
        found[os.fspath(path)] = (state.st_mode, () if path.is_dir() else (state.st_size, state.st_mtime_ns))
    return found


def outcome(of: mutated_files.Kind, seed: int, folder: pathlib.Path, guard: Guard) -> Outcome:
    """Loads the file of a seed and compares everything with what was there before."""
    mutation, content = of.mutated(seed)
    path = folder / "files" / f"model{mutated_files.SUFFIXES[of.name]}"
    path.write_bytes(content)
    before = [as_numpy(variable) for variable in of.model.weights]
    files_before, problems, said, loaded = listing(folder), [], "", False
    forget()
    most, start = memory("VmRSS"), time.process_time()
    with guard.listening() as heard:
        try:
            load.load_weights(of.model, path)
            loaded = True
        except ValueError as error:
            said = str(error)
        except BaseException as error:
            said = repr(error)
            problems.append(f"raises {type(error).__name__}: {said[:300]}")
    seconds, most = time.process_time() - start, max(memory("VmHWM") - most, 0)
    problems += heard
    if listing(folder) != files_before or path.read_bytes() != content:
        problems.append("files changed")
    if seconds > SECONDS:
        problems.append(f"takes {seconds:.1f} s")
    if most > read.SPARE_BYTES + 64 * of.model.count_params() + SPARE:
        problems.append(f"takes {most / 2**20:.0f} MiB")
    after = [as_numpy(variable) for variable in of.model.weights]
    if loaded:
        problems += wrong_numbers(of, content, after)
        for variable, value in zip(of.model.weights, before, strict=True):
            variable.assign(value)
    else:
        if any(one.tobytes() != other.tobytes() for one, other in zip(before, after, strict=True)):
            problems.append("refused, and the model changed")
        if not problems and str(path) not in said:
            problems.append(f"does not name the file: {said[:300]}")
        if len(said) > LETTERS:
            problems.append(f"says {len(said):,} letters")
        if any(unicodedata.category(letter) in ("Cc", "Cf", "Cs") and letter != "\n" for letter in said):
            problems.append(f"says what hurts a terminal: {said[:2000]!r}")
    return Outcome(of.name, seed, mutation, loaded, round(seconds, 4), most, said[:300], problems)


def wrong_numbers(of: mutated_files.Kind, content: bytes, after: list[np.ndarray]) -> list[str]:
    """What a model that loaded holds and should not."""
    problems = []
    for variable, value in zip(of.model.weights, after, strict=True):
        if not np.isfinite(value).all() or (variable.path.endswith("variance") and value.min() < 0):
            problems.append(f"{variable.path} is not finite or a negative variance")
    try:
        with np.errstate(all="ignore"):
            expected = of.expected(content)
    except Exception as error:
        return [*problems, f"loads what cannot be read otherwise: {error!r}"[:300]]
    for variable, value, right in zip(of.model.weights, after, expected, strict=True):
        if value.shape != right.shape or value.tobytes() != np.ascontiguousarray(right).tobytes():
            problems.append(f"{variable.path} is not what the file holds")
    return problems[:5]


def main(folder: pathlib.Path) -> None:
    """Does what stdin asks for until it ends."""
    for name in ("files", "temporary"):
        (folder / name).mkdir(exist_ok=True)
    decoys(folder)
    tempfile.tempdir = os.fspath(folder / "temporary")
    load.h5_variables = functools.cache(load.h5_variables)  # nine tenths of the time, and not of the file's making
    os.chdir(folder / "files")
    kind = functools.cache(mutated_files.kind)
    guard, limited = Guard(folder), False
    for line in sys.stdin:
        name, start, stop = json.loads(line)
        of = kind(name)
        warmed(of, folder)
        if not limited:
            resource.setrlimit(resource.RLIMIT_AS, (memory("VmSize") + SPACE,) * 2)
            limited = True
        for seed in range(start, stop):
            print(json.dumps([seed]), flush=True)
            faulthandler.dump_traceback_later(DEADLOCK, exit=True)
            print(json.dumps(dataclasses.asdict(outcome(of, seed, folder, guard))), flush=True)
            faulthandler.cancel_dump_traceback_later()


def decoys(folder: pathlib.Path) -> None:
    """What files point to that point out of themselves."""
    import h5py

    for place in (folder / "files", folder):
        with h5py.File(place / "secret.h5", "w") as file:
            file["numbers"] = np.full((64, 64), 7.0, "f4")
        (place / "secret").write_bytes(np.full(4096, 7.0, "f4").tobytes())


def warmed(of: mutated_files.Kind, folder: pathlib.Path) -> None:
    """A good file is loaded once, so that what is imported late is there."""
    path = folder / "files" / f"model{mutated_files.SUFFIXES[of.name]}"
    path.write_bytes(of.content)
    load.load_weights(of.model, path)
    after = [as_numpy(variable) for variable in of.model.weights]
    assert not wrong_numbers(of, of.content, after), "the good file"


if __name__ == "__main__":
    mutated_files.any_network_for_keras().__enter__()  # until the process ends
    main(pathlib.Path(sys.argv[1]).resolve())
