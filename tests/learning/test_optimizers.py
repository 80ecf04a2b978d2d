"""SGD beside PyTorch's, LAMB beside a NumPy twin, and what weight decay leaves out."""

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet import backend
from keras_resnet.learning import SGD, Lamb, LayerwiseOptimizer, StepDecay, WarmUp, exclude_from_weight_decay, layerwise
from tests.arrays import as_numpy, normal
from tests.quick import ON_TORCH, quick_on_torch

LONG = [] if ON_TORCH else pytest.mark.full
SHAPES = ((3, 3, 2, 4), (4, 6), (5,), ())
STEPS = 20


def started() -> list[np.ndarray]:
    return [np.asarray(normal(*shape, seed=1)) for shape in SHAPES]


def gradients(step: int) -> list[np.ndarray]:
    return [np.asarray(normal(*shape, seed=100 + step)) for shape in SHAPES]


def our_steps(optimizer, steps: int = STEPS, excluded: tuple[int, ...] = ()) -> list[np.ndarray]:
    ours = [keras.Variable(value, name=f"v{i}") for i, value in enumerate(started())]
    if excluded:
        optimizer.exclude_from_weight_decay(var_list=[ours[i] for i in excluded])
    for step in range(steps):
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients(step)], ours)
    return [as_numpy(v) for v in ours]


def torch_steps(make, steps: int = STEPS, excluded: tuple[int, ...] = (), rate=lambda step: 0.1, clip=None) -> list[np.ndarray]:
    torch = pytest.importorskip("torch")
    parameters = [torch.nn.Parameter(torch.tensor(value, device="cpu")) for value in started()]
    kept = [p for i, p in enumerate(parameters) if i not in excluded]
    groups = [{"params": kept}, {"params": [parameters[i] for i in excluded], "weight_decay": 0.0}]
    optimizer = make(groups if excluded else groups[:1])
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        for parameter, gradient in zip(parameters, gradients(step)):
            parameter.grad = torch.tensor(gradient, device="cpu")
        if clip:
            torch.nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step()
    return [parameter.detach().numpy() for parameter in parameters]


def close(found: list, expected: list) -> None:
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        dict(),
        dict(weight_decay=0.1),
        dict(momentum=0.9),
        dict(momentum=0.9, weight_decay=0.1),
        dict(momentum=0.9, weight_decay=0.1, nesterov=True),
    ],
)
def test_sgd_is_that_of_pytorch(settings):
    torch = pytest.importorskip("torch")
    expected = torch_steps(lambda groups: torch.optim.SGD(groups, lr=0.1, **settings), excluded=(2, 3))
    close(our_steps(SGD(0.1, **settings), excluded=(2, 3)), expected)


def test_sgd_when_the_rate_falls_and_gradients_are_clipped():
    torch = pytest.importorskip("torch")
    settings = dict(momentum=0.9, weight_decay=0.1)
    expected = torch_steps(
        lambda groups: torch.optim.SGD(groups, lr=0.1, **settings), rate=lambda step: 0.1 if step < 5 else 0.01, clip=0.5
    )
    close(our_steps(SGD(StepDecay(0.1, (5,)), global_clipnorm=0.5, **settings)), expected)
    # Keras's own, with the decay that PyTorch's would be, is elsewhere.
    other = our_steps(keras.optimizers.SGD(StepDecay(0.1, (5,)), global_clipnorm=0.5, **settings))
    assert max(np.abs(mine - theirs).max() for mine, theirs in zip(other, expected)) > 0.01


def numpy_lamb(rate, decay, clip, excluded=()) -> list[np.ndarray]:
    values = [value.astype("float64") for value in started()]
    first, second = [0.0 * value for value in values], [0.0 * value for value in values]
    for step in range(STEPS):
        grads = [g.astype("float64") for g in gradients(step)]
        norm = np.sqrt(sum((g**2).sum() for g in grads))
        for i, g in enumerate(grads):
            g = g / max(1, norm / clip)
            first[i] = 0.9 * first[i] + 0.1 * g
            second[i] = 0.999 * second[i] + 0.001 * g**2
            update = first[i] / (1 - 0.9 ** (step + 1)) / (np.sqrt(second[i] / (1 - 0.999 ** (step + 1))) + 1e-6)
            if i not in excluded:
                update = update + decay * values[i]
                update = update * np.sqrt((values[i] ** 2).sum()) / np.sqrt((update**2).sum())
            values[i] = values[i] - rate * update
    return values


def test_lamb_is_the_papers():
    found = our_steps(Lamb(0.05, weight_decay=0.3, global_clipnorm=1.0), excluded=(2,))
    for mine, theirs in zip(found, numpy_lamb(0.05, 0.3, 1.0, excluded=(2,)), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)


def test_lamb_starts_from_zeros():
    variable = keras.Variable(np.zeros((2, 2), "float32"))
    Lamb(0.1, weight_decay=0.1).apply([keras.ops.ones((2, 2))], [variable])
    np.testing.assert_allclose(as_numpy(variable), -0.1 * np.ones((2, 2)), rtol=1e-4)  # the ratio is 1 where a norm is 0


@pytest.mark.skipif(backend.sgd_step is None, reason="one path only")
@pytest.mark.parametrize("make", [lambda: SGD(0.1, 0.9, True, 0.1), lambda: Lamb(0.1, weight_decay=0.1)])
def test_all_at_once_is_one_by_one(make, monkeypatch):
    fast = our_steps(make(), excluded=(2,))
    monkeypatch.setattr(backend, "sgd_step", None)
    monkeypatch.setattr(backend, "lamb_step", None)
    with __import__("torch").no_grad():
        close(fast, our_steps(make(), excluded=(2,)))


@pytest.mark.skipif(backend.sgd_step is None, reason="PyTorch's")
@pytest.mark.parametrize("settings", [dict(weight_decay=0.1), dict(momentum=0.9, weight_decay=0.1, nesterov=True)])
def test_the_fused_kernel_of_gpus(settings, monkeypatch):
    from keras_resnet.backend import torch_updates

    expected = our_steps(SGD(0.1, **settings), excluded=(2,))
    called = []
    monkeypatch.setattr(torch_updates, "FUSED", ("cpu", "cuda"))
    monkeypatch.setattr(torch_updates, "_foreach_step", lambda *args: called.append(args))
    close(our_steps(SGD(0.1, **settings), excluded=(2,)), expected)
    assert not called


def tiny() -> keras.Model:
    return keras_resnet.models.resnet(depths=(1, 1), widths=(8, 16), stem_width=8, block="basic", input_shape=(32, 32, 3), classes=3)


@pytest.mark.parametrize("make", [lambda: SGD(0.1, 0.9, True, 1e-3), pytest.param(lambda: Lamb(0.01, weight_decay=0.02), marks=LONG)])
def test_in_fit_and_in_a_file(make, tmp_path):
    model = tiny()
    optimizer = make()
    left_out = exclude_from_weight_decay(optimizer, model)
    assert "head/bias" in left_out
    assert "stem/norm/gamma" in left_out
    assert not any(path.endswith("kernel") for path in left_out)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    images, labels = normal(8, 32, 32, 3), np.arange(8) % 3
    losses = model.fit(images, labels, batch_size=8, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is type(optimizer)
    assert loaded.optimizer.get_config() == optimizer.get_config()
    for mine, theirs in zip(loaded.optimizer.variables, model.optimizer.variables, strict=True):
        assert (as_numpy(mine) == as_numpy(theirs)).all()
    assert {v.path for v in loaded.trainable_variables if not loaded.optimizer._use_weight_decay(v)} == set(left_out)


@quick_on_torch
def test_layer_by_layer_and_in_a_file_it_stays_ours():
    model = tiny()
    optimizer = layerwise(model, SGD(WarmUp(0.1, steps=3), momentum=0.9, weight_decay=1e-3), decay=0.5)
    assert "stem/norm/gamma" in exclude_from_weight_decay(optimizer, model)
    optimizer.build(model.trainable_variables)
    again = LayerwiseOptimizer.from_config(optimizer.get_config())
    again.build(model.trainable_variables)
    assert {type(group) for group in [*optimizer.groups, *again.groups]} == {SGD}  # not Keras's of the same name


@quick_on_torch
def test_accumulated_gradients_are_the_mean():
    """A step of two batches is one of their mean gradient; Keras asks a schedule at each batch."""
    for make in (SGD, keras.optimizers.SGD):
        variable, alone = keras.Variable(np.ones((2,), "float32")), keras.Variable(np.ones((2,), "float32"))
        optimizer, plain = make(0.1, momentum=0.9, gradient_accumulation_steps=2), make(0.1, momentum=0.9)
        batches = [normal(2, seed=step) for step in range(4)]
        for g in batches:
            optimizer.apply([keras.ops.convert_to_tensor(g)], [variable])
        for one, other in (batches[:2], batches[2:]):
            plain.apply([keras.ops.convert_to_tensor((one + other) / 2)], [alone])
        np.testing.assert_allclose(as_numpy(variable), as_numpy(alone), rtol=1e-6)
        assert int(optimizer.iterations) == 2


@quick_on_torch
def test_decay_leaves_out_embeddings_of_positions():
    model = keras_resnet.models.vit(dim=16, depths=(1,), num_heads=2, patch_size=8, position_grid=(4, 4), input_shape=(32, 32, 3))
    inner = keras.optimizers.AdamW(1e-3)
    left_out = exclude_from_weight_decay(keras.optimizers.LossScaleOptimizer(inner), model)
    assert {"tokens/position", "tokens/class_token"} <= set(left_out)
    decays = {variable.path for variable in model.trainable_variables if inner._use_weight_decay(variable)}
    assert decays == {variable.path for variable in model.trainable_variables} - set(left_out)
    assert decays
    assert all("kernel" in path for path in decays)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Lamb(0.01, weight_decay=0.01),
        lambda: LayerwiseOptimizer(Lamb(0.01, weight_decay=0.01), {"last": 0.5}),
        lambda: LayerwiseOptimizer(SGD(0.5, global_clipnorm=0.1), {"last": 0.5}),
    ],
    ids=["lamb", "layerwise", "clipped"],
)
def test_an_embedding_learns_as_a_dense_layer_of_its_rows(make):
    """Whose gradients TensorFlow gives as rows, that of one token several times."""
    tokens, found = np.random.default_rng(0).integers(0, 4, (8, 5)), []
    for first, inputs in (
        (keras.layers.Embedding(4, 3), tokens),
        (keras.layers.Dense(3, use_bias=False), np.eye(4, dtype="float32")[tokens]),
    ):
        layers = [keras.Input(inputs.shape[1:]), first, keras.layers.Flatten(), keras.layers.Dense(2, name="last")]
        model = keras.Sequential(layers)
        model.set_weights([normal(4, 3), normal(15, 2), np.zeros(2)])
        model.compile(make(), "mse")
        model.fit(inputs, np.ones((8, 2), "float32"), epochs=3, verbose=0)
        found.append(model.get_weights())
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert np.abs(found[0][0] - normal(4, 3)).max() > 0.01


class Subclassed(keras.Model):
    """Whose weights are made at its first call."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(4)

    def call(self, x):
        return self.dense(x)


@quick_on_torch
@pytest.mark.parametrize("make", [Subclassed, lambda: keras.Sequential([keras.layers.Dense(4), keras.layers.BatchNormalization()])])
def test_a_model_without_weights_has_none_to_leave_out(make):
    model, optimizer = make(), SGD(0.1, weight_decay=0.1)
    with pytest.raises(ValueError, match=rf"'{model.name}' has no weights yet. Build it first, by calling it on a batch"):
        exclude_from_weight_decay(optimizer, model)
    model(normal(2, 6))
    left_out = exclude_from_weight_decay(optimizer, model)
    assert left_out == [variable.path for variable in model.trainable_variables if "kernel" not in variable.path] != []


def test_momenta_lie_as_their_kernels_do():
    if keras.backend.backend() != "torch":
        pytest.skip("other backends have one layout")
    model = tiny()
    optimizer = SGD(0.1, 0.9)
    optimizer.build(model.trainable_variables)
    kernel = model.get_layer("stage1_block1").conv1.kernel
    momentum = optimizer.momenta[[v is kernel for v in model.trainable_variables].index(True)]
    assert momentum.value.stride() == kernel.value.stride() != momentum.value.contiguous().stride()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(0.1, momentum=1.5), "`momentum` must be a number from 0 to below 1"),
        (lambda: SGD(0.1, nesterov=True), "needs a momentum above 0"),
        (lambda: SGD(0.1, undecayed="bias"), "`undecayed` must be a list of paths"),
        (lambda: SGD(0.1, weight_decay=-1), "`weight_decay` must be a number from 0"),
        (lambda: Lamb(0.1, beta_1=1.0), "`beta_1` must be a number from 0 to below 1"),
        (lambda: exclude_from_weight_decay(keras.optimizers.SGD(0.1), tiny()), "no weight decay to leave anything out of"),
        (lambda: exclude_from_weight_decay("sgd", tiny()), "Pass an optimizer and a model. Received: str, Network"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@quick_on_torch
def test_patterns_are_kept_as_paths():
    optimizer, variables = SGD(0.1, weight_decay=0.1), [keras.Variable(value, name=f"v{i}") for i, value in enumerate(started())]
    optimizer.exclude_from_weight_decay(var_names=["v[12]"])
    optimizer.build(variables)
    assert optimizer.get_config()["undecayed"] == ["v1", "v2"]


@quick_on_torch
def test_keras_adamw_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    expected = torch_steps(lambda groups: torch.optim.AdamW(groups, lr=0.1, weight_decay=0.3), excluded=(2, 3))
    found = our_steps(keras.optimizers.AdamW(0.1, weight_decay=0.3, epsilon=1e-8), excluded=(2, 3))
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=3e-5)  # Keras's epsilon is another one in the first steps


@quick_on_torch
def test_too_late():
    optimizer = SGD(0.1, weight_decay=0.1)
    model = tiny()
    optimizer.build(model.trainable_variables)
    with pytest.raises(ValueError, match="in use already"):
        exclude_from_weight_decay(optimizer, model)
