"""Where the random numbers stand that are drawn outside of Keras's seed generators."""

import random

import keras
import numpy as np


def random_state() -> tuple[dict[str, np.ndarray], dict]:
    """The state of Python's, NumPy's and, on PyTorch, its generators: arrays by name, and plain values."""
    name, keys, position, has_normal, normal = np.random.get_state(legacy=True)
    version, words, cached = random.getstate()
    arrays = {"numpy": np.asarray(keys), "python": np.asarray(words, "uint32")}
    plain = {"numpy": [name, int(position), int(has_normal), float(normal)], "python": [version, cached]}
    if keras.backend.backend() == "torch":
        import torch

        arrays["torch"] = torch.get_rng_state().numpy()
        if torch.cuda.is_available():
            arrays |= {f"cuda{i}": state.numpy() for i, state in enumerate(torch.cuda.get_rng_state_all())}
    return arrays, plain


def set_random_state(arrays: dict[str, np.ndarray], plain: dict) -> None:
    """Sets what `random_state` gave. Generators that this backend or machine does not have are passed over."""
    name, position, has_normal, normal = plain["numpy"]
    np.random.set_state((name, np.asarray(arrays["numpy"], "uint32"), position, has_normal, normal))
    version, cached = plain["python"]
    random.setstate((version, tuple(int(word) for word in arrays["python"]), cached))
    if keras.backend.backend() == "torch" and "torch" in arrays:
        import torch

        torch.set_rng_state(torch.from_numpy(np.array(arrays["torch"])))
        for i in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
            if f"cuda{i}" in arrays:
                torch.cuda.set_rng_state(torch.from_numpy(np.array(arrays[f"cuda{i}"])), i)
