"""Writes a model's numbers as timm, torchvision or keras.applications keep them."""

import os
import pathlib

import h5py
import keras
import numpy as np
import safetensors.numpy

from keras_resnet.layers import Residual
from keras_resnet.layers.configured import check_choice
from keras_resnet.weights import keras_names, peer_networks, read_pickle, rename, torch_names
from keras_resnet.weights.whole_files import written

SUFFIXES = {"timm": (".safetensors", ".pth"), "torchvision": (".pth", ".safetensors"), "keras": (".h5",)}


def save_weights(model: keras.Model, path: str | os.PathLike, layout: str = "timm") -> None:
    """Writes the numbers of a network to a file that timm, torchvision or keras.applications loads.

    A network for dense prediction goes, in the layout `"timm"`, into segmentation_models.pytorch's names. For our own files there are
    `model.save` and `model.save_weights`.

    Args:
        model: a network of the zoo.
        path: where to: `.safetensors` or `.pth` for timm and torchvision (`.pth` needs PyTorch), `.h5` for keras.applications. A file that
            is there is replaced, and only by a complete one.
        layout: `"timm"`, `"torchvision"` or `"keras"`.

    Raises:
        ValueError: at another layout or suffix, or if that library has no such network.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"`model` must be a keras.Model. Received: {type(model).__name__}.")
    check_choice("layout", layout, tuple(SUFFIXES))
    if not isinstance(path, (str, os.PathLike)):
        raise ValueError(f"`path` must be the path of a file. Received: path={path!r}.")
    path = pathlib.Path(path).expanduser()
    allowed = SUFFIXES[layout]
    if path.suffix.lower() not in allowed or path.name.lower().endswith(".weights.h5"):
        raise ValueError(f"A file in the layout {layout!r} must end in {' or '.join(allowed)}. Received: path={str(path)!r}.")
    if not path.parent.is_dir():
        raise ValueError(f"There is no folder {str(path.parent)!r} to write {path.name!r} into. Make it first.")
    if path.is_dir():
        raise ValueError(f"`path` is a folder, and must be that of a file. Received: path={str(path)!r}.")
    if layout == "keras":
        arrays = _keras_arrays(model)
        written(path, lambda place: _write_h5(place, arrays))
        return
    state = _state_dict(model, layout)
    if path.suffix.lower() == ".pth":
        written(path, lambda place: read_pickle.write(place, state))
    else:
        written(path, lambda place: safetensors.numpy.save_file(state, place))


def _array(slot: rename.Slot) -> np.ndarray:
    value = keras.ops.convert_to_numpy(slot.variable.value)
    return np.ascontiguousarray(slot.to_theirs(value.astype("float32") if value.dtype.itemsize < 4 else value)).reshape(slot.shape)


def _state_dict(model: keras.Model, layout: str) -> dict[str, np.ndarray]:
    found = rename.torch_layout(model)
    problem = _problem(model, layout, found)
    if problem:
        raise ValueError(f"{layout} cannot take the weights of {model.name!r}: {problem}.")
    arrays = {}
    for key, slot in found.slots.items():
        arrays[key] = _array(slot)
        if key.endswith("running_var"):
            arrays[key.replace("running_var", "num_batches_tracked")] = np.asarray(0, "int64")
    return arrays


def _problem(model: keras.Model, layout: str, found: rename.Layout) -> str:
    """Why timm or torchvision has no place for a network's numbers, in words; "" where it has."""
    family = rename.family_of(model)
    foreign = [key for key in found.slots if "/" in key]
    if foreign:
        return f"it has no names for {', '.join(foreign[:3])}"
    for block in model.layers:
        if isinstance(block, Residual) and block.strides > 1 and getattr(block, "strides_in", "3x3") != "3x3":
            return f"{block.name} strides in the 1x1 convolution, its networks in the 3x3"
    biased = [key for key, slot in found.slots.items() if _is_conv_bias(slot) and not key.startswith("decoder.")]  # which may have them
    if biased and family not in (torch_names.NORM_FREE, torch_names.TRANSFORMER):
        return f"its convolutions have no biases, this network has {biased[0]}"
    if layout == "torchvision" and family not in (torch_names.RESNET, torch_names.DENSE):
        return "of its networks none is of this family"
    return peer_networks.difference(model, layout)


def _is_conv_bias(slot: rename.Slot) -> bool:
    parts = slot.variable.path.split("/")
    return parts[-1] == "bias" and parts[-2].startswith("conv") and slot.part != "head"


def _keras_arrays(model: keras.Model) -> dict[str, dict[str, np.ndarray]]:
    """Layer name to its arrays, in the order in which keras.applications makes them; biases that this network has not are zeros."""
    found = rename.keras_layout(model)
    arrays: dict[str, dict[str, np.ndarray]] = {}
    for key, slot in found.slots.items():
        layer, _, leaf = key.partition("/")
        arrays.setdefault(layer, {})[leaf] = _array(slot)
        mean = found.biases.get(f"{layer}/bias")
        if mean is not None:
            arrays[layer]["bias"] = np.zeros(found.slots[mean].shape, "float32")
    return {layer: arrays[layer] for layer in sorted(arrays, key=lambda name: keras_names.place(name, list(arrays)))}


def _write_h5(path: str, arrays: dict[str, dict[str, np.ndarray]]) -> None:
    """As Keras 2 wrote weights, and every Keras reads them: a group a layer, the order of both in attributes."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in arrays]
        file.attrs["backend"], file.attrs["keras_version"] = b"tensorflow", b"2.15.0"
        for layer, values in arrays.items():
            group = file.create_group(layer)
            names = [f"{layer}/{leaf}:0" for leaf in values]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, value in zip(names, values.values(), strict=True):
                group.create_dataset(name, data=value)
