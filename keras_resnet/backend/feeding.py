"""Batches on their way to the device while another is trained on."""

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops


def sent(array: np.ndarray) -> Any:
    """The array as a tensor on the device, of its own type: pictures in uint8 are a quarter of what they are in float32.

    On PyTorch with CUDA from page-locked memory, so that the copy runs beside everything else; elsewhere as Keras does it, which on JAX
    does not wait for the copy either. The gain on a GPU was not measured.
    """
    device = _cuda()
    if device is None:
        return ops.convert_to_tensor(array)
    import torch

    return torch.from_numpy(np.ascontiguousarray(array)).pin_memory().to(device, non_blocking=True)


def made(work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """`work` of each item, for a thread beside the training; `taken` hands it over. It is called in the thread of the training.

    On PyTorch with CUDA in a stream of its own, or else its copies and its augmentation would wait for the step that runs, and that for
    them; and on the GPU of the training, as a new thread's is the first one.
    """
    return _beside(_cuda(), work, items)


def _beside(device: Any, work: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    if device is None:
        for item in items:
            yield work(item), None
        return
    import torch

    with torch.cuda.device(device):
        stream = torch.cuda.Stream()
        for item in items:
            with torch.cuda.stream(stream):
                batch = work(item)
                done = stream.record_event()
            yield batch, done


def taken(pairs: Iterable[tuple[Any, Any]]) -> Iterator[Any]:
    """What `made` gave, for the thread of the training: its stream waits until it is complete, and Python does not."""
    for batch, done in pairs:
        if done is not None:
            import torch

            own = torch.cuda.current_stream()
            own.wait_event(done)
            for tensor in batch:
                if isinstance(tensor, torch.Tensor):
                    tensor.record_stream(own)  # so that its memory is not given to the next one before the step is over
        yield batch


def of_any_size(batches: Any) -> Any:
    """A `PyDataset` as `fit` takes it where its pictures differ in size."""
    if keras.backend.backend() != "tensorflow":
        return batches
    from keras_resnet.backend import tensorflow_batches

    return tensorflow_batches.of_any_size(batches)


@functools.cache
def _cuda() -> Any:
    """Keras's device, if that is PyTorch's CUDA: of the thread that asks first, which is that of the training."""
    if keras.backend.backend() != "torch":
        return None
    device = ops.convert_to_tensor(0).device
    return device if device.type == "cuda" else None
