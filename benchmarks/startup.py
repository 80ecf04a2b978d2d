"""Times what happens once: importing the library, and building a network in a fresh process.

KERAS_BACKEND=jax python -m benchmarks.startup --model ResNet152 --repeats 3
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

IMPORT = """
import time
start = time.perf_counter()
import keras
between = time.perf_counter()
import keras_resnet
print(between - start, time.perf_counter() - between)
"""
BUILD = """
import time
import keras, keras_resnet
start = time.perf_counter()
{module}.{model}(weights=None)
print(time.perf_counter() - start)
"""


def run(program: str) -> list[float]:
    """Runs a program in a fresh process, and gives the numbers it prints."""
    output = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    return [float(word) for word in output.split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ResNet152", help="a constructor that keras.applications has too")
    parser.add_argument("--repeats", type=int, default=3, help="fresh processes of each, in turns")
    parser.add_argument("--out", type=pathlib.Path, help="where to write the figures as JSON")
    args = parser.parse_args()
    seconds: dict[str, list[float]] = {"import keras": [], "import keras_resnet": [], "keras_resnet": [], "keras.applications": []}
    for _ in range(args.repeats):
        framework, ours = run(IMPORT)
        seconds["import keras"].append(framework)
        seconds["import keras_resnet"].append(ours)
        for name in ("keras_resnet", "keras.applications"):
            seconds[name] += run(BUILD.format(module=name, model=args.model))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, value in medians.items():
        print(f"{name:22} {value:7.2f} s")
    if args.out:
        args.out.write_text(json.dumps({"model": args.model, "repeats": args.repeats, "seconds": medians}))


if __name__ == "__main__":
    main()
