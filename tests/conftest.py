"""What holds for every test: one thread a worker, the same seed, and no test of minutes unless it is asked for."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # before a framework starts its threads: workers that share cores only get in each other's way
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(variable, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Tests marked `full` run with `-m full` or any other `-m`; without one they are left out."""
    if not config.option.markexpr:
        config.option.markexpr = "not full"
    # Keras 3.15 calls __array__ of PyTorch's and TensorFlow's tensors without the `copy` keyword of NumPy 2: its convert_to_numpy, so also
    # predict, fit and save. Nothing of ours can prevent it.
    config.addinivalue_line("filterwarnings", "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")


@pytest.fixture(autouse=True)
def seeded():
    """The same random numbers whichever tests ran before."""
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session", autouse=True)
def compile_once(tmp_path_factory):
    """On JAX what was compiled for one test is there for the next: a folder for each worker, as JAX locks none."""
    if keras.backend.backend() == "jax":
        import jax

        jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("compiled")))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@pytest.fixture(autouse=True)
def compile_fast(request):
    """In these folders' tests, on JAX, XLA does not optimize: nearly all their time would be compilation."""
    if keras.backend.backend() != "jax" or request.path.parent.name not in (
        "diffusion",
        "layers",
        "learning",
        "losses",
        "metrics",
        "models",
        "tests",
        "training",
        "vision",
        "weights",
    ):
        yield
        return
    import jax

    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture
def mixed_bfloat16():
    """Keras's dtype policy set to mixed bfloat16 for the length of a test."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)
