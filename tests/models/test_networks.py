"""`check_model` on small members of each family, and what the builders' settings promise."""

import functools

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet.models import cifar_resnet, nf_resnet, resnet, resnetv2
from tests import tolerances
from tests.arrays import as_numpy, normal
from tests.check_layer import run
from tests.check_model import check_model
from tests.quick import ON_TORCH, quick_on_torch

tiny = functools.partial(resnet, depths=(1, 1), widths=(16, 32))
small_v2 = functools.partial(resnetv2, depths=(1, 1), widths=(8, 16), stem_width=8)
small = functools.partial(cifar_resnet, depths=(1, 2, 1), widths=(4, 8, 12))

SLOW = () if ON_TORCH else pytest.mark.full  # what is special about these is tested of their layers, too


@pytest.mark.parametrize(
    ("make", "size", "strides"),
    [
        (keras_resnet.ResNet20, 16, (1, 2, 4)),
        (functools.partial(keras_resnet.ResNet18, weights=None), 32, (4, 8, 16, 32)),
        (functools.partial(tiny, residual_scale="1/sqrt(N)", stochastic_depth=0.2, remat=True), 33, (4, 8)),
        (functools.partial(small, shortcut=None, activation="gelu", zero_padding="both"), 15, (1, 2, 4)),
        (functools.partial(tiny, stem="tiered", stem_pool="conv", shortcut="avg_pool", attention="se"), 33, (4, 8)),
        pytest.param(functools.partial(tiny, block="basic", stem="deep", anti_alias="blur", attention="eca"), 35, (4, 8), marks=SLOW),
        (functools.partial(tiny, groups=4, group_width=16, reduce_first=2, shortcut="projection_3x3", anti_alias="average"), 34, (4, 8)),
        (functools.partial(small, block="bottleneck", preactivation=True, shortcut="projection", stochastic_depth=0.2), 16, (1, 2, 4)),
        pytest.param(functools.partial(small_v2, stem="deep", shortcut="avg_pool"), 33, (4, 8), marks=SLOW),
        (functools.partial(small_v2, stem_pool="zero_max", conv="standardized", norm="group", remat=True), 34, (4, 8)),
        (functools.partial(small_v2, depths=(2, 1), strides_at="last", stem_pool="zero_max", use_bias="unnormalized"), 33, (8, 8)),
        (functools.partial(nf_resnet, depths=(1, 1), widths=(8, 16), stem_width=8, zero_init_residual=False, attention="se"), 33, (4, 8)),
    ],
    ids=[
        "resnet20",
        "resnet18",
        "bottleneck",
        "plain",
        "rs",
        "blur",
        "senet",
        "preact_cifar",
        "v2d",
        "big_transfer",
        "keras_v2",
        "norm_free",
    ],
)
def test_network(make, size, strides, tmp_path):
    check_model(make, size, {f"stage{i}": stride for i, stride in enumerate(strides, start=1)}, tmp_path)


@pytest.mark.parametrize("make", [small, tiny])
def test_any_size_and_any_channels(make):
    known = make(input_shape=(33, 47, 6), classes=3)
    free = make(input_shape=(None, None, 6), classes=3)
    for new, old in zip(free.variables, known.variables, strict=True):
        new.assign(old.value)
    image = normal(2, 33, 47, 6)
    assert tolerances.difference(as_numpy(run(free, image)), as_numpy(run(known, image))) < tolerances.OPERATION["float32"]
    assert run(free, normal(1, 40, 32, 6)).shape == (1, 3)
    assert make(input_shape=(32, 32, 1)).layers[1].conv_layer.kernel.shape[2] == 1


@pytest.mark.parametrize("make", [small, tiny])
def test_heads(make):
    image = normal(2, 36, 32, 3)
    bare = make(include_top=False)
    assert bare.input_shape == (None, None, None, 3)
    y = as_numpy(run(bare, image))
    assert y.ndim == 4
    for pooling, reduce in (("avg", np.mean), ("max", np.max)):
        pooled = make(include_top=False, pooling=pooling)
        for new, old in zip(pooled.variables, bare.variables, strict=True):
            new.assign(old.value)
        assert tolerances.difference(as_numpy(run(pooled, image)), reduce(y, axis=(1, 2))) < tolerances.OPERATION["float32"]
    full = make(input_shape=(36, 32, 3), classes=7, classifier_activation=None)
    for new, old in zip(full.variables, bare.variables, strict=False):
        new.assign(old.value)
    head = full.get_layer("head")
    expected = y.mean((1, 2)) @ as_numpy(head.kernel) + as_numpy(head.bias)
    assert tolerances.difference(as_numpy(run(full, image)), expected) < tolerances.OPERATION_GRADIENT["float32"]
    assert expected.shape == (2, 7)


def test_input_tensor():
    image = keras.Input((32, 32, 3))
    scaled = keras.layers.Rescaling(1 / 255)(image)
    model = small(input_tensor=scaled, classes=3)
    plain = small(input_shape=(32, 32, 3), classes=3)
    for new, old in zip(model.variables, plain.variables, strict=True):
        new.assign(old.value)
    assert model.input is image
    x = 100 * normal(2, 32, 32, 3)
    assert tolerances.difference(as_numpy(run(model, x)), as_numpy(run(plain, x / 255))) < tolerances.OPERATION["float32"]
    with pytest.raises(ValueError, match="agree"):
        small(input_tensor=scaled, input_shape=(16, 16, 3))


@pytest.mark.parametrize(
    ("make", "output_stride", "strides"),
    [
        (functools.partial(resnet, block="basic"), 8, (4, 8, 8, 8)),
        (functools.partial(resnet), 16, (4, 8, 16, 16)),
        (functools.partial(resnet, strides_in="1x1"), 8, (4, 8, 8, 8)),
        (functools.partial(cifar_resnet, zero_padding="both"), 2, (1, 2, 2)),
        (functools.partial(resnet, shortcut="projection_3x3", reduce_first=2), 8, (4, 8, 8, 8)),
        (functools.partial(resnetv2, stem_width=8), 8, (4, 8, 8, 8)),
        (functools.partial(resnetv2, stem_width=8, strides_at="last"), 8, (8, 8, 8, 8)),
        (functools.partial(nf_resnet, stem_width=8, shortcut="projection", zero_init_residual=False), 16, (4, 8, 16, 16)),
    ],
    ids=["basic8", "bottleneck16", "bottleneck_1x1_8", "cifar2", "3x3_8", "v2_8", "keras_v2_8", "norm_free_16"],
)
def test_output_stride_keeps_what_each_weight_sees(make, output_stride, strides):
    """The dense maps hold the strided network's numbers at every s-th pixel."""
    depths, widths = (1, 2, 1, 2)[: len(strides)], (4, 8, 12, 16)[: len(strides)]
    strided, dense = (
        make(depths=depths, widths=widths, include_top=False, name="n", **settings) for settings in ({}, dict(output_stride=output_stride))
    )
    for i, (new, old) in enumerate(zip(dense.variables, strided.variables, strict=True)):
        value = as_numpy(old) + (normal(*old.shape, seed=i, deviation=0.1) if old.trainable else 0)
        old.assign(value)
        new.assign(value)
    image = normal(1, 64, 64, 3)
    sparse, full = (run(keras.Model(m.input, keras_resnet.features(m)), image) for m in (strided, dense))
    for stage, stride in zip(full, strides, strict=True):
        assert full[stage].shape[1:3] == (64 // stride,) * 2
        step = full[stage].shape[1] // sparse[stage].shape[1]
        a, b = as_numpy(full[stage])[:, ::step, ::step], as_numpy(sparse[stage])
        assert tolerances.difference(a, b) < tolerances.LOGITS_FLOAT32, stage
    assert step > 1


@pytest.mark.parametrize("stages", [3, 5])
def test_any_number_of_stages(stages):
    model = resnet(depths=(1,) * stages, widths=(4, 8, 8, 8, 8)[:stages], include_top=False)
    maps = keras_resnet.features(model)
    assert list(maps) == [f"stage{i + 1}" for i in range(stages)]
    side = 64 // 2 ** (stages + 1)
    assert run(model, normal(1, 64, 64, 3)).shape == (1, side, side, 32)


def test_plain_networks_have_no_shortcuts():
    """Where every kernel of its branches is zero, a plain network forgets the image; a residual one does not."""
    image = normal(2, 16, 16, 3)
    for name, remembers in (("plain20", False), ("resnet20", True)):
        model = keras_resnet.create_model(name, input_shape=(16, 16, 3))
        for layer in model.layers:
            if "block" in layer.name:
                layer.conv2.kernel.assign(np.zeros(layer.conv2.kernel.shape))
        y = as_numpy(run(model, image))
        assert (np.abs(y[0] - y[1]).max() > 1e-4) == remembers


def test_stochastic_depth_rises_linearly():
    model = cifar_resnet(depths=(2, 1, 2), widths=(4, 4, 4), stochastic_depth=0.4)
    blocks = [layer for layer in model.layers if "block" in layer.name]
    assert np.allclose([0.0 if block.drop is None else block.drop.rate for block in blocks], [0.08, 0.16, 0.24, 0.32, 0.4])
    model = resnet(depths=(2, 1, 2), widths=(4, 4, 4), stochastic_depth=0.4)
    blocks = [layer for layer in model.layers if "block" in layer.name]
    assert np.allclose([0.0 if block.drop is None else block.drop.rate for block in blocks], [0, 0.1, 0.2, 0.3, 0.4])
    assert all(block.num_blocks == 5 for block in blocks)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (dict(classes=0), "classes"),
        (dict(classes=-1), "classes"),
        (dict(pooling="sum"), "pooling"),
        (dict(input_shape=(32, 32)), "image"),
        (dict(input_shape=(32, 32, None)), "image"),
        (dict(input_shape=(2, 32, 3)), "too small"),
        (dict(output_stride=3), "output_stride"),
        (dict(depths=(1, 1)), "equally long"),
        (dict(depths=()), "depths"),
        (dict(data_format="nchw"), "data_format"),
        (dict(input_tensor=np.zeros((1, 32, 32, 3))), "KerasTensor"),
    ],
    ids=str,
)
def test_an_impossible_setting_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        small(**settings)


def test_features_of_another_model_are_refused():
    image = keras.Input((4,))
    with pytest.raises(ValueError, match="no stages"):
        keras_resnet.features(keras.Model(image, keras.layers.Dense(2)(image)))


def test_a_compiled_network_is_saved_for_every_backend():
    """Keras writes the optimizer of the backend at work, `keras.src.backend.torch...`, which training on another cannot use."""
    model = keras_resnet.ResNet20(input_shape=(8, 8, 3), depths=(1, 1, 1))
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    assert model.get_compile_config()["optimizer"]["module"] == "keras.optimizers"
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(1e-3)), "sparse_categorical_crossentropy")
    assert "keras.src.backend" not in str(model.get_compile_config()["optimizer"])
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    again = type(model).from_config(model.get_config())
    again.compile_from_config(model.get_compile_config())
    assert type(again.optimizer) is type(model.optimizer)
    assert float(np.asarray(again.optimizer.get_config()["learning_rate"])) == pytest.approx(1e-3)


def test_an_uncompiled_network_predicts_and_says_that_it_cannot_fit():
    model = keras_resnet.ResNet20(input_shape=(8, 8, 3), depths=(1, 1, 1), classes=3)
    assert model.predict(normal(2, 8, 8, 3), verbose=0).shape == (2, 3)
    with pytest.raises(ValueError, match="compile"):
        model.fit(normal(2, 8, 8, 3), np.zeros(2), verbose=0)
    assert model.predict(normal(2, 8, 8, 3), verbose=0).shape == (2, 3)


def test_images_to_validate_with_are_checked_before_training():
    model = keras_resnet.ResNet20(input_shape=(8, 8, 3), depths=(1, 1, 1), classes=3)
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=r"\(2, 8, 8, 4\)"):
        model.fit(normal(2, 8, 8, 3), np.zeros(2), validation_data=(normal(2, 8, 8, 4), np.zeros(2)), verbose=0)
    assert int(as_numpy(model.optimizer.iterations)) == 0


@pytest.mark.parametrize("way", ["fit", "evaluate", "predict"])
def test_a_trained_network_survives_batches_that_fail(way):
    """From a generator, whose images nobody can check before: Keras on JAX forgets the variables at such an error."""
    model = keras_resnet.ResNet20(input_shape=(8, 8, 3), depths=(1, 1, 1), classes=3)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
    model.fit(normal(2, 8, 8, 3), np.zeros(2), verbose=0)
    before = [as_numpy(variable) for variable in [*model.variables, *model.optimizer.variables]]

    def generator():
        yield normal(2, 8, 8, 4), np.zeros(2)

    with pytest.raises(Exception, match=r"(?s).*"):
        getattr(model, way)(generator(), verbose=0)
    after = [as_numpy(variable) for variable in [*model.variables, *model.optimizer.variables]]
    assert all((a == b).all() for a, b in zip(after, before, strict=True))
    assert np.isfinite(model.predict(normal(2, 8, 8, 3), verbose=0)).all()


@quick_on_torch
def test_losses_of_float16_are_scaled():
    """By the layers' own type, which Keras does not ask a functional model for; not where that is switched off, nor twice."""
    model = small(dtype="mixed_float16", input_shape=(8, 8, 3), classes=2)
    model.compile("sgd", "mse", auto_scale_loss=False)
    assert isinstance(model.optimizer, keras.optimizers.SGD)
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert isinstance(model.optimizer.inner_optimizer, keras.optimizers.SGD)
    assert np.isfinite(model.fit(normal(2, 8, 8, 3), np.array([0, 1]), verbose=0).history["loss"][0])
    model.compile(model.optimizer, "mse")
    assert isinstance(model.optimizer.inner_optimizer, keras.optimizers.SGD)
    small(input_shape=(8, 8, 3)).compile(optimizer=None)
