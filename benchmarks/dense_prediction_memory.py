"""The memory that UNet 3+ and FC-DenseNets need for a training step, with and without recomputation.

    python -m benchmarks.dense_prediction_memory --backend torch --network unet3plus

Each case is a process of its own; memory as in `benchmarks.memory`.
"""

import argparse
import json
import os
import subprocess
import sys

BACKENDS = ("torch", "tensorflow", "jax")
NETWORKS = ("unet3plus", "fc_densenet67", "fc_densenet103")
CLASSES = 11


def memory(network: str, remat: bool, size: int, batch: int) -> int:
    """Bytes that a training step takes beyond variables and optimizer."""
    import numpy as np

    from benchmarks.memory import training_memory
    from keras_resnet.models.fc_densenet import FC_DENSENETS
    from keras_resnet.models.unet3plus import UNETS3PLUS

    row = {**UNETS3PLUS, **FC_DENSENETS}[network]
    model = row.builder(**{**row.settings, "classes": CLASSES, "remat": remat, "input_shape": (size, size, 3)})
    images = np.random.default_rng(0).standard_normal((batch, size, size, 3), dtype="float32")
    labels = np.arange(batch * size * size).reshape(batch, size, size) % CLASSES
    return training_memory(model, images, labels)


def case(backend: str, *arguments: str) -> int:
    """The figure of one case, from a process of its own."""
    from benchmarks.memory import RETURNED

    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", **RETURNED}
    command = [sys.executable, "-m", "benchmarks.dense_prediction_memory", "--case", *arguments]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=BACKENDS, action="append", help="one backend only; may be given again")
    parser.add_argument("--network", choices=NETWORKS, action="append", help="one network only; may be given again")
    parser.add_argument("--size", type=int, default=128, help="pixels a side")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--case", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.case:
        network, form, *sizes = args.case
        print(json.dumps(memory(network, form == "remat", *map(int, sizes))))
        return
    for backend in args.backend or BACKENDS:
        for network in args.network or NETWORKS:
            plain, remat = (case(backend, network, form, str(args.size), str(args.batch)) for form in ("plain", "remat"))
            print(
                f"| {backend} | {network} | plain {plain / 2**20:.0f} MiB | remat {remat / 2**20:.0f} MiB | {remat / plain:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
