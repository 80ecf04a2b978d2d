"""Layer-wise learning rates: the numbers of PyTorch's parameter groups, through schedules, clipping, files and callbacks."""

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet.learning import LayerwiseOptimizer, freeze, layerwise
from keras_resnet.learning.layerwise import _steps
from keras_resnet.learning.parts import parts
from tests.arrays import as_numpy, normal

FACTORS = {"stem": 0.0, "stage1": 0.1, "head": 10.0}
SHAPES = {"stem": (3, 3, 2, 4), "stage1_block1": (4, 4), "stage2_block1": (5,), "head": (4, 3)}


def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras_resnet.models.resnet(
        depths=(1, 2), widths=(8, 16), stem_width=8, block="basic", input_shape=(32, 32, 3), classes=3, name="tiny"
    )


def variables() -> list:
    rng = np.random.default_rng(0)
    found = []
    for layer, shape in SHAPES.items():
        with keras.name_scope(layer):
            found.append(keras.Variable(rng.normal(size=shape).astype("float32"), name="kernel"))
    return found


def gradients(step: int) -> list[np.ndarray]:
    rng = np.random.default_rng(100 + step)
    return [rng.normal(size=shape).astype("float32") for shape in SHAPES.values()]


def torch_steps(make, steps: int, clip: float | None = None, rates=lambda step: 1.0) -> list[np.ndarray]:
    """What PyTorch's optimizer makes of the variables with a parameter group for each layer."""
    torch = pytest.importorskip("torch")
    parameters = [torch.nn.Parameter(torch.tensor(as_numpy(v), device="cpu")) for v in variables()]
    factors = [0.0, 0.1, 1.0, 10.0]
    optimizer = make(torch.optim, [{"params": [p], "lr": 0.01 * f} for p, f in zip(parameters, factors)])
    for step in range(steps):
        for group, factor in zip(optimizer.param_groups, factors):
            group["lr"] = 0.01 * factor * rates(step)
        for parameter, gradient in zip(parameters, gradients(step)):
            parameter.grad = torch.tensor(gradient, device="cpu")
        if clip:
            torch.nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step()
    return [parameter.detach().numpy() for parameter in parameters]


def our_steps(optimizer, steps: int) -> list[np.ndarray]:
    ours = variables()
    whole = LayerwiseOptimizer(optimizer, {"stem": 0.0, "stage1_block1": 0.1, "head": 10.0})
    for step in range(steps):
        whole.apply([keras.ops.convert_to_tensor(g) for g in gradients(step)], ours)
    assert int(whole.iterations) == steps
    return [as_numpy(v) for v in ours]


CASES = {
    "sgd": (lambda o, g: o.SGD(g, lr=0.01), dict(), None, keras.optimizers.SGD),
    "momentum": (lambda o, g: o.SGD(g, lr=0.01, momentum=0.9), dict(momentum=0.9), None, keras.optimizers.SGD),
    "nesterov": (
        lambda o, g: o.SGD(g, lr=0.01, momentum=0.9, nesterov=True),
        dict(momentum=0.9, nesterov=True),
        None,
        keras.optimizers.SGD,
    ),
    "adam": (lambda o, g: o.Adam(g, lr=0.01, eps=1e-12), dict(epsilon=1e-12), None, keras.optimizers.Adam),
    "adamw": (
        lambda o, g: o.AdamW(g, lr=0.01, weight_decay=0.5, eps=1e-12),
        dict(weight_decay=0.5, epsilon=1e-12),
        None,
        keras.optimizers.AdamW,
    ),
    "clipped": (
        lambda o, g: o.AdamW(g, lr=0.01, weight_decay=0.5, eps=1e-12),
        dict(weight_decay=0.5, epsilon=1e-12, global_clipnorm=0.5),
        0.5,
        keras.optimizers.AdamW,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_same_numbers_as_parameter_groups(case):
    make, settings, clip, ours = CASES[case]
    expected = torch_steps(make, 6, clip)
    found = our_steps(ours(0.01, **settings), 6)
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2e-5, atol=2e-6)
    assert (found[0] == as_numpy(variables()[0])).all()  # the factor 0: neither gradient nor decay
    assert np.abs(found[3] - as_numpy(variables()[3])).max() > 0.05


def test_schedules_reach_every_group():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1, 3], [0.01, 0.005, 0.001])
    expected = torch_steps(
        lambda o, g: o.AdamW(g, lr=0.01, weight_decay=0.5, eps=1e-12), 6, rates=lambda step: 1.0 if step < 2 else 0.5 if step < 4 else 0.1
    )
    for mine, theirs in zip(our_steps(keras.optimizers.AdamW(schedule, weight_decay=0.5, epsilon=1e-12), 6), expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", ["adagrad", "adadelta", "adamax", "nadam", "rmsprop", "lion", "ftrl", "adafactor"])
def test_factors_of_one_are_the_optimizer_itself(name):
    plain, ours = variables(), variables()
    alone = keras.optimizers.get({"class_name": name, "config": {"learning_rate": 0.01}})
    whole = LayerwiseOptimizer(keras.optimizers.get({"class_name": name, "config": {"learning_rate": 0.01}}), {"stem": 1.0})
    for step in range(3):
        values = [keras.ops.convert_to_tensor(g) for g in gradients(step)]
        alone.apply(values, plain)
        whole.apply(values, ours)
    for mine, theirs in zip(ours, plain, strict=True):
        np.testing.assert_allclose(as_numpy(mine), as_numpy(theirs), rtol=1e-6, atol=1e-7)


def compiled(optimizer=None, **settings) -> keras.Model:
    model = network()
    rate = keras.optimizers.schedules.CosineDecay(0.01, 20)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=0.1, global_clipnorm=1.0) if optimizer is None else optimizer
    model.compile(layerwise(model, optimizer, **(settings or dict(factors=FACTORS))), "sparse_categorical_crossentropy", **{})
    return model


def fit(model: keras.Model, **settings) -> dict:
    return model.fit(normal(8, 32, 32, 3), np.arange(8) % 3, batch_size=4, shuffle=False, verbose=0, **settings).history


def test_a_network_learns_at_its_rates():
    model = compiled()
    before = {v.path: as_numpy(v).copy() for v in model.variables}
    fit(model)
    moved = {path: np.abs(as_numpy(v) - before[path]).max() for v in model.trainable_variables for path in [v.path]}
    assert max(value for path, value in moved.items() if path.startswith("stem/")) == 0
    kernels = [moved["stage1_block1/conv1/kernel"], moved["stage2_block1/conv1/kernel"], moved["head/kernel"]]
    assert kernels[1] > 5 * kernels[0]
    assert kernels[2] > 5 * kernels[1]


def test_a_file_goes_on_where_it_was(tmp_path):
    model = compiled()
    fit(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.optimizer, LayerwiseOptimizer)
    assert loaded.optimizer.factors == model.optimizer.factors
    assert len(loaded.optimizer.variables) == len(model.optimizer.variables)
    for mine, theirs in zip(loaded.optimizer.variables, model.optimizer.variables):
        assert (as_numpy(mine) == as_numpy(theirs)).all()
    fit(model)
    fit(loaded)
    for mine, theirs in zip(loaded.weights, model.weights):
        np.testing.assert_allclose(as_numpy(mine), as_numpy(theirs), rtol=1e-5, atol=1e-6)
    text = str(model.get_compile_config())
    assert "keras.src" not in text  # of a backend, which no other could open


def test_callbacks_set_the_learning_rate():
    model = compiled(keras.optimizers.SGD(0.01))
    before = {v.path: as_numpy(v).copy() for v in model.trainable_variables}
    history = fit(model, callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch: 0.0)])
    assert history["learning_rate"] == [0.0]
    for v in model.trainable_variables:
        assert (as_numpy(v) == before[v.path]).all()
    assert model.optimizer.get_config()["optimizer"]["config"]["learning_rate"] == 0.0


def test_weight_decay_can_leave_variables_out(tmp_path):
    def run(names):
        model = network()
        optimizer = layerwise(model, keras.optimizers.SGD(0.1, weight_decay=1.0), factors={"stem": 0.5})
        optimizer.exclude_from_weight_decay(var_names=names)
        zeros = [keras.ops.zeros(v.shape) for v in model.trainable_variables]
        before = [as_numpy(v).copy() for v in model.trainable_variables]
        optimizer.apply(zeros, model.trainable_variables)
        return optimizer, {v.path: (as_numpy(v), old) for v, old in zip(model.trainable_variables, before)}

    optimizer, found = run(["gamma", "beta", "bias"])
    for path, (after, before) in found.items():
        rate = 0.0 if path.endswith(("gamma", "beta", "bias")) else 0.05 if path.startswith("stem/") else 0.1
        np.testing.assert_allclose(after, before * (1 - rate), rtol=1e-5, atol=1e-7)
    again = LayerwiseOptimizer.from_config(optimizer.get_config())
    assert "head/bias" in again.get_config()["undecayed"]
    with pytest.raises(ValueError, match="before the optimizer is used"):
        optimizer.exclude_from_weight_decay(var_names=["kernel"])


def test_averages_and_accumulated_gradients_are_the_optimizers_own():
    for settings in (dict(use_ema=True, ema_momentum=0.5), dict(gradient_accumulation_steps=2)):
        plain, ours = variables(), variables()
        alone = keras.optimizers.SGD(0.01, momentum=0.9, **settings)
        whole = LayerwiseOptimizer(keras.optimizers.SGD(0.01, momentum=0.9, **settings), {"stem": 1.0, "head": 2.0})
        for step in range(4):
            values = [keras.ops.convert_to_tensor(g) for g in gradients(step)]
            alone.apply(values, plain)
            whole.apply(values, ours)
        alone.finalize_variable_values(plain)
        whole.finalize_variable_values(ours)
        for mine, theirs, start in list(zip(ours, plain, variables()))[:3]:
            np.testing.assert_allclose(as_numpy(mine), as_numpy(theirs), rtol=1e-5, atol=1e-6)
            assert (as_numpy(mine) != as_numpy(start)).any()
        head = as_numpy(variables()[3])
        np.testing.assert_allclose(as_numpy(ours[3]) - head, 2 * (as_numpy(plain[3]) - head), rtol=1e-4, atol=1e-6)


def test_loss_scaling_around_it_and_in_it():
    plain = compiled(keras.optimizers.SGD(0.01, momentum=0.9))
    scaled = compiled(keras.optimizers.SGD(0.01, momentum=0.9, loss_scale_factor=64.0))
    around = network()
    inner = layerwise(around, keras.optimizers.SGD(0.01, momentum=0.9), factors=FACTORS)
    around.compile(keras.optimizers.LossScaleOptimizer(inner), "sparse_categorical_crossentropy")
    for model in (plain, scaled, around):
        fit(model)
    for one, two, three in zip(plain.weights, scaled.weights, around.weights, strict=True):
        np.testing.assert_allclose(as_numpy(two), as_numpy(one), rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(as_numpy(three), as_numpy(one), rtol=1e-3, atol=1e-5)


def test_momenta_have_the_layout_of_kernels():
    """As `Network.train_step` has it for any optimizer, on PyTorch."""
    if keras.backend.backend() != "torch":
        pytest.skip("other backends have one layout")
    model = compiled(keras.optimizers.SGD(0.01, momentum=0.9))
    fit(model)
    slots = {slot.name: slot for slot in model.optimizer.variables}
    kernel = model.get_layer("stage2_block1").conv1.kernel
    assert slots["stage2_block1_conv1_kernel_momentum"].value.stride() == kernel.value.stride()


def test_what_is_frozen_needs_no_rate():
    model = network()
    freeze(model, "stage1")
    model.compile(layerwise(model, "adam", decay=0.5), "sparse_categorical_crossentropy")
    fit(model)
    assert all("stage1" not in variable.path for variable in model.optimizer.variables)


@pytest.mark.parametrize("by", ["block", "stage"])
def test_decay_by_steps_from_the_head(by):
    factors = layerwise(network(), "sgd", decay=0.5, by=by).factors
    steps = {"head": 0, "pool": 1, "stage2_block2": 1, "stage2_block1": 2 if by == "block" else 1}
    last = 3 if by == "block" else 2
    steps |= {"stage1_block1": last, "stem": last + 1, "stem_pool": last + 1}
    assert {name: factors[name] for name in steps} == {name: 0.5**step for name, step in steps.items()}


def test_steps_of_other_families():
    dense = keras_resnet.models.cifar_densenet(depths=(2, 2), growth_rate=4, input_shape=(16, 16, 3))
    names = [[layer.name for layer in step] for step in _steps(parts(dense), "block")]
    assert names == [["input", "stem"], ["stage1", "transition1"], ["stage2", "post_norm", "pool"], ["head"]]
    settings = dict(dim=16, depths=(2,), backbone_depths=(1, 1), num_heads=2, patch_size=1, position_grid=(2, 2), input_shape=(32, 32, 3))
    hybrid = keras_resnet.models.vit(**settings)
    names = [[layer.name for layer in step] for step in _steps(parts(hybrid), "block")]
    assert names[3:] == [["patches", "tokens", "stage3_block1"], ["stage3_block2", "norm", "pool"], ["head"]]


def test_variables_without_gradient_stay(recwarn):
    ours = variables()
    whole = LayerwiseOptimizer("sgd", {"head": 2.0})
    values = [keras.ops.convert_to_tensor(g) for g in gradients(0)]
    with pytest.warns(UserWarning, match="2 variables have no gradient"):
        whole.apply([None, *values[1:3], None], ours)
    assert (as_numpy(ours[0]) == as_numpy(variables()[0])).all()
    assert (as_numpy(ours[1]) != as_numpy(variables()[1])).any()
    with pytest.raises(ValueError, match="No gradients"):
        whole.apply([None] * 4, ours)
    with pytest.raises(ValueError, match="built for other variables than these: head/kernel"):
        whole.apply(values[:1], variables()[3:])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(), "Pass one of `decay` and `factors`"),
        (dict(decay=0.5, factors={}), "Pass one of `decay` and `factors`"),
        (dict(decay=0.0), "`decay` must be a number above 0 and at most 1"),
        (dict(decay=1.5), "`decay` must be a number above 0 and at most 1"),
        (dict(decay="fast"), "`decay` must be a number above 0"),
        (dict(decay=0.5, by="layer"), "`by` must be one of 'block', 'stage'"),
        (
            dict(factors={"stage9": 1.0}),
            "`factors` names a part of 'tiny': 'stem', 'stage1', 'stage2', 'head'. Received: 'stage9'. Did you",
        ),
        (dict(factors={"stem": -1.0}), r"`factors\['stem'\]` must be a number from 0"),
        (dict(factors=0.5), "`factors` must be numbers by part"),
    ],
)
def test_bad_arguments(settings, message):
    with pytest.raises(ValueError, match=message):
        layerwise(network(), "sgd", **settings)


def test_optimizers_that_cannot_be_taken():
    used = keras.optimizers.SGD(0.1, momentum=0.9)
    used.build(variables())
    for optimizer, message in (
        (used, "in use already"),
        ("fastest", "must be a Keras optimizer, or the name of one"),
        (keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()), "must not be made of others"),
        (LayerwiseOptimizer("sgd", {}), "must not be made of others"),
        (keras.optimizers.SGD(0.1, global_clipnorm=1.0, gradient_accumulation_steps=2), "do not go together"),
        (keras.optimizers.SGD(lambda: 0.1), "a function for its learning rate"),
    ):
        with pytest.raises(ValueError, match=message):
            LayerwiseOptimizer(optimizer, {})
