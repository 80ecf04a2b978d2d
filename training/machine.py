"""What a run or a measurement was made on, and by which state of this code."""

import os
import pathlib
import platform
import subprocess
import sys


def processor() -> str:
    """The processor's name and how many of its cores this process may use."""
    info = pathlib.Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{names[0] if names else platform.processor() or platform.machine()}, {cores} cores"


def graphics() -> str | None:
    """The names of the GPUs, or `None`."""
    try:
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        found = subprocess.run(query, check=True, capture_output=True, text=True).stdout.split("\n")
    except (OSError, subprocess.CalledProcessError):
        return None
    names = [name.strip() for name in found if name.strip()]
    return ", ".join(dict.fromkeys(names)) or None


def commit() -> str:
    """The commit of this clone, marked where files have changed since; "unknown" where it is none."""
    git = ["git", "-C", os.fspath(pathlib.Path(__file__).parent)]
    try:
        # A copy without its .git may lie within another repository.
        subprocess.run([*git, "ls-files", "--error-unmatch", os.path.basename(__file__)], check=True, capture_output=True)
        name = subprocess.run([*git, "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{name} with changes" if changed else name


def facts() -> dict[str, str]:
    """Device, backend, versions and commit of this process, as result.json has them."""
    import keras

    backend, device = keras.backend.backend(), str(keras.ops.convert_to_tensor(0.0).device)
    return {
        "device": processor() if "cpu" in device.lower() else graphics() or device,
        "backend": backend,
        "framework": f"{backend} {sys.modules[backend].__version__}",
        "keras": keras.__version__,
        "machine": f"{platform.machine()}, {platform.system()}",
        "commit": commit(),
    }
