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
