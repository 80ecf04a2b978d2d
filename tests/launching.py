"""Several processes on this machine that train together, launched as each backend wants it, none of them for longer than a limit."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

import keras

LIMIT = 150.0  # seconds


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on."""
    opened = [socket.socket() for _ in range(count)]
    try:
        for one in opened:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in opened]
    finally:
        for one in opened:
            one.close()


def environment(rank: int, ports: Sequence[int], devices: int = 1) -> dict[str, str]:
    """What tells a process that it is one of `len(ports)`, and on JAX how many devices it has."""
    count, name = len(ports), keras.backend.backend()
    base = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "COV"))}
    base |= {"KERAS_BACKEND": name, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    base |= {f"{key}_NUM_THREADS": "1" for key in ("OMP", "MKL", "TF_NUM_INTRAOP", "TF_NUM_INTEROP")}
    base |= {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    if count == 1:
        return base
    if name == "torch":
        base |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)}
        return base | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(ports[0])}
    if name == "jax":
        place = f"127.0.0.1:{ports[0]}"
        return base | {"JAX_COORDINATOR_ADDRESS": place, "JAX_NUM_PROCESSES": str(count), "JAX_PROCESS_ID": str(rank)}
    workers = [f"127.0.0.1:{port}" for port in ports]
    return base | {"TF_CONFIG": json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": rank}})}


class Together:
    """`with Together("training", words, count=2) as those: ...` runs `python -m training WORDS` that often; all end with the block.

    Args:
        module: what each process runs.
        words: its arguments.
        folder: where what they say goes, `rank0.txt`, ...
        count: processes.
        devices: that each has, on JAX.
    """

    def __init__(self, module: str, words: Sequence[str], folder: pathlib.Path, count: int = 2, devices: int = 1):
        folder.mkdir(parents=True, exist_ok=True)
        self.command, self.folder, self.count, self.devices = [sys.executable, "-m", module, *words], folder, count, devices
        self.end = time.monotonic() + LIMIT

    def __enter__(self) -> "Together":
        ports = free_ports(self.count)
        self.processes = []
        for rank in range(self.count):
            with open(self.folder / f"rank{rank}.txt", "wb") as said:
                settings = dict(env=environment(rank, ports, self.devices), cwd=pathlib.Path(__file__).parents[1])
                self.processes.append(subprocess.Popen(self.command, stdout=said, stderr=subprocess.STDOUT, **settings))
        return self

    def __exit__(self, *_) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()

    def codes(self) -> list[int]:
        """How each ended."""
        try:
            return [process.wait(max(0.1, self.end - time.monotonic())) for process in self.processes]
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"Not over after {LIMIT} s. {self.said()}") from error

    def wait_for(self, there) -> None:
        """Until `there()` is true."""
        while not there():
            ended = [process.poll() for process in self.processes]
            assert not any(ended), f"{ended} {self.said()}"
            assert time.monotonic() < self.end, self.said()
            time.sleep(0.05)

    def said(self) -> str:
        """What all of them said, the end of it."""
        return "\n".join((self.folder / f"rank{rank}.txt").read_text(errors="replace")[-3000:] for rank in range(self.count))
