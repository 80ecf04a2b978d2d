"""What runs something of ours: a loader of PyTorch or of TensorFlow, on whatever backend. Neither is imported to know."""

import sys
from typing import Any

import keras


def worker_seed() -> int | None:
    """The number that PyTorch's `DataLoader` draws for each worker process of each epoch; `None` outside of one."""
    data = sys.modules.get("torch.utils.data")
    worker = None if data is None else data.get_worker_info()
    return None if worker is None else worker.seed


def without_numbers(values: Any) -> bool:
    """Whether there is a tensor of `tf.data` among these, which has no numbers yet, and the backend is not TensorFlow."""
    tf = sys.modules.get("tensorflow")
    if tf is None or keras.backend.backend() == "tensorflow":
        return False
    return any(isinstance(one, tf.Tensor) and tf.is_symbolic_tensor(one) for one in keras.tree.flatten(values))
