"""Runs every benchmark of every installed backend and writes the table.

python -m benchmarks                      all: about 12 minutes on two cores
python -m benchmarks --backend torch --repeats 5
python -m benchmarks --out benchmarks/results
"""

import argparse
import datetime
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

from training.machine import commit, graphics, processor

BACKENDS = ("torch", "tensorflow", "jax")
PACKAGES = ("keras", "torch", "torchvision", "tensorflow", "jax", "numpy")
# task, batch, policy; a GPU gets the larger batches.
CPU_RUNS = (
    ("inference", 8, "float32"),
    ("inference", 8, "mixed_bfloat16"),
    ("inference", 1, "float32"),
    ("inference", 1, "mixed_bfloat16"),
    ("training", 16, "float32"),
    ("training", 16, "mixed_bfloat16"),
)
GPU_RUNS = (
    ("inference", 256, "mixed_bfloat16"),
    ("inference", 1, "float32"),
    ("training", 256, "float32"),
    ("training", 256, "mixed_bfloat16"),
)


def versions() -> str:
    """The installed versions of what the figures depend on."""
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join([f"Python {platform.python_version()}", *found])


def run(module: str, backend: str, *arguments: str) -> dict:
    """Runs one benchmark in a process of its own and gives its figures."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "row.json"
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, "-m", module, *arguments, "--out", str(out)]
        done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} under KERAS_BACKEND={backend} failed:\n{done.stderr}")
        return json.loads(out.read_text())


def table(rows: list[dict]) -> list[str]:
    lines = ["| backend | task | batch | policy | network | images/s | ours is |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        for name, speed in row["images_per_second"].items():
            ratio = f"{row['ratio'][name]:.2f} x" if name in row["ratio"] else ""
            lines.append(f"| {row['backend']} | {row['task']} | {row['batch']} | {row['policy']} | {name} | {speed:.1f} | {ratio} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=BACKENDS, action="append", help="one backend only; may be given again")
    parser.add_argument("--repeats", type=int, default=9, help="timed rounds of each benchmark")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("benchmarks/results"), help="folder of the table")
    args = parser.parse_args()
    backends = args.backend or [name for name in BACKENDS if importlib.util.find_spec(name)]
    gpu = graphics()
    rows, startup = [], []
    for backend in backends:
        for task, batch, policy in GPU_RUNS if gpu else CPU_RUNS:
            settings = ["--task", task, "--batch", str(batch), "--policy", policy, "--repeats", str(args.repeats)]
            rows.append(run("benchmarks.speed", backend, *settings))
        figures = run("benchmarks.startup", backend)
        startup.append({"backend": backend, **figures})
    today = datetime.date.today().isoformat()
    device = gpu or processor()
    report = [
        f"# ResNet-50, 224 px: {device}, {today}",
        "",
        f"* Hardware: {device}" + (f"; {processor()}" if gpu else ""),
        f"* Versions: {versions()}",
        f"* Commit: {commit()}",
        f"* Command: `python -m benchmarks --repeats {args.repeats}" + "".join(f" --backend {b}" for b in args.backend or ()) + "`",
        "",
        f"Median of {args.repeats} rounds, the networks in turns; the ratio is that of the medians. torchvision is eager, channels-last,",
        "bfloat16 by autocast. keras.applications strides in the 1x1 and does 6 % less arithmetic. Training: SGD with momentum.",
        "",
        *table(rows),
        "",
        "Once, in fresh processes (median seconds):",
        "",
        "| backend | import keras | import keras_resnet beside it | build ResNet-152 | keras.applications |",
        "| --- | --- | --- | --- | --- |",
        *(f"| {s['backend']} | " + " | ".join(f"{value:.2f}" for value in s["seconds"].values()) + " |" for s in startup),
    ]
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"{today}-{'gpu' if gpu else 'cpu'}-{'-'.join(backends)}.md"
    path.write_text("\n".join(report) + "\n")
    print(f"Written to {path}.")


if __name__ == "__main__":
    main()
