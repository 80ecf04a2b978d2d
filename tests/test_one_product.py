"""Three backends, one product: the same `.keras` files and images give the same logits, gradients and training on all of them.

Every backend runs in a process of its own (`one_backend.py`); the files are written by different ones, in turn.
"""

import importlib.util
import itertools
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tests import one_backend, tolerances

BACKENDS = ("torch", "jax", "tensorflow")
INSTALLED = [backend for backend in BACKENDS if importlib.util.find_spec(backend)]
ROOT = pathlib.Path(__file__).parents[1]
NETWORKS = list(one_backend.NETWORKS)

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("KERAS_BACKEND", "jax") != "jax",
        reason="starts all backends itself; runs once, in the run of KERAS_BACKEND=jax",
    ),
    pytest.mark.timeout(1500),  # the first test waits for six processes
    pytest.mark.parametrize(("one", "other"), list(itertools.combinations(BACKENDS, 2))),
    pytest.mark.parametrize("network", NETWORKS),
]


def run(backend: str, *arguments: str) -> None:
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "tests.one_backend", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, f"{' '.join(command)} on {backend}:\n{done.stderr[-4000:]}"


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> dict[str, dict[str, np.ndarray]]:
    """What each installed backend found, by name; the files are written first, each by the next backend in turn."""
    folder = tmp_path_factory.mktemp("one_product")
    for i, backend in enumerate(INSTALLED):
        run(backend, "write", str(folder), *NETWORKS[i :: len(INSTALLED)])
    results = {}
    for backend in INSTALLED:
        run(backend, "measure", str(folder))
        with np.load(folder / f"{backend}.npz") as file:
            results[backend] = dict(file)
    return results


@pytest.fixture
def both(measured, one, other):
    missing = [backend for backend in (one, other) if backend not in measured]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    assert measured[one].keys() == measured[other].keys()
    return measured[one], measured[other]


def below(results: dict, prefix: str) -> list[str]:
    """Keys that begin so; there are some, or the test would compare nothing."""
    keys = [key for key in results if key.startswith(prefix)]
    assert keys, f"nothing was measured under {prefix!r}"
    return keys


def assert_within(differences: dict[str, float], tolerance: float) -> None:
    worst = max(differences, key=differences.__getitem__)
    print(f"largest of {len(differences)}: {differences[worst]:.1e} of {tolerance:.0e} at {worst}")  # shown by -s
    far = {key: value for key, value in differences.items() if not value <= tolerance}
    assert not far, f"{len(far)} of {len(differences)} differ by more than {tolerance:.0e}; the worst is {worst}: {differences[worst]:.1e}"


def assert_depends_on_the_image(logits: np.ndarray, tolerance: float) -> None:
    """In each class the images are apart by more than what two backends may be."""
    apart = np.ptp(logits, axis=0).min() / np.abs(logits).max()
    assert apart > 2 * tolerance, f"the logits of different images differ by {apart:.1e} only, and would hide a fault"


def test_logits(both, network):
    key = f"{network}/logits/float32"
    assert_depends_on_the_image(both[0][key], tolerances.LOGITS_FLOAT32)
    assert_within({key: tolerances.difference(both[0][key], both[1][key])}, tolerances.LOGITS_FLOAT32)


def test_logits_bfloat16(both, network):
    """They agree with each other, and are worked out in bfloat16 at all: not those of float32."""
    key = f"{network}/logits/mixed_bfloat16"
    assert_depends_on_the_image(both[0][key], tolerances.LOGITS_BFLOAT16)
    assert_within({key: tolerances.difference(both[0][key], both[1][key])}, tolerances.LOGITS_BFLOAT16)
    for results in both:
        assert tolerances.difference(results[key], results[f"{network}/logits/float32"]) > tolerances.LOGITS_FLOAT32


def test_gradients(both, network):
    """Each relative to its own largest number."""
    keys = below(both[0], f"{network}/gradients/")
    largest = max(np.abs(both[0][key]).max() for key in keys)
    assert all(np.abs(both[0][key]).max() > 1e-4 * largest for key in keys), "a gradient is zero but for rounding, and proves nothing"
    assert_within({key: tolerances.difference(both[1][key], both[0][key]) for key in keys}, tolerances.GRADIENTS)


def test_losses(both, network):
    key = f"{network}/losses"
    losses, others = both[0][key], both[1][key]
    apart = np.abs(np.diff(losses)).min()
    assert apart > 2 * tolerances.LOSSES, f"two steps' losses differ by {apart:.1e} only: the test would not tell them apart"
    assert_within({key: float(np.abs(others / losses - 1).max())}, tolerances.LOSSES)


def test_statistics(both, network):
    """After five steps, channel by channel in the channel's own scale.

    A variance is compared with itself. A mean may be anywhere, also at zero, and what the network makes of an error in it depends on the
    standard deviation it is divided by: so it is compared with that. Over all channels together, a large one would hide a small one.
    """
    if network in one_backend.WITHOUT_STATISTICS:
        assert not [key for key in both[0] if key.startswith(f"{network}/statistics/")]
        return
    differences = {}
    for key in below(both[0], f"{network}/statistics/"):
        scale = np.abs(both[0][key])
        if key.endswith("moving_mean"):
            place, _, path = key.rpartition("/")[2].partition(".")
            scale = np.sqrt(both[0][f"{network}/statistics/{int(place) + 1:03d}.{path.removesuffix('mean')}variance"])
        differences[key] = float((np.abs(both[1][key] - both[0][key]) / scale).max())
    assert_within(differences, tolerances.STATISTICS)
