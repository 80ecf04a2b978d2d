"""DenseNet-121 beside keras.applications', and the memory that DenseNet-BC-190-40 needs for a training step with and without recomputation.

    python -m benchmarks.densenet --backend torch --measure speed
    python -m benchmarks.densenet --measure memory

Each case is a process of its own. Speed as in `benchmarks.speed`, memory as in `benchmarks.memory`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from typing import Any

BACKENDS = ("torch", "tensorflow", "jax")
SIZES = {"inference": 8, "training": 16}  # batch


def speed(task: str, repeats: int) -> dict[str, float]:
    """Median seconds of a step of each network at 224 px, in turns."""
    import keras
    import numpy as np

    from benchmarks.speed import inference_step, measure, training_step
    from keras_resnet import models

    generator = np.random.default_rng(0)
    images = generator.standard_normal((SIZES[task], 224, 224, 3), dtype="float32")
    labels = generator.integers(0, 1000, SIZES[task]).astype("int64")
    networks = {
        "keras_resnet": models.densenet(classifier_activation=None),
        "keras.applications": keras.applications.DenseNet121(weights=None, classifier_activation=None),
    }
    steps = {
        name: inference_step(model, images) if task == "inference" else training_step(model, images, labels)
        for name, model in networks.items()
    }
    return {name: statistics.median(seconds) for name, seconds in measure(steps, repeats, warmup=1).items()}


def memory(remat: bool, depth: int, growth_rate: int, batch: int) -> int:
    """Bytes that a training step takes beyond variables and optimizer."""
    import numpy as np

    from benchmarks.memory import training_memory
    from keras_resnet import models

    model = models.cifar_densenet((depth,) * 3, growth_rate, remat=remat, classifier_activation=None, input_shape=(32, 32, 3))
    images = np.random.default_rng(0).standard_normal((batch, 32, 32, 3), dtype="float32")
    labels = np.arange(batch) % 10
    return training_memory(model, images, labels)


def case(backend: str, *arguments: str) -> Any:
    """The figures of one case, from a process of its own."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "MALLOC_MMAP_THRESHOLD_": "65536"}
    if arguments[0] == "speed":
        del environment["MALLOC_MMAP_THRESHOLD_"]
    command = [sys.executable, "-m", "benchmarks.densenet", "--case", *arguments]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=BACKENDS, action="append", help="one backend only; may be given again")
    parser.add_argument("--measure", choices=("speed", "memory"), action="append", help="one of the two only")
    parser.add_argument("--repeats", type=int, default=5, help="timed rounds")
    parser.add_argument("--depth", type=int, default=31, help="dense layers in each of the three blocks, for memory")
    parser.add_argument("--growth-rate", type=int, default=40, help="for memory")
    parser.add_argument("--batch", type=int, default=16, help="for memory")
    parser.add_argument("--case", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.case:
        kind, *rest = args.case
        found = speed(rest[0], int(rest[1])) if kind == "speed" else memory(rest[0] == "efficient", *map(int, rest[1:]))
        print(json.dumps(found))
        return
    measures = args.measure or ["speed", "memory"]
    for backend in args.backend or BACKENDS:
        for task in SIZES if "speed" in measures else ():
            seconds = case(backend, "speed", task, str(args.repeats))
            ours, theirs = seconds["keras_resnet"], seconds["keras.applications"]
            print(
                f"| {backend} | {task} | {SIZES[task] / ours:.1f} images/s | keras.applications {SIZES[task] / theirs:.1f} images/s "
                f"| {theirs / ours:.2f} x |",
                flush=True,
            )
        if "memory" in measures:
            sizes = (str(args.depth), str(args.growth_rate), str(args.batch))
            plain, efficient = (case(backend, "memory", form, *sizes) for form in ("plain", "efficient"))
            print(
                f"| {backend} | memory | plain {plain / 2**20:.0f} MiB | efficient {efficient / 2**20:.0f} MiB | {efficient / plain:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
