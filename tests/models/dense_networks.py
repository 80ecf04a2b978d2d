"""Small networks for dense prediction, what is counted of them, and what each of them must do."""

import pathlib
from typing import Any

import keras
import numpy as np

import keras_resnet
from tests import tolerances
from tests.arrays import as_numpy, normal, values
from tests.check_layer import run

NARROW = {
    "UNet": dict(widths=(16, 12, 8, 8, 4)),
    "UNetPlusPlus": dict(widths=(16, 12, 8, 8, 4)),
    "FPN": dict(pyramid_width=12, width=8),
    "DeepLabV3Plus": dict(width=8, early_width=4, rates=(1, 2)),
}


def count(model: keras.Model) -> int:
    """Trainable parameters."""
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def small(builder: Any = keras_resnet.UNet, **settings: Any) -> keras.Model:
    """On an encoder of four stages of one block; the decoder is as narrow."""
    size, stride = settings.pop("size", None), settings.pop("output_stride", None)
    form = {key: settings.pop(key) for key in ("data_format", "dtype") if key in settings}
    shape = (3, size, size) if form.get("data_format") == "channels_first" else (size, size, 3)
    encoder = keras_resnet.models.resnet(
        depths=(1, 1, 1, 1),
        widths=(8, 8, 12, 16),
        stem_width=8,
        block="basic",
        include_top=False,
        input_shape=shape,
        output_stride=stride,
        **form,
    )
    return builder(encoder, **{"classes": 3, **NARROW.get(builder.__name__, {}), **settings})


def check_learns_and_is_kept(make: Any, folder: pathlib.Path, size: int = 40, still: tuple[str, ...] = ()) -> None:
    """A training step moves every variable; the `.keras` file, bfloat16 and channels first give the same.

    Args:
        make: gives a fresh network of three classes for images of `size`; takes `data_format` and `dtype`.
        still: parts of the paths of variables that a step may leave as they are.
    """
    images = normal(4, size, size, 3)
    masks = np.arange(4 * size * size).reshape(4, size, size) % 3
    model = make()
    before = values(model)
    model.compile(keras.optimizers.SGD(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, masks, batch_size=4, verbose=0)
    after = values(model)
    assert [path for path in before if (before[path] == after[path]).all() and not any(part in path for part in ("seed", *still))] == []
    logits = as_numpy(run(model, images))
    model.save(folder / "model.keras")
    assert (as_numpy(run(keras.saving.load_model(folder / "model.keras"), images)) == logits).all()
    forms = [
        (dict(dtype="mixed_bfloat16"), 5 * tolerances.LOGITS_BFLOAT16),
        (dict(data_format="channels_first"), tolerances.LOGITS_FLOAT32),
    ]
    for form, tolerance in forms:
        other = make(**form)
        for new, old in zip(other.variables, model.variables, strict=True):
            new.assign(old.value)
        first = "data_format" in form
        y = as_numpy(run(other, np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if first else images))
        assert tolerances.difference(y.transpose(0, 2, 3, 1) if first else y, logits) < tolerance
