"""A run on several replicas: how they begin as one, who writes, and what the others leave: nothing."""

import contextlib
import pathlib
import re
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from keras_resnet import learning
from training.interrupted import Lost
from training.recipe import Recipe
from training.run_folder import resuming

AGREED_EVERY = 10  # batches between two times that processes ask each other whether to stop


# What the engines say of a process that is no more; each says it by exceptions of its own.
LOST = re.compile(r"gloo|nccl|collective|connection (reset|closed|refused)|socket closed|heartbeat|coordination service", re.IGNORECASE)
ENGINES = re.compile(r"(UNKNOWN|UNAVAILABLE|INTERNAL|ABORTED|CANCELLED|DEADLINE_EXCEEDED): ")  # how JAX begins, also a ValueError


@contextlib.contextmanager
def while_all_live(replicas: learning.Replicas, folder: pathlib.Path) -> Iterator[None]:
    """Within it an engine's error at a process that is no more is a `Lost`, which says how to go on."""
    try:
        yield
    except Exception as error:
        own = isinstance(error, (ValueError, FloatingPointError, MemoryError, OSError)) and not isinstance(error, ConnectionError)
        if (own and not ENGINES.match(str(error))) or replicas.processes == 1 or not LOST.search(str(error)):
            raise
        raise Lost(
            f"Another process of this run has ended, or did not answer in time ({' '.join(str(error).split())[:200]}). Launch all of them "
            f"again, to go on from the last checkpoint: python -m training {resuming(folder)}"
        ) from error


@contextlib.contextmanager
def together(recipe: Recipe, folder: pathlib.Path) -> Iterator[learning.Replicas]:
    """The replicas that this process was launched as one of, or the only one, of the run in the folder.

    Raises:
        ValueError: if they do not divide the recipe's batch, or the recipe asks for a kind that is refused.
        Lost: see `while_all_live`.

    What is raised within it has the attribute `of_several`: whether other processes train, too.
    """
    wanted = recipe.distribution
    replicas = learning.distribute(wanted.sync_norm, wanted.kind, timeout=wanted.timeout)
    try:
        replicas.check_batch(recipe.batch)
        with while_all_live(replicas, folder):
            yield replicas
    except BaseException as error:
        error.of_several = replicas.processes > 1  # type: ignore[attr-defined]
        replicas.close(together=False)
        raise
    replicas.close()


@contextlib.contextmanager
def place(replicas: learning.Replicas, folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Where this process writes: the first into the run's folder, the others where nothing stays."""
    if replicas.is_first:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="replica-") as other:
        yield pathlib.Path(other)


def asked_of(replicas: learning.Replicas, share: Callable[[], object]) -> dict[str, Any]:
    """How processes agree to stop, as `callbacks.StopOnSignal` takes it. To agree they wait for each other."""
    return dict(agree=replicas.agree, every=AGREED_EVERY if replicas.processes > 1 else 1, share=share, of_all=replicas.of_all)


def tested_by_all(batches: Any) -> int:
    """How many of the batches to test on every process has a part of: the last one may be too small for that."""
    if batches is None:
        return 0
    sampler = getattr(batches, "sampler", None)
    return len(batches.images) // batches.batch_size if sampler is None else sampler.count // sampler.batch_size
