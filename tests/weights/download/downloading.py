"""A download of the one file that all these tests are about, and what became of it."""

import contextlib
import dataclasses
import hashlib
import pathlib
import time

import pytest

from keras_resnet.weights import download as module
from keras_resnet.weights.connection import Limits
from keras_resnet.weights.download import DownloadError, cache_folder
from tests.weights.local_server import CONTENT, OTHER

ROOT = pathlib.Path(__file__).parents[3]
SHA, OTHER_SHA = (f"sha256:{hashlib.sha256(content).hexdigest()}" for content in (CONTENT, OTHER))
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
NAME = "weights.h5"
PATIENT = Limits(attempts=3, backoff=0.01, longest_wait=3, most_bytes=2**20)
HASTY = dataclasses.replace(PATIENT, connect=2, read=0.3, stall=0.6, least=5000, lock=0.5)
# The package without its own page, which would import Keras: eight processes of that would take most of a minute.
WITHOUT_KERAS = f"""
import sys, types
package = types.ModuleType("keras_resnet")
package.__path__ = [{str(ROOT / "keras_resnet")!r}]
sys.modules["keras_resnet"] = package
from keras_resnet.weights.connection import Limits
from keras_resnet.weights.download import _download
assert not {{"keras", "torch", "jax", "tensorflow"}} & sys.modules.keys()
"""


def fetch(server, digest: str = SHA, limits: Limits = PATIENT, path: str = f"/{NAME}") -> pathlib.Path:
    return module._download(server.url(path), digest, "", limits)


def names(cache: pathlib.Path) -> set[str]:
    return {path.name for path in cache.rglob("*")} if cache.exists() else set()


def only_good(cache: pathlib.Path) -> bool:
    """The file, what is remembered of it, and nothing else."""
    return names(cache) == {NAME, f".{NAME}.json"} and (cache / NAME).read_bytes() == CONTENT


@contextlib.contextmanager
def refused(*words: str, seconds: float = 5.0):
    """One error with these words, within these seconds, that says what to do."""
    start = time.monotonic()
    with pytest.raises(DownloadError) as caught:
        yield
    assert time.monotonic() - start < seconds
    for word in (*words, NAME, "https://", str(cache_folder() / NAME), "weights=None"):
        assert word in str(caught.value)
