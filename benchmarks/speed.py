"""Times ResNet-50 of this library, of keras.applications and, on PyTorch, of torchvision, turn by turn in one process.

    KERAS_BACKEND=torch python -m benchmarks.speed --task inference --batch 8 --policy float32 --repeats 9 --out row.json

One run is one backend, task, batch and dtype policy: `python -m benchmarks` runs them all and writes the table. Each network is timed once
a round, so that noise of the machine meets all alike; the figure is the median over rounds, the ratio that of two medians.
"""

import argparse
import itertools
import json
import pathlib
import statistics
import time
from collections.abc import Callable

import keras
import numpy as np

import keras_resnet
from benchmarks import peers


def inference_step(model: keras.Model, images: np.ndarray) -> Callable[[], object]:
    """A call of a Keras model as one deploys it: compiled on TensorFlow and JAX, without a gradient tape on PyTorch."""
    if keras.backend.backend() == "torch":
        return peers.torch_inference(lambda x: model(x, training=False), keras.ops.convert_to_tensor(images))
    return lambda: model.predict_on_batch(images)


def training_step(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> Callable[[], object]:
    """One step of SGD with momentum through `train_on_batch`."""
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return lambda: float(np.asarray(model.train_on_batch(images, labels)))


def contestants(task: str, images: np.ndarray, labels: np.ndarray, policy: str) -> dict[str, Callable[[], object]]:
    """A step of each network, by name; ours first."""
    size = images.shape[1]
    steps: dict[str, Callable[[], object]] = {}
    builders = {
        "keras_resnet": lambda: keras_resnet.ResNet50(weights=None, input_shape=(size, size, 3), classifier_activation=None),
        "keras.applications": lambda: keras.applications.ResNet50(weights=None, input_shape=(size, size, 3), classifier_activation=None),
    }
    for name, build in builders.items():
        model = build()
        steps[name] = inference_step(model, images) if task == "inference" else training_step(model, images, labels)
    if keras.backend.backend() == "torch":
        steps |= peers.torchvision_steps(task, images, labels, policy)
    return steps


def measure(steps: dict[str, Callable[[], object]], repeats: int, warmup: int) -> dict[str, list[float]]:
    """Seconds of each step, `repeats` times, in turns; the order changes, so that none always follows the slowest."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    orders = itertools.cycle(itertools.permutations(steps))
    for round_number, order in zip(range(warmup + repeats), orders, strict=False):
        for name in order:
            start = time.perf_counter()
            steps[name]()
            elapsed = time.perf_counter() - start
            if round_number >= warmup:
                seconds[name].append(elapsed)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=("inference", "training"), default="inference")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=224, help="height and width in pixels")
    parser.add_argument("--policy", choices=("float32", "mixed_bfloat16"), default="float32")
    parser.add_argument("--repeats", type=int, default=7, help="timed rounds")
    parser.add_argument("--warmup", type=int, default=2, help="rounds before, not timed")
    parser.add_argument("--out", type=pathlib.Path, help="where to write the figures as JSON")
    args = parser.parse_args()
    keras.config.set_dtype_policy(args.policy)
    generator = np.random.default_rng(0)
    images = generator.standard_normal((args.batch, args.size, args.size, 3), dtype="float32")
    labels = generator.integers(0, 1000, args.batch).astype("int64")
    steps = contestants(args.task, images, labels, args.policy)
    seconds = measure(steps, args.repeats, args.warmup)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    ours = medians["keras_resnet"]
    row = {
        "backend": keras.backend.backend(),
        "task": args.task,
        "batch": args.batch,
        "size": args.size,
        "policy": args.policy,
        "repeats": args.repeats,
        "images_per_second": {name: args.batch / value for name, value in medians.items()},
        "ratio": {name: value / ours for name, value in medians.items() if name != "keras_resnet"},
        "seconds": seconds,
    }
    for name, value in medians.items():
        speed = f"{args.batch / value:9.2f} images/s  ratio {value / ours:.2f}"
        print(f"{row['backend']:10} {args.task:9} batch {args.batch} {args.policy:14} {name:28} {speed}")
    if args.out:
        args.out.write_text(json.dumps(row))


if __name__ == "__main__":
    main()
