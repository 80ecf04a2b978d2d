"""Batches on their way to the device: what comes is what was sent, and on CUDA in the right order of streams."""

import contextlib

import keras
import numpy as np
import pytest

from keras_resnet.backend import feeding
from tests.arrays import as_numpy

ARRAYS = (np.arange(12, dtype="uint8").reshape(3, 4), np.eye(3, dtype="float32"))


def doubled(batch: tuple) -> tuple:
    return tuple(2 * feeding.sent(one) for one in batch)


def test_what_comes_is_what_was_sent():
    batches = list(feeding.taken(feeding.made(doubled, [ARRAYS, ARRAYS[::-1]])))
    assert len(batches) == 2
    for batch, arrays in zip(batches, (ARRAYS, ARRAYS[::-1])):
        for one, array in zip(batch, arrays, strict=True):
            assert keras.backend.standardize_dtype(one.dtype) == array.dtype.name
            np.testing.assert_array_equal(as_numpy(one), 2 * array)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="CUDA's streams are PyTorch's")
def test_a_stream_of_its_own(monkeypatch):
    """On a machine without CUDA with stand-ins, which write down what is asked of them."""
    import torch

    if torch.cuda.is_available():
        pairs = list(feeding.made(doubled, [ARRAYS] * 50))
        assert all(isinstance(done, torch.cuda.Event) for _, done in pairs)
        for batch in feeding.taken(pairs):
            for one, array in zip(batch, ARRAYS, strict=True):
                assert one.is_cuda
                np.testing.assert_array_equal(as_numpy(one), 2 * array)
        return
    asked: list = []

    class Stream:
        def record_event(self):
            asked.append("recorded")
            return len(asked)

        def wait_event(self, event):
            asked.append(f"waits for {event}")

    class Inside:
        def __init__(self, stream):
            self.stream = stream

        def __enter__(self):
            asked.append("side")

        def __exit__(self, *_):
            asked.append("back")

    monkeypatch.setattr(feeding, "_cuda", lambda: torch.device("cpu"))
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", Inside)
    monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext(asked.append(f"on {device}")))
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self, raising=False)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda self, stream: asked.append("kept"), raising=False)
    made = feeding.made(doubled, [ARRAYS])
    monkeypatch.setattr(feeding, "_cuda", lambda: torch.device("meta"))  # another thread's is another, which must not count
    monkeypatch.setattr(feeding, "sent", lambda array: torch.from_numpy(array))
    for batch in feeding.taken(made):
        asked.append("trained")
        for one, array in zip(batch, ARRAYS, strict=True):
            np.testing.assert_array_equal(as_numpy(one), 2 * array)
    # The event is recorded in the side stream behind all work, and waited for before the batch is trained on.
    assert asked == ["on cpu", "side", "recorded", "back", "waits for 3", "kept", "kept", "trained"]
