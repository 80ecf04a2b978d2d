"""The overhead of our trainer: `python -m training`'s loop beside bare loops of the framework, ResNet-20 on pictures of CIFAR's shape.

    KERAS_BACKEND=torch python -m benchmarks.trainer --batch 128 --steps 12 --rounds 5

Ours is a whole run of a recipe without augmentation, with its callbacks, logs and checkpoints, whose rate it writes into its own log; bare
loops run before and behind it, twice over. A ratio above 1 says that ours is faster.
"""

import argparse
import csv
import dataclasses
import pathlib
import statistics
import tempfile
import time

import keras
import numpy as np

import keras_resnet
from benchmarks.native_loops import loops
from training import recipes, run
from training.recipe import Augmentation, Schedule


def ours(folder: pathlib.Path, data: pathlib.Path, batch: int, steps: int, rounds: int) -> list[float]:
    """Pictures a second of each epoch behind the first."""
    recipe = recipes.recipe("cifar10_resnet20")
    recipe = dataclasses.replace(
        recipe, epochs=rounds + 1, steps=steps, batch=batch, augmentation=Augmentation(flip=False), schedule=Schedule("constant")
    )
    run.start(recipe, run.Where(str(data)), folder, verbose=0)
    with (folder / run.LOG).open(encoding="utf-8", newline="") as file:
        return [float(row["images_per_second"]) for row in csv.DictReader(file)][1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=12, help="in a round")
    parser.add_argument("--rounds", type=int, default=5, help="timed each time")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (max(2 * args.steps, 8) * args.batch, 32, 32, 3), dtype="uint8")
    labels = rng.integers(0, 10, len(images))
    model = keras_resnet.create_model("resnet20", input_shape=(32, 32, 3), classifier_activation=None)
    bare = loops(model, images, labels, args.batch)
    rates: dict[str, list[float]] = {"ours": [], **{name: [] for name in bare}}
    with tempfile.TemporaryDirectory() as place:
        data = pathlib.Path(place, "data.npz")
        np.savez(data, train_images=images, train_labels=labels, test_images=images[:128], test_labels=labels[:128])
        for loop in bare.values():
            loop(2)  # compiles
        for turn in range(2):
            for name, loop in bare.items():
                for _ in range(args.rounds):
                    start = time.perf_counter()
                    loop(args.steps)
                    rates[name].append(args.steps * args.batch / (time.perf_counter() - start))
            rates["ours"] += ours(pathlib.Path(place, f"run{turn}"), data, args.batch, args.steps, args.rounds)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, rate in medians.items():
        spread = f"{min(rates[name]):.0f} to {max(rates[name]):.0f}"
        print(f"{keras.backend.backend():<12} {name:<26} {rate:8.0f} images/s ({spread})   ours / this: {medians['ours'] / rate:.2f}")


if __name__ == "__main__":
    main()
