"""Loads a file of each format and predicts where one backend alone is installed: `KERAS_BACKEND=jax python tests/alone.py`.

Needs neither pytest nor anything else of this folder, so that an environment with nothing but the package and one backend runs it
(`make test-alone`). With `--hide` the other frameworks are installed and cannot be imported, which takes no environment of its own.
"""

import importlib.util
import os
import pathlib
import re
import sys
import tempfile
from typing import Any

BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
OTHERS = {"jax", "tensorflow", "torch"} - {BACKEND}


class Hiding:
    """A finder of modules to which the other frameworks do not exist."""

    def __init__(self, finder: Any):
        self.finder = finder

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        return None if name.partition(".")[0] in OTHERS else self.finder.find_spec(name, path, target)


if "--hide" in sys.argv:
    sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]
else:
    sys.path = [place for place in sys.path if pathlib.Path(place).resolve() != pathlib.Path(__file__).parents[1]]
    found = sorted(name for name in OTHERS if importlib.util.find_spec(name))
    if found:
        sys.exit(f"{BACKEND} is not alone in this environment: {', '.join(found)} can be imported. Pass --hide to hide them.")

import keras
import numpy as np

import keras_resnet


def big_transfer_arrays(model: keras.Model) -> dict[str, np.ndarray]:
    """The numbers of a `resnetv2_*_bit` as Big Transfer's own files name them."""
    arrays = {}
    for variable in model.weights:
        *parts, leaf = variable.path.split("/")
        value = keras.ops.convert_to_numpy(variable.value)
        block = re.fullmatch(r"stage(\d)_block(\d+)", parts[0])
        kind = "group_norm" if "norm" in parts[-1] else "standardized_conv2d"
        if block:
            branch = "a/proj" if parts[1] == "shortcut" else "abc"[int(parts[1][-1]) - 1]
            key = f"block{block[1]}/unit{int(block[2]):02d}/{branch}/{kind}/{leaf}"
        else:
            key = {"stem": "root_block/standardized_conv2d", "post_norm": "group_norm", "head": "head/conv2d"}[parts[0]] + f"/{leaf}"
        arrays[f"resnet/{key}"] = value[None, None] if key == "head/conv2d/kernel" else value
    return arrays


def write(model: keras.Model, path: pathlib.Path) -> None:
    if path.suffix == ".npz":
        np.savez(path, **big_transfer_arrays(model))
    elif path.name.endswith(".weights.h5"):
        model.save_weights(path)
    elif path.suffix == ".keras":
        model.save(path)
    else:
        keras_resnet.save_weights(model, path, layout="keras" if path.suffix == ".h5" else "timm")


def check(name: str, path: pathlib.Path) -> None:
    """A network's probabilities, and those of another one that was given its numbers through a file, for the same images."""
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 50, 3), "uint8")
    source = keras_resnet.create_model(name, weights=None)
    write(source, path)
    loaded = keras_resnet.create_model(name, weights=path)
    x = keras_resnet.preprocessing(f"{name}.a1_in1k" if name == "resnet18" else name)(images)
    expected, actual = source.predict(x, verbose=0), loaded.predict(x, verbose=0)
    assert np.isfinite(expected).all()
    assert np.abs(actual - expected).max() <= 1e-6, f"{name} from {path.name}: {np.abs(actual - expected).max()}"
    assert len(keras_resnet.decode_predictions(actual, top=5)) == len(images)
    print(f"{BACKEND} alone: {name} from {path.name}, {path.stat().st_size:,} bytes: the same probabilities")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        here = pathlib.Path(folder)
        check("resnet18", here / "model.safetensors")
        check("resnet18", here / "model.weights.h5")
        check("resnet18", here / "model.keras")
        check("resnet50v1", here / "model.h5")
        check("resnetv2_50x1_bit", here / "model.npz")
        if BACKEND == "torch":
            check("resnet18", here / "model.pth")
        else:
            (here / "theirs.pth").write_bytes(b"PK\x03\x04")
            try:
                keras_resnet.create_model("resnet18", weights=here / "theirs.pth")
                raise AssertionError("a pickle was read without PyTorch")
            except ValueError as error:
                assert "safetensors" in str(error), error
                print(f"{BACKEND} alone: {error}")
    loaded = sorted(OTHERS & set(sys.modules))
    assert not loaded, f"{loaded} imported beside {BACKEND}"


if __name__ == "__main__":
    main()
