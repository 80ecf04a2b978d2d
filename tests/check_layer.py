"""What every layer must do, whichever its options: `check_layer`."""

from typing import Any

import keras
import numpy as np

from tests import tolerances
from tests.arrays import as_numpy, normal, values
from tests.gradients import layer_gradients, takes_training


def check_layer(make: Any, shape: tuple, tmp_path: Any, has_formats: bool = True, trains: bool = True) -> None:
    """Symbolic and eager shape, config and `.keras` file, mixed precision, a gradient step, and both data formats.

    Args:
        make: gives a fresh layer; takes `data_format` and `dtype` where `has_formats`, else `dtype`.
        shape: of a channels-last input, with the batch.
    """
    x = normal(*shape)
    layer = make()
    symbolic = layer(keras.Input(shape[1:], batch_size=shape[0]))
    keras.utils.set_random_seed(0)
    for variable in layer.trainable_variables:  # also gammas and biases, so that none is invisible
        variable.assign(as_numpy(variable) + normal(*variable.shape, seed=9, deviation=0.1))
    eager = run(layer, x)
    assert tuple(symbolic.shape) == tuple(eager.shape) == tuple(layer.compute_output_shape(shape))
    assert symbolic.dtype == keras.backend.standardize_dtype(eager.dtype)
    y = as_numpy(eager)
    assert np.isfinite(y).all()

    copy = type(layer).from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    image = keras.Input(shape[1:])
    model = keras.Model(image, layer(image))
    model.save(tmp_path / "layer.keras")
    loaded = keras.saving.load_model(tmp_path / "layer.keras")
    assert [v.path.split("/")[-1] for v in loaded.variables] == [v.path.split("/")[-1] for v in model.variables]
    assert (as_numpy(run(loaded, x)) == as_numpy(run(model, x))).all()

    narrow = make(dtype="mixed_bfloat16")
    narrow.build(shape)
    for new, old in zip(narrow.variables, layer.variables, strict=True):
        assert "float" not in new.dtype or new.dtype == "float32"
        new.assign(old.value)
    low = run(narrow, x)
    assert keras.backend.standardize_dtype(low.dtype) == "bfloat16"
    assert tolerances.difference(as_numpy(low), y) < 3 * tolerances.LOGITS_BFLOAT16

    if trains and layer.trainable_variables:
        _, gradients, _ = layer_gradients(layer, x)
        idle = [path for path, gradient in gradients.items() if not np.abs(gradient).max() > 0]
        assert not idle, f"no gradient: {idle}"
        before = values(layer)
        model.compile(keras.optimizers.SGD(0.1), "mse")
        model.fit(x, np.zeros_like(y), batch_size=shape[0], verbose=0)
        after = values(layer)
        unmoved = [
            v.path for i, v in enumerate(layer.variables) if v.trainable and (after[f"{i} {v.path}"] == before[f"{i} {v.path}"]).all()
        ]
        assert not unmoved

    if has_formats:
        first = make(data_format="channels_first")
        first.build((shape[0], shape[-1], *shape[1:-1]))
        fresh = make(data_format="channels_last")
        fresh.build(shape)
        for new, old in zip(first.variables, fresh.variables, strict=True):
            assert new.shape == old.shape
            new.assign(old.value)
        turned = np.ascontiguousarray(np.moveaxis(x, -1, 1))
        for training in (False, True) if trains else (False,):
            a, b = (as_numpy(run(one, image, training)) for one, image in ((first, turned), (fresh, x)))
            assert tuple(first.compute_output_shape(turned.shape)) == a.shape
            assert tolerances.difference(a if a.ndim == 2 else np.moveaxis(a, 1, -1), b) < tolerances.LOGITS_FLOAT32


def run(layer: Any, x: np.ndarray, training: bool = False) -> Any:
    """`layer(x)`, its variables moved; compiled as one on JAX, which compiles each primitive by itself when it runs eagerly."""
    x = keras.ops.convert_to_tensor(x)
    mode = {"training": training} if takes_training(layer) else {}
    if keras.backend.backend() != "jax":
        return layer(x, **mode)
    import jax

    others = layer.non_trainable_variables

    @jax.jit
    def call(values: list, x: Any) -> tuple:
        # Not by `stateless_call`, which leaves out what `__call__` does around `call`: casting the input.
        with keras.StatelessScope(state_mapping=list(zip(layer.variables, values, strict=True))) as scope:
            y = layer(x, **mode)
        return y, [scope.get_current_value(v) for v in others]

    y, after = call([v.value for v in layer.variables], x)
    for variable, value in zip(others, after, strict=True):
        variable.assign(value)
    return y
