"""Small networks with numbers of their own in every variable, and weights files written from them."""

import pathlib
from typing import Any

import h5py
import keras
import numpy as np
import safetensors.numpy

import keras_resnet
from keras_resnet.weights import rename
from tests.arrays import as_numpy, normal

TO_TORCH = {4: (3, 2, 0, 1), 2: (1, 0)}  # our axes in PyTorch's order; other ranks are the same


def small(seed: int | None = None, **settings: Any) -> keras.Model:
    """A network of two bottlenecks, one with a projection and a stride; `seed` gives every variable numbers of its own."""
    arguments = dict(depths=(1, 1), widths=(8, 16), stem_width=8, classes=5, input_shape=(32, 32, 3), name="small")
    model = keras_resnet.models.resnet(**{**arguments, **settings})
    return model if seed is None else filled(model, seed)


def filled(model: keras.Model, seed: int) -> keras.Model:
    """`model` with other numbers in every variable; variances positive."""
    for number, variable in enumerate(model.weights):
        value = normal(*variable.shape, seed=1000 * seed + number, deviation=0.2)
        variable.assign(np.abs(value) + 0.5 if variable.path.endswith("variance") else value)
    return model


def state_dict(model: keras.Model, dtype: Any = "float32") -> dict[str, np.ndarray]:
    """The model's numbers under timm's keys in PyTorch's layout, with a counter of batches for each norm, as timm's files have."""
    tensors = {}
    for key, variable in rename.torch_keys(model).items():
        value = as_numpy(variable)
        tensors[key] = np.array(value.transpose(TO_TORCH.get(value.ndim, tuple(range(value.ndim)))), dtype, order="C")
        if key.endswith("running_mean"):
            tensors[key.replace("running_mean", "num_batches_tracked")] = np.asarray(7)
    return tensors


def write(model: keras.Model, path: pathlib.Path) -> pathlib.Path:
    """Writes the model in the format of the path's suffix."""
    if path.name.endswith(".safetensors"):
        safetensors.numpy.save_file(state_dict(model), path)
    elif path.name.endswith(".keras"):
        model.save(path)
    else:
        model.save_weights(path)
    return path


def datasets(path: pathlib.Path) -> dict[str, tuple]:
    """Path to shape of all datasets of an HDF5 file that hold a number, in the file's order."""
    found = {}
    with h5py.File(path, "r") as file:
        file.visititems(lambda key, item: found.update({key: item.shape}) if isinstance(item, h5py.Dataset) and item.size else None)
    return found


def same_numbers(one: keras.Model, other: keras.Model) -> bool:
    """Whether two models of one architecture hold the same bits."""
    pairs = list(zip(one.weights, other.weights, strict=True))
    return all(as_numpy(a).tobytes() == as_numpy(b).tobytes() for a, b in pairs)
