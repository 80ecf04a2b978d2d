"""Side outputs: their size, the weighted losses from one mask, the network for inference, and wrong arguments."""

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet.learning import deep_supervision, inference_model
from tests.arrays import as_numpy, normal
from tests.check_layer import run
from tests.models.dense_networks import small
from tests.quick import ON_TORCH, quick_on_torch


@pytest.fixture(scope="module")
def images():
    return normal(4, 40, 40, 3), np.arange(4 * 40 * 40).reshape(4, 40, 40) % 3


@pytest.mark.parametrize(
    "builder", [keras_resnet.UNet, pytest.param(keras_resnet.UNetPlusPlus, marks=() if ON_TORCH else pytest.mark.full)]
)
def test_one_mask_for_all_outputs(builder, images, tmp_path):
    x, masks = images
    model = small(builder, deep_supervision=True, size=40)
    outputs = run(model, x)
    assert set(outputs) == {"out", "aux1", "aux2", "aux3", "aux4"}
    assert {tuple(one.shape) for one in outputs.values()} == {(4, 40, 40, 3)}
    loss = keras_resnet.losses.DiceCrossEntropy()
    settings = deep_supervision(model, loss, metrics=keras_resnet.metrics.IoU(classes=3))
    assert sum(settings["loss_weights"].values()) == pytest.approx(1)
    assert settings["loss_weights"]["aux1"] == pytest.approx(settings["loss_weights"]["out"] / 2)
    model.compile(keras.optimizers.SGD(0.0), **settings)
    expected = sum(weight * float(as_numpy(loss(masks, outputs[name]))) for name, weight in settings["loss_weights"].items())
    found = model.evaluate(x, masks, batch_size=4, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(expected, rel=1e-4)
    assert sum("iou" in name for name in found) == 1
    model.compile(keras.optimizers.SGD(0.05), **settings)
    before = [as_numpy(variable).copy() for variable in model.trainable_variables]
    model.fit(x, masks, batch_size=4, verbose=0)
    assert all((as_numpy(variable) != value).any() for variable, value in zip(model.trainable_variables, before, strict=True))
    alone = inference_model(model)
    assert tuple(alone.output_shape) == (None, 40, 40, 3)
    assert not any(layer.name.startswith("aux") for layer in alone.layers)
    y = as_numpy(run(alone, x))
    assert (y == as_numpy(run(model, x)["out"])).all()
    alone.save(tmp_path / "alone.keras")
    assert (as_numpy(run(keras.saving.load_model(tmp_path / "alone.keras"), x)) == y).all()


def test_wrong_arguments():
    plain = small()
    for function in (lambda: deep_supervision(plain, "mse"), lambda: inference_model(plain)):
        with pytest.raises(ValueError, match="deep_supervision=True"):
            function()
    model = small(deep_supervision=True)
    with pytest.raises(ValueError, match="5 numbers, for out, aux1"):
        deep_supervision(model, "mse", [1, 0.5])
    with pytest.raises(ValueError, match="`weights`"):
        deep_supervision(model, "mse", [1, 0.5, -1, 0, 0])
    with pytest.raises(ValueError, match=r"above 0: .*weights=\(0, 0, 0, 0, 0\)"):
        deep_supervision(model, "mse", (0,) * 5)
    with pytest.raises(ValueError, match=r"DiceCrossEntropy\(\)\. Received: loss=None"):
        deep_supervision(model, None)


@quick_on_torch
def test_a_judgement_of_the_whole_image_learns_from_the_mask():
    """The loss of "presence" is that of whether its mask shows anything; a mask alone is enough."""
    x, masks = normal(2, 12, 12, 3), np.zeros((2, 12, 12), "int64")
    masks[1, 3:5, 3:5] = 2
    model = keras_resnet.models.unet3plus(
        (4, 6, 8), skip_width=4, deep_supervision=True, guided=True, classes=3, classifier_activation="softmax", input_shape=(12, 12, 3)
    )
    settings = deep_supervision(model, keras_resnet.losses.Dice(from_logits=False))
    assert sorted(settings["loss"]) == ["aux1", "aux2", "out", "presence"]
    model.compile(keras.optimizers.SGD(0.05), **settings)
    before = as_numpy(model.get_layer("presence_head").kernel).copy()
    assert np.isfinite(model.fit(x, masks, batch_size=2, verbose=0).history["loss"][0])
    assert (as_numpy(model.get_layer("presence_head").kernel) != before).any()


@pytest.fixture(scope="module")
def judged():
    """A network with side outputs and a judgement, compiled to stay as it is; images, masks, and weights of pixels."""
    model = keras_resnet.models.unet3plus(
        (4, 6),
        skip_width=2,
        deep_supervision=True,
        guided=True,
        classes=3,
        classifier_activation="softmax",
        input_shape=(8, 8, 3),
        norm=None,
    )
    head = model.get_layer("presence_head")
    head.set_weights([np.zeros(head.kernel.shape), np.array([0.0, 1.0])])  # behind dropout: so training judges as inference does
    settings = deep_supervision(model, keras_resnet.losses.CrossEntropy(from_logits=False), metrics=keras_resnet.metrics.IoU(classes=3))
    model.compile(keras.optimizers.SGD(0.0), **settings)
    masks = np.arange(4 * 8 * 8).reshape(4, 8, 8) % 3
    masks[1] = 0
    return model, settings, normal(4, 8, 8, 3), masks, np.random.default_rng(2).random((4, 8, 8)).astype("float32")


def expected_loss(judged, weights) -> float:
    """The weighted sum of each output's own loss; an image weighs as much as its pixels do on average."""
    model, settings, x, masks, _ = judged
    total = 0.0
    for name, y in run(model, x).items():
        given = weights.mean((1, 2)) if name == "presence" and weights.ndim == 3 else weights
        total += settings["loss_weights"][name] * float(as_numpy(settings["loss"][name](masks, y, given)))
    return total


def test_weights_of_pixels_in_training_and_validation(judged):
    model, _, x, masks, pixels = judged
    named: dict = dict(y={"out": masks}, sample_weight={"out": pixels})
    history = model.fit(x, **named, validation_data=(x, masks, pixels[::-1]), batch_size=4, verbose=0).history
    assert history["loss"][0] == pytest.approx(expected_loss(judged, pixels), rel=1e-4)
    assert history["val_loss"][0] == pytest.approx(expected_loss(judged, pixels[::-1]), rel=1e-4)
    assert "val_out_iou" in history


@quick_on_torch
def test_forms_of_targets_and_weights(judged):
    """One mask, or by names some or all; weights of samples or pixels, for all outputs or by name."""
    model, _, x, masks, pixels = judged
    each = dict.fromkeys(model.output, masks)
    samples = np.array([1, 0, 2, 0.5], "float32")

    def loss(*targets, **settings):
        return model.evaluate(x, *targets, batch_size=4, verbose=0, return_dict=True, **settings)["loss"]

    plain = expected_loss(judged, np.ones(4, "float32"))
    assert plain != pytest.approx(expected_loss(judged, samples), rel=0.01)
    for targets in (masks, masks[..., None], {"out": masks}, {"out": masks, "aux1": masks}, each):
        assert loss(targets) == pytest.approx(plain, rel=1e-4)
        assert loss(targets, sample_weight=samples) == pytest.approx(expected_loss(judged, samples), rel=1e-4)
        named = {name: pixels.mean((1, 2)) if name == "presence" else pixels for name in targets} if isinstance(targets, dict) else pixels
        assert loss(targets, sample_weight=named) == pytest.approx(expected_loss(judged, pixels), rel=1e-4)
    assert loss(masks, sample_weight=dict.fromkeys(model.output, samples)) == pytest.approx(expected_loss(judged, samples), rel=1e-4)
    assert np.isfinite(model.fit(x, masks, validation_split=0.5, verbose=0).history["val_loss"][0])
    for wrong, says in (
        ({"out": masks, "aux9": masks}, "`y` must name outputs of this network, .*Received: aux9, out"),
        ({"aux1": masks}, '"out", whose is taken'),
        ([masks] * 3, "one for all, or a dictionary by their names, .*Received: list of 3"),
        ({**each, "presence": np.eye(2)[[0, 1, 1, 0]]}, "Presence takes masks"),
    ):
        with pytest.raises(ValueError, match=says):
            loss(wrong)


def test_weights_of_classes_belong_to_the_loss(judged):
    """Keras gives each sample the weight of its class, which a mask is not of."""
    model, _, x, masks, _ = judged
    with pytest.raises(ValueError, match=r"Give the weights to the loss, a number a class, such as .*class_weights=\[\.\.\.\]\)"):
        model.fit(x, masks, class_weight={0: 1.0, 1: 2.0}, verbose=0)


def test_presence_is_the_cross_entropy_of_what_masks_show():
    masks = np.zeros((3, 4, 4), "int32")
    masks[1, 0, 0], masks[2] = 2, 255
    scores = np.array([[0.9, 0.2], [0.9, 0.2], [0.5, 0.5]], "float32")
    loss = keras_resnet.losses.Presence(ignore_index=255, reduction=None)
    assert type(loss).from_config(loss.get_config()).ignore_index == 255
    found = as_numpy(loss(masks, scores))
    expected = [-np.log([0.9, 0.8]).mean(), -np.log([0.1, 0.2]).mean(), -np.log([0.5, 0.5]).mean()]
    assert np.allclose(found, expected, atol=1e-5)
    with pytest.raises(ValueError, match=r"\(n, 2\)"):
        keras_resnet.losses.Presence()(masks, np.zeros((3, 3), "float32"))
