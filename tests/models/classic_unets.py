"""What each U-Net without a pretrained encoder must do: any size, images and volumes, side outputs."""

from typing import Any

import keras
import numpy as np

from keras_resnet.learning import deep_supervision, inference_model
from tests import tolerances
from tests.arrays import as_numpy, normal, values
from tests.check_layer import run


def input_shape(form: dict, channels: int = 3, size: int | None = None, dims: int = 2) -> tuple:
    """Of images or volumes with open sides or of one size, in the data format of `form`."""
    sides = (size,) * dims
    return (channels, *sides) if form.get("data_format") == "channels_first" else (*sides, channels)


def check_any_size(model: keras.Model, *sizes: tuple) -> None:
    """The output has the size of the image."""
    for size in sizes:
        assert run(model, normal(1, *size, model.input_shape[-1])).shape == (1, *size, model.output_shape[-1])


def check_volumes(make: Any, sizes: tuple = (9, 6, 8)) -> None:
    """Volumes keep their size, a training step moves every variable, and channels first give the same.

    Args:
        make: gives the network; takes `input_shape` and `data_format`.
    """
    keras.utils.set_random_seed(0)
    volumes = normal(2, *sizes, 2)
    model = make(input_shape=(*sizes, 2))
    before = values(model)
    model.compile(keras.optimizers.SGD(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(volumes, np.arange(volumes[..., 0].size).reshape(volumes.shape[:-1]) % 3, batch_size=2, verbose=0)
    after = values(model)
    assert [path for path in before if (before[path] == after[path]).all() and "seed" not in path] == []
    logits = as_numpy(run(model, volumes))
    assert logits.shape == (*volumes.shape[:-1], 3)
    other = make(input_shape=(2, *sizes), data_format="channels_first")
    for new, old in zip(other.variables, model.variables, strict=True):
        new.assign(old.value)
    first = as_numpy(run(other, np.ascontiguousarray(np.moveaxis(volumes, -1, 1))))
    assert tolerances.difference(np.moveaxis(first, 1, -1), logits) < tolerances.LOGITS_FLOAT32


def check_deep_supervision(model: keras.Model, count: int) -> dict[str, np.ndarray]:
    """Named outputs of the image's size, each with a share in the loss; the inference network is the first. Gives the outputs."""
    images = normal(2, 19, 22, model.input_shape[-1])
    names = ["out", *(f"aux{place}" for place in range(1, count + 1))]
    assert list(model.output) == names
    model.compile(keras.optimizers.SGD(0.01), **deep_supervision(model, keras.losses.SparseCategoricalCrossentropy(from_logits=True)))
    model.fit(images, np.arange(2 * 19 * 22).reshape(2, 19, 22) % model.output["out"].shape[-1], batch_size=2, verbose=0)
    outputs = {name: as_numpy(y) for name, y in run(model, images).items()}
    assert {y.shape for y in outputs.values()} == {(2, 19, 22, model.output["out"].shape[-1])}
    alone = as_numpy(run(inference_model(model), images))
    assert tolerances.difference(alone, outputs["out"]) < tolerances.OPERATION["float32"]
    return outputs
