"""Defects that were found in other libraries for dense prediction, one test each: what ours does in the same place.

smp is segmentation_models.pytorch 0.6.0, Keras is 3.15.1. Published counts are compared where each network is tested, and samplers of
few steps on every backend in `tests/diffusion`.
"""

import functools

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet import learning, losses, metrics
from keras_resnet.layers.normalization import NORMS
from tests.arrays import as_numpy, normal, values
from tests.check_layer import run
from tests.gradients import layer_gradients, value_and_gradients

LABELS = np.random.default_rng(1).integers(0, 3, (2, 8, 8))
LOGITS = normal(2, 8, 8, 3, deviation=2.0)
NOTHING = np.zeros((2, 8, 8), "int32")
FOREGROUND = np.full((2, 8, 8, 1), 20, "float32")  # logits
OVERLAPS = [losses.Dice, losses.Jaccard, losses.Tversky]
ELASTIC = dict(elastic=2, elastic_spacing=8, scale=(0.7, 1.4), rotation=30, chance=1.0)


def encoder(**settings) -> keras.Model:
    arguments = dict(depths=(1, 1, 1), widths=(8, 8, 8), stem_width=8, block="basic", input_shape=(None, None, 3))
    return keras_resnet.models.resnet(**{**arguments, **settings}, include_top=False)


def dense_encoder() -> keras.Model:
    return keras_resnet.models.densenet(
        depths=(1, 1), growth_rate=8, stem_width=8, include_top=False, as_encoder=True, input_shape=(None, None, 3)
    )


def unet(model: keras.Model | None = None, **settings) -> keras.Model:
    return keras_resnet.UNet(model or encoder(), **{"depth": 3, "widths": (8, 8, 4), "classes": 3, **settings})


@functools.cache
def compiled_unet() -> keras.Model:
    """One network for all tests that only fit, so that JAX compiles it once."""
    return unet()


# 1. smp: decoder_use_norm="layernorm" fails in forward, "instancenorm" at build; there is no group norm.


@pytest.mark.parametrize("norm", NORMS)
def test_every_norm_of_a_decoder_runs(norm):
    model = unet(norm=norm)
    y = as_numpy(run(model, normal(2, 33, 40, 3), training=True))
    assert y.shape == (2, 33, 40, 3)
    assert np.isfinite(y).all()
    assert {"batch", "group", "instance", "layer", None} == set(NORMS)


# 2. smp: iou_score(reduction="micro") is NaN where mask and prediction are empty.


@pytest.mark.parametrize("make", [metrics.IoU, metrics.DiceScore])
def test_scores_over_all_pixels_of_what_is_rightly_empty(make):
    for average in ("pixels", "classes", "images"):
        assert float(make(2, background=False, average=average)(NOTHING, NOTHING)) == 1


# 3. smp: SoftCrossEntropyLoss() raises with its own defaults.


@pytest.mark.parametrize("name", [name for name in losses.__all__ if name[0].isupper() and name not in ("Compound", "Presence")])
def test_losses_work_with_their_defaults(name):
    assert np.isfinite(float(getattr(losses, name)()(LABELS, LOGITS)))


# 4. smp: Dice, Jaccard and Tversky are 0, without a gradient, where a class is absent and all of it is predicted. Keras: Dice and Tversky
#    are 1 where it is absent and rightly not predicted.


@pytest.mark.parametrize("loss", OVERLAPS)
def test_absent_classes_have_a_rule(loss):
    assert float(loss()(NOTHING, -FOREGROUND)) == pytest.approx(0, abs=1e-5)
    assert float(loss()(NOTHING, FOREGROUND)) == pytest.approx(1, abs=1e-5)
    assert float(loss(empty="skip")(NOTHING, FOREGROUND)) == 0
    assert float(loss(empty="smooth", smooth=1.0)(NOTHING, FOREGROUND)) > 0.9
    masks = keras.ops.convert_to_tensor(NOTHING)
    _, (gradient,) = value_and_gradients(lambda x: keras.ops.reshape(loss()(masks, x), (1,)), 0 * FOREGROUND)
    assert np.all(gradient * gradient.flat[0] > 0), "false positives have a gradient, all the same way"


# 5. smp: with encoder_depth=3 most of the encoder is kept, and never has a gradient.


def test_a_shallow_u_net_has_no_idle_variables():
    deep = keras_resnet.models.resnet(
        depths=(1, 1, 1, 1), widths=(8, 8, 8, 8), stem_width=8, block="basic", include_top=False, input_shape=(32, 32, 3)
    )
    model = keras_resnet.UNet(deep, depth=3, widths=(8, 8, 4), classes=3)
    kept = {layer.name for layer in model.layers}
    assert {"stem", "stage1_block1", "stage2_block1"} <= kept
    assert not [name for name in kept if name.startswith(("stage3", "stage4"))]
    _, gradients, _ = layer_gradients(model, normal(2, 32, 32, 3))
    assert [path for path, gradient in gradients.items() if not gradient.any()] == []


# 6. smp reads a DenseNet's maps behind norm and ReLU of each transition, in front of its 1x1 convolution, and the last one in front of the
#    ReLU. keras-unet-collection reads them behind the convolution: half the channels. Ours are smp's, since its weights fit.


def test_maps_of_a_densenet():
    model = dense_encoder()
    maps = keras_resnet.features(model, stem=True)
    assert [tuple(y.shape)[1:] for y in maps.values()] == [(None, None, channels) for channels in (8, 16, 16)]
    *skips, last = (as_numpy(y) for y in run(keras.Model(model.inputs, list(maps.values())), normal(1, 48, 48, 3)))
    assert all((skip >= 0).all() for skip in skips)
    assert (last < 0).any()


# 7. keras-unet-collection on Keras 3: DenseNet backbones fail. 8. segmentation_models: "/" in DenseNet's layer names; losses and metrics
#    of its own fail in compile and fit.


def test_u_nets_on_densenets_build_and_train():
    model = unet(dense_encoder(), norm=None)
    assert not [layer.name for layer in model.layers if "/" in layer.name]
    model.compile("sgd", losses.DiceCrossEntropy(), metrics=[metrics.IoU(classes=3)])
    images, masks = normal(2, 40, 40, 3), np.arange(2 * 40 * 40).reshape(2, 40, 40) % 3
    history = model.fit(images, masks, verbose=0).history
    assert np.isfinite([history["loss"], history["iou"]]).all()


# 9. Keras's augmentation of pairs.


def test_mix_up_keeps_the_masks_sizes():
    """Keras: (2, 32, 32, 2) out of (2, 32, 32), or an error on TensorFlow."""
    images, masks = normal(2, 9, 7, 3), LABELS[:, :, :7].repeat(2, 1)[:, :9].astype("uint8")
    new, targets = learning.mix_up(images, masks, classes=3, alpha=1.0, seed=0)
    assert new.shape == images.shape
    assert targets.shape == (2, 9, 7, 3)
    np.testing.assert_allclose(targets.sum(-1), 1, atol=1e-6)


def test_cut_mix_keeps_the_masks_channel():
    """Keras: three channels out of one."""
    masks = LABELS[..., None].astype("uint8")
    _, new = learning.cut_mix(normal(2, 8, 8, 3), masks, seed=3)
    assert new.shape == masks.shape
    assert new.dtype == masks.dtype
    assert set(np.unique(new)) <= set(np.unique(masks))


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
@pytest.mark.parametrize(
    "settings",
    [dict(flip=True), dict(crop=5), dict(crop=12), dict(crop=7, foreground=1.0), ELASTIC],
    ids=["flip", "crop", "pad", "fg", "elastic"],
)
def test_integer_masks_stay_integers(settings, dtype):
    """Keras: RandomElasticTransform raises, flips and crops give float32."""
    image, mask = normal(9, 11, 3), np.arange(99).reshape(9, 11).astype(dtype) % 3
    for seed in range(4):
        _, new = learning.PairAugmentation(**settings)(image, mask, seed=seed)
        assert new.dtype == dtype
        assert set(np.unique(new)) <= {0, 1, 2, 255}


@pytest.mark.parametrize("settings", [dict(crop=12), dict(scale=(0.4, 0.5), chance=1.0)], ids=["crop", "scale"])
def test_pixels_from_outside_are_ignored(settings):
    """Keras: they become class 0."""
    image, mask = normal(8, 8, 3), np.ones((8, 8), "uint8")
    _, new = learning.PairAugmentation(ignore_label=200, **settings)(image, mask, seed=0)
    assert set(np.unique(new)) == {1, 200}


def test_volumes_are_augmented():
    """Keras: images alone."""
    volume, mask = normal(6, 7, 8, 1), np.arange(6 * 7 * 8).reshape(6, 7, 8).astype("uint8") % 3
    new, labels = learning.PairAugmentation(crop=5, flip=True, **ELASTIC)(volume, mask, seed=1)
    assert new.shape == (5, 5, 5, 1)
    assert labels.shape == (5, 5, 5)
    batch = (volume[None].repeat(2, 0), mask[None].repeat(2, 0))
    assert learning.cut_mix(*batch, seed=0)[1].shape == (2, 6, 7, 8)
    assert learning.mix_up(*batch, classes=3, seed=0)[1].shape == (2, 6, 7, 8, 3)


# 10. Keras: MeanIoU raises at a network's output; Dice knows no logits, integers, classes, ignored pixels or smoothing.


def test_iou_takes_what_networks_give():
    found = LOGITS.argmax(-1)
    softmax = as_numpy(keras.ops.softmax(LOGITS))
    expected = [np.sum((found == c) & (c == LABELS)) / np.sum((found == c) | (c == LABELS)) for c in range(3)]
    for output in (LOGITS, softmax, found):
        metric = metrics.IoU(classes=3)
        metric.update_state(LABELS, output)
        assert float(metric.result()) == pytest.approx(np.mean(expected), rel=1e-6)
        assert as_numpy(metric.per_class()) == pytest.approx(expected, rel=1e-6)


def test_dice_has_what_masks_need():
    softmax = as_numpy(keras.ops.softmax(LOGITS))
    each = [float(losses.Dice(class_weights=np.eye(3)[c].tolist())(LABELS, LOGITS)) for c in range(3)]
    inside = [2 * (softmax[..., c] * (c == LABELS)).sum() / (softmax[..., c].sum() + (c == LABELS).sum()) for c in range(3)]
    assert each == pytest.approx([1 - share for share in inside], rel=1e-5)
    assert float(losses.Dice()(LABELS, LOGITS)) == pytest.approx(np.mean(each), rel=1e-5), "a class counts by itself"
    assert float(losses.Dice(from_logits=False)(LABELS, softmax)) == pytest.approx(np.mean(each), rel=1e-5)
    assert float(losses.Dice(sparse=False)(np.eye(3, dtype="float32")[LABELS], LOGITS)) == pytest.approx(np.mean(each), rel=1e-5)
    assert float(losses.Dice(smooth=1.0)(LABELS, LOGITS)) < np.mean(each)
    ignored = np.where(LABELS == 2, 255, LABELS)
    other = LOGITS + 5 * (ignored == 255)[..., None] * normal(3)
    assert float(losses.Dice(ignore_index=255)(ignored, LOGITS)) == pytest.approx(
        float(losses.Dice(ignore_index=255)(ignored, other)), rel=1e-6
    )
    alone = [float(losses.Dice()(LABELS[i : i + 1], LOGITS[i : i + 1])) for i in (0, 1)]
    assert as_numpy(losses.Dice(batch=False, reduction="none")(LABELS, LOGITS)) == pytest.approx(alone, rel=1e-5)


# 11. KerasHub: integer masks fail with what ImageSegmenter compiles, masks are not resized with the images, DeepLabV3's head has no bias,
#     SegFormer's output has one size for good.


def test_integer_masks_fit_with_the_loss_that_is_shown_first():
    """Of the image's own size: nothing is to be resized."""
    model = compiled_unet()
    model.compile("sgd", losses.DiceCrossEntropy(ignore_index=255), metrics=[metrics.IoU(classes=3, ignore_index=255)])
    masks = (np.arange(2 * 40 * 40).reshape(2, 40, 40) % 3).astype("uint8")
    masks[0, 0] = 255
    before = values(model)
    assert np.isfinite(model.fit(normal(2, 40, 40, 3), masks, verbose=0).history["loss"]).all()
    assert any((before[path] != value).any() for path, value in values(model).items())


@pytest.mark.parametrize("settings", [dict(scale=(0.5, 0.5)), dict(scale=(1.6, 1.6)), dict(crop=20), dict(scale=(1.5, 1.5), rotation=40)])
def test_masks_are_resized_with_their_images(settings):
    """A picture that is its own mask stays so, but at edges, where pixels are mixed; as large as each other."""
    mask = np.zeros((32, 30), "uint8")
    mask[6:20, 8:27], mask[24:30, 4:12] = 1, 2
    image = np.repeat(mask[..., None], 3, -1).astype("float32") / 2
    new, labels = learning.PairAugmentation(chance=1.0, **settings)(image, mask, seed=3)
    assert new.shape[:2] == labels.shape
    inside = labels != 255
    assert (labels[inside] > 0).any()
    assert (np.abs(new[..., 0] * 2 - labels)[inside] < 0.51).mean() > 0.97


def test_a_head_has_its_bias():
    assert tuple(compiled_unet().get_layer("head").bias.shape) == (3,)


def test_a_saved_network_takes_other_sizes(tmp_path):
    model = compiled_unet()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for size in ((33, 40), (65, 97)):
        assert run(again, normal(1, *size, 3)).shape == (1, *size, 3)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of the other backends Keras's SavedModels need TensorFlow beside them")
def test_an_exported_network_takes_other_sizes(tmp_path):
    import tensorflow as tf

    model = compiled_unet()
    model.export(tmp_path / "exported", verbose=False)
    again = tf.saved_model.load(tmp_path / "exported")
    for size in ((40, 40), (65, 97)):
        images = normal(1, *size, 3)
        found = again.serve(images)
        np.testing.assert_allclose(found, as_numpy(run(model, images)), rtol=1e-4, atol=1e-4)


# 12. keras.io's "U-Net-like" example joins no map of the encoder to the decoder. In its DDPM attention is added to the normalized input,
#     and a level whose width repeats that of the one before is not made smaller.


def test_a_u_net_has_skips():
    """Where the last step that joins maps is blind to the one from below, the picture is still seen, through the encoder's map."""
    model = unet(norm=None)
    images = normal(2, 32, 32, 3)
    *steps, _ = (layer for layer in model.layers if isinstance(layer, keras_resnet.layers.DecoderBlock))
    kernel = steps[-1].conv1.kernel
    for blind, seen in ((slice(0, 8), True), (slice(None), False)):  # its first 8 channels are those from below
        values = as_numpy(kernel)
        values[:, :, blind] = 0
        kernel.assign(values)
        one, other = as_numpy(run(model, images))
        assert (np.abs(one - other).max() > 1e-3) == seen


def test_attention_is_added_to_what_came_in():
    """Its last convolution starts near zero, so that at first the input comes out."""
    x = normal(2, 4, 4, 32, mean=3.0, deviation=2.0)
    np.testing.assert_allclose(as_numpy(run(keras_resnet.layers.AttentionBlock(), x)), x, atol=1e-4)


def test_levels_of_one_width_halve_the_map():
    model = keras_resnet.models.diffusion_unet(width=8, multipliers=(1, 1, 1), depth=1, attention_strides=(), input_shape=(16, 16, 1))
    assert {layer.output.shape[1] for layer in model.layers if len(layer.output.shape) == 4} == {16, 8, 4}
