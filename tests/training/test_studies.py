"""Studies in small: that they write what they say, and say what they found."""

import itertools
import pathlib

import keras
import numpy as np
import pytest
from PIL import Image

import keras_resnet
from keras_resnet import learning
from keras_resnet.layers import BasicBlock
from keras_resnet.models.cifar import CIFAR_RESNETS
from tests.arrays import as_numpy, normal
from tests.quick import quick_on_torch
from training.studies import (
    compared,
    degradation,
    feature_reuse,
    gradient_norm,
    landscape,
    lesion,
    paths,
    preactivation,
    shortcuts,
    table,
    zero_init,
)
from training.studies.__main__ import STUDIES, main
from training.studies.varied_shortcut import VariedShortcut


@quick_on_torch
def test_degradation(tmp_path, capsys):
    found = degradation.study(tmp_path / "study", epochs=1, quick=True, depths=(110, 20, 56))
    assert list(found) == ["plain20", "plain56", "resnet20", "resnet56", "resnet110"]
    text = (tmp_path / "study" / "degradation.md").read_text(encoding="utf-8")
    for network, end in found.items():
        assert f"| {network} | {end['loss']:.4g} | {end['error']:.4g} |" in text
    assert degradation.said(found) in text
    with Image.open(tmp_path / "study" / "degradation.png") as picture:
        assert min(picture.size) > 300
    assert main(["degradation", "--quick", "--out", str(tmp_path / "study")]) == 1
    assert "exists. Pass another one" in capsys.readouterr().err


def test_what_is_said_of_the_order():
    def said(**losses: float) -> str:
        return degradation.said({name: {"loss": loss} for name, loss in losses.items()})

    nan = float("nan")
    worse = "plain56 trains worse than plain20; resnet56 better than all plain ones."
    assert said(plain20=0.2, plain56=0.4, resnet20=0.1, resnet56=0.05) == worse
    assert said(plain20=0.2, plain56=nan, resnet20=0.1, resnet56=0.05) == worse
    no_worse = "plain56 trains no worse than plain20; resnet56 no better than all plain ones."
    assert said(plain20=0.4, plain56=0.2, resnet20=0.1, resnet56=0.3) == no_worse
    assert said(plain20=nan, plain56=nan, resnet20=0.1, resnet56=nan) == no_worse
    assert said(plain20=0.2, resnet20=0.3, resnet110=0.1) == "resnet110 trains better than plain20."
    assert said(plain8=0.2, resnet8=0.2) == "resnet8 trains no better than plain8."
    assert said(resnet110=0.2) == "No plain network to compare with, as these have 56 layers at most."


@quick_on_torch
def test_degradation_of_one_depth(tmp_path, capsys):
    assert main(["degradation", "--quick", "--epochs", "1", "--depths", "8", "--out", str(tmp_path / "study")]) == 0
    assert "resnet8 trains" in (tmp_path / "study" / "degradation.md").read_text(encoding="utf-8")


def test_what_diverged_is_above_all_others():
    nan = float("nan")
    networks = {"original, 8 layers": nan, "pre-activation, 8 layers": nan, "original, 14 layers": nan, "pre-activation, 14 layers": 0.2}
    found = {name: {"loss": loss} for name, loss in networks.items()}
    assert preactivation.said(found, (8, 14)) == "Lower training loss: neither at 8 layers, pre-activation at 14 layers."
    found = {"A: identity": {"loss": nan}, "plain": {"loss": 0.1}, "B": {"loss": nan}}
    assert shortcuts.said(found) == "Lower training loss than the identity: plain."


def test_shortcuts_are_compared_with_the_identity_of_their_depth():
    losses = {"A: identity, 8 layers": 0.2, "plain, 8 layers": 0.3, "A: identity, 14 layers": 0.4, "plain, 14 layers": 0.3}
    found = {name: {"loss": loss} for name, loss in losses.items()}
    assert shortcuts.said(found) == "Lower training loss than the identity: plain, 14 layers."


def test_what_is_said_where_no_gradient_comes_back():
    for share in (0.0, float("nan")):
        found = {length: {"paths": 0.5, "gradient": share, "share": share} for length in range(2)}
        assert paths.said(found) == "No gradient that could be shared out comes back."


def test_blocks_of_one_layer_and_weights_that_are_no_numbers():
    one = feature_reuse.summary(np.array([[1.0, 2.0], [np.nan, 1.0]]))
    assert [name for name, value in one.items() if np.isnan(value)] == ["block's input / average", "layers far before / average"]
    assert np.isnan(list(feature_reuse.summary(np.full((3, 3), np.nan)).values())).all()


@quick_on_torch
def test_gradient_norms(tmp_path):
    found = gradient_norm.gradients("identity", 20, "batch", seed=0, size=8, batch=4)
    assert list(found) == [f"stage{stage}_block{block}" for stage in (1, 2, 3) for block in (1, 2, 3)]
    assert np.isfinite(list(found.values())).all()
    assert min(found.values()) > 0
    norms = gradient_norm.study(tmp_path / "study", seeds=1, quick=True)
    assert [values[-1] for values in norms.values()] == [1.0] * 4
    assert (tmp_path / "study" / "gradient_norm.png").is_file()


@quick_on_torch
def test_removed_and_swapped_blocks():
    model = keras_resnet.create_model("preresnet20", input_shape=(8, 8, 3), widths=(4, 4, 4))
    images = normal(2, 8, 8, 3)
    layer, other = lesion.blocks(model)[1:3]
    before, x = as_numpy(model(images)), normal(2, 8, 8, 4)
    with lesion.removed([layer]):
        np.testing.assert_allclose(as_numpy(layer(x)), x, atol=1e-6)  # the shortcut alone
        assert np.abs(as_numpy(model(images)) - before).max() > 1e-6
    first = as_numpy(layer(x))
    with lesion.swapped(layer, other):
        np.testing.assert_array_equal(as_numpy(other(x)), first)
    np.testing.assert_array_equal(as_numpy(model(images)), before)


@quick_on_torch
def test_lesions(tmp_path):
    found = lesion.study(tmp_path / "study", epochs=1, quick=True)
    assert {"whole", "without stage1_block1", "without stage3_block1"} <= set(found)
    assert all(0 <= error <= 100 for error in found.values())
    assert (tmp_path / "study" / "lesion.png").is_file()


def block_like(block: keras.layers.Layer, weights: list, **settings) -> keras.layers.Layer:
    """A `VariedShortcut` with the block's weights; those of its gate stay."""
    varied = VariedShortcut(block.filters, block.strides, **settings)
    varied.build((None, 8, 8, 4))
    varied.set_weights([*weights, *varied.get_weights()[len(weights) :]])
    return varied


@quick_on_torch
@pytest.mark.parametrize("strides", [1, 2])
def test_varied_shortcuts_are_what_they_say(strides):
    x = normal(2, 8, 8, 4)
    block, plain = (BasicBlock(6, strides, shortcut=shortcut) for shortcut in ("identity", None))
    block.build((None, 8, 8, 4))
    plain.build((None, 8, 8, 4))
    weights = block.get_weights()
    plain.set_weights(weights)
    whole, branch = as_numpy(block(x)), as_numpy(plain(x))
    same = [dict(), dict(kind="gated", gate_bias=-30.0), dict(kind="dropout")]
    for settings in same:
        np.testing.assert_allclose(as_numpy(block_like(block, weights, **settings)(x)), whole, atol=1e-5)
    for settings in (dict(shortcut_scale=0.0), dict(kind="gated", gate_bias=30.0), dict(kind="exclusive", gate_bias=30.0)):
        np.testing.assert_allclose(as_numpy(block_like(block, weights, **settings)(x)), branch, atol=1e-5)
    halves = as_numpy(block_like(block, weights, scale=0.5, shortcut_scale=0.5)(x))
    np.testing.assert_allclose(halves, whole / 2, atol=1e-5)
    shortcut = as_numpy(block_like(block, weights, kind="exclusive", gate_bias=-30.0)(x))
    expected = np.pad(np.maximum(x[:, ::strides, ::strides], 0), ((0, 0), (0, 0), (0, 0), (0, 2)))
    np.testing.assert_allclose(shortcut, expected, atol=1e-5)
    dropped = as_numpy(block_like(block, weights, kind="dropout")(x, training=True))
    assert np.abs(dropped - as_numpy(block_like(block, weights)(x, training=True))).max() > 0.1
    with pytest.raises(ValueError, match="`kind` must be one of 'scaled'"):
        VariedShortcut(6, kind="gate")


@quick_on_torch
def test_shortcuts(tmp_path):
    found = shortcuts.study(tmp_path / "study", epochs=1, quick=True)
    assert list(found) == [*shortcuts.ZOO, *shortcuts.VARIED]
    text = (tmp_path / "study" / "shortcuts.md").read_text(encoding="utf-8")
    assert shortcuts.said(found) in text
    assert "| 25.03 | 6.61 |" in text
    assert (tmp_path / "study" / "shortcuts.png").is_file()
    found = {"A: identity": {"loss": 0.2}, "B": {"loss": 0.1}, "C": {"loss": float("nan")}}
    assert shortcuts.said(found) == "Lower training loss than the identity: B."


def test_networks_of_each_depth_are_the_papers():
    for depth, name in ((110, "preresnet110"), (164, "preresnet164"), (1001, "preresnet1001")):
        assert preactivation.settings(depth, "pre-activation") == CIFAR_RESNETS[name].settings
    assert preactivation.settings(56, "original") == {"depths": (9, 9, 9), "preactivation": False}
    with pytest.raises(ValueError, match=r"9n \+ 2 layers, such as 164"):
        preactivation.settings(166, "original")


@quick_on_torch
def test_preactivation(tmp_path):
    found = preactivation.study(tmp_path / "study", epochs=1, quick=True, depths=(20, 110))
    assert list(found) == [f"{kind}, {depth} layers" for depth in (20, 110) for kind in ("original", "pre-activation")]
    text = (tmp_path / "study" / "preactivation.md").read_text(encoding="utf-8")
    assert "| 6.61 |" in text
    assert preactivation.said(found, (20, 110)) in text


@quick_on_torch
def test_what_diverges_is_said(tmp_path):
    wanted = compared.recipe("preresnet20", "digits", 0, 3, quick=True, rate=1e30)
    _, rows = compared.fit(wanted, "digits", tmp_path / "log.csv")
    assert len(rows) < 3
    assert compared.row("network", compared.end([rows])) == ["network", "diverged", "diverged", "diverged"]


@quick_on_torch
def test_zero_init(tmp_path):
    found = zero_init.study(tmp_path / "study", epochs=1, quick=True, depths=(8,))
    assert {kind: list(errors) for kind, errors in found.items()} == {kind: [8] for kind in zero_init.KINDS}
    assert (tmp_path / "study" / "zero_init.png").is_file()


@quick_on_torch
def test_gradients_of_all_paths_are_the_gradient():
    network = keras_resnet.create_model(
        "preresnet20", depths=(1, 2, 1), widths=(4, 4, 8), input_shape=(8, 8, 1), classifier_activation=None
    )
    tracer = paths.Tracer(network)
    images, labels = normal(paths.BATCH, 8, 8, 1), np.arange(paths.BATCH) % 10
    sums = sum(
        tracer.gradient(images, labels, [place for place, inside in enumerate(path) if inside])
        for path in itertools.product((False, True), repeat=4)
    )
    shifted = keras.Input((8, 8, 1), batch_size=paths.BATCH)
    whole, optimizer = keras.Model(shifted, network(paths.Offset()(shifted))), learning.SGD(0.0, momentum=0.9)
    whole.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    whole.train_on_batch(images, labels)
    np.testing.assert_allclose(sums, as_numpy(optimizer.momenta[0].value), atol=1e-6)


@quick_on_torch
def test_paths(tmp_path):
    found = paths.study(tmp_path / "study", epochs=1, seeds=1, quick=True)
    assert list(found) == list(range(sum(compared.TINY["depths"]) + 1))
    for name in ("paths", "share"):
        assert sum(one[name] for one in found.values()) == pytest.approx(1)
    assert (tmp_path / "study" / "paths.png").is_file()
    even = {length: {"share": 0.25} for length in range(4)}
    assert (paths.effective(even), paths.effective(even, 0.4)) == ((0, 3), (1, 2))


@quick_on_torch
def test_directions_and_losses_around_a_network():
    network = keras_resnet.create_model("resnet20", input_shape=(8, 8, 1), classifier_activation=None, **compared.TINY)
    one, other = (landscape.directions(network, np.random.default_rng(seed)) for seed in (0, 1))
    kernels = {one.path: as_numpy(one.value) for one in network.trainable_variables if one.path.endswith("kernel")}
    assert kernels.keys() == one.keys()
    for path, kernel in kernels.items():
        norms = [np.sqrt((values**2).sum(tuple(range(kernel.ndim - 1)))) for values in (kernel, one[path])]
        np.testing.assert_allclose(*norms, rtol=1e-4)
    images, labels = normal(6, 8, 8, 1), np.arange(6)
    found = landscape.losses(network, images, labels, one, other, np.array([(0, 0), (0.5, 0), (0, 0.5)]))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    assert found[0] == pytest.approx(float(as_numpy(loss(labels, network(images)))), rel=1e-4)
    assert min(abs(found[1] - found[0]), abs(found[2] - found[0])) > 1e-4
    for variable in network.trainable_variables:
        if variable.path in kernels:
            np.testing.assert_array_equal(as_numpy(variable.value), kernels[variable.path])


def test_what_is_said_of_a_landscape():
    line = np.linspace(-1, 1, 9)
    bowl = 4 * (line[:, None] ** 2 + line**2)
    said = landscape.summary(bowl)
    assert (said["loss in the middle"], said["half a direction away"], said["not convex (%)"]) == (0, 1, 0)
    assert said["flat (%)"] == pytest.approx(100 * 9 / 81)
    assert landscape.summary(-bowl)["not convex (%)"] == 100


@quick_on_torch
def test_landscape(tmp_path):
    found = landscape.study(tmp_path / "study", epochs=1, quick=True, depths=(20,))
    assert list(found) == ["plain, 20 layers", "residual, 20 layers"]
    assert (tmp_path / "study" / "landscape.png").is_file()


@quick_on_torch
def test_weights_between_the_layers_of_a_densenet():
    network = keras_resnet.create_model("densenet40_k12", depths=(2, 2), growth_rate=3, input_shape=(8, 8, 1), classes=4)
    second = next(one for one in network.weights if one.path.endswith("stage1/layer2/conv1/kernel"))
    values = np.full(second.shape, -2.0)  # the stem's 16 channels, then three of layer 1
    values[:, :, 16:] = 5.0
    second.assign(values)
    found = feature_reuse.weights(network)
    assert {name: matrix.shape for name, matrix in found.items()} == {"stage1": (3, 3), "stage2": (3, 3)}
    np.testing.assert_allclose(found["stage1"][:, 1], [2, 5, np.nan])
    head = np.abs(as_numpy(network.get_layer("head").kernel.value)).mean(1)
    np.testing.assert_allclose(found["stage2"][:, -1], [head[:-6].mean(), head[-6:-3].mean(), head[-3:].mean()], rtol=1e-5)
    even = np.where(np.isnan(found["stage1"]), np.nan, 0.5)
    said = feature_reuse.summary(even)
    assert [one for one in said.values() if not np.isnan(one)] == [1.0] * 3


@quick_on_torch
def test_feature_reuse(tmp_path):
    found = feature_reuse.study(tmp_path / "study", epochs=1, quick=True)
    assert list(found) == ["stage1", "stage2", "stage3"]
    assert (tmp_path / "study" / "feature_reuse.png").is_file()


def test_every_study_is_listed():
    files = {path.stem for path in pathlib.Path(table.__file__).parent.glob("*.py")}
    assert files - set(STUDIES) == {"__init__", "__main__", "compared", "table", "varied_shortcut"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["degredation"], "no study 'degredation'. Closest: degradation"),
        (["degradation", "--seeds", "0"], "Seeds and epochs are 1 or more"),
        (["degradation", "--depths", "0"], "6n + 2 layers, such as 20, 56, 110. Received: --depths 0"),
        (["lesion", "--depths", "20", "56"], "One network is looked into"),
        (["preactivation", "--depths", "21"], "6n + 2 layers, such as 20, 56, 110. Received: --depths 21"),
        (["feature_reuse", "--depths", "41"], "3n + 4 layers is trained, such as 22 or 40"),
        (["paths", "--depths", "20", "56"], "One network is looked into"),
        (["shortcuts", "--data", "/no/such/folder"], "is no folder"),
    ],
)
def test_mistakes(words, said, capsys):
    assert main(words) == 1
    assert said in capsys.readouterr().err
