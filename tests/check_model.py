"""What every network must do, whichever its settings: `check_model`."""

from typing import Any

import keras
import numpy as np

import keras_resnet
from tests import tolerances
from tests.arrays import as_numpy, normal, values
from tests.check_layer import run


def check_model(make: Any, size: int, strides: dict[str, int], tmp_path: Any) -> None:
    """Symbolic and eager shape, a training step, `.keras` file, features, clone, mixed precision, and both data formats.

    Args:
        make: gives the network, built from the same seed each time; takes the builder's further settings.
        size: height and width in pixels.
        strides: how many pixels of the image a step on each stage's map covers.
    """
    images = normal(4, size, size, 3)
    model = make(input_shape=(size, size, 3), classes=5)
    before = values(model)
    model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
    model.fit(images, np.arange(4), batch_size=4, verbose=0)
    after = values(model)
    assert [path for path in before if "seed" not in path and (before[path] == after[path]).all()] == []
    probabilities, maps = _found(model, images)
    assert tuple(model.output_shape) == (None, 5)
    assert np.allclose(probabilities.sum(-1), 1, atol=1e-5)
    assert np.abs(probabilities[0] - probabilities[1]).max() > 1e-4, "blind to the images"

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    again, same_maps = _found(loaded, images)
    assert (again == probabilities).all()
    assert list(maps) == list(same_maps) == list(strides)
    for stage, stride in strides.items():
        assert maps[stage].shape[1:3] == (-(-size // stride),) * 2
        assert (maps[stage] == same_maps[stage]).all()

    clone = keras.models.clone_model(model)
    clone.set_weights([as_numpy(v) for v in model.weights])
    assert (as_numpy(run(clone, images)) == probabilities).all()

    for settings, tolerance in ((dict(dtype="mixed_bfloat16"), 3 * tolerances.LOGITS_BFLOAT16), (FIRST, tolerances.LOGITS_FLOAT32)):
        shape = (3, size, size) if settings is FIRST else (size, size, 3)
        other = make(input_shape=shape, classes=5, **settings)
        for new, old in zip(other.variables, model.variables, strict=True):
            assert new.shape == old.shape
            assert new.dtype == old.dtype
            new.assign(old.value)
        y = run(other, np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if settings is FIRST else images)
        assert keras.backend.standardize_dtype(y.dtype) == "float32"
        assert tolerances.difference(as_numpy(y), probabilities) < tolerance


FIRST = dict(data_format="channels_first")


def _found(model: keras.Model, images: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """What the network says, and its maps by stage: computed once, since on JAX compilation is most of a test's time."""
    both = keras.Model(model.input, {"probabilities": model.output, **keras_resnet.features(model)})
    maps = {name: as_numpy(tensor) for name, tensor in run(both, images).items()}
    return maps.pop("probabilities"), maps
