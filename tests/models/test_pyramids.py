"""Feature pyramids and DeepLabV3+: published counts, any size of image, what they share with every network, and wrong arguments."""

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet.learning import deep_supervision, inference_model
from keras_resnet.segmentation import FPN, DeepLabV3Plus, UNet
from tests.arrays import as_numpy, normal, values
from tests.check_layer import run
from tests.models.dense_networks import NARROW, check_learns_and_is_kept, count, small
from tests.quick import ON_TORCH, quick_on_torch

# Trainable parameters, as segmentation_models.pytorch 0.6.0 builds them.
COUNTS = [
    (FPN, "resnet34", 23_155_393),
    (FPN, "resnet50", 26_116_033),
    (DeepLabV3Plus, "resnet34", 22_437_457),
    (DeepLabV3Plus, "resnet50", 26_677_585),
]
on_torch = pytest.mark.skipif(keras.backend.backend() != "torch", reason="counts are the same on every backend; PyTorch needs no memory")


@on_torch
@pytest.mark.parametrize(("builder", "encoder", "expected"), COUNTS)
def test_counts(builder, encoder, expected):
    with keras.device("meta"):
        assert count(builder(encoder)) == expected


@pytest.mark.parametrize("builder", [FPN, DeepLabV3Plus])
@pytest.mark.parametrize("size", [(65, 97), (64, 64)])
def test_output_has_the_images_size(builder, size):
    model = small(builder)
    assert tuple(model.output_shape) == (None, None, None, 3)
    assert run(model, normal(2, *size, 3)).shape == (2, *size, 3)


@pytest.mark.parametrize(
    ("builder", "settings"),
    [
        (FPN, dict(dropout=0.0)),
        pytest.param(FPN, dict(norm="batch", depth=4), marks=() if ON_TORCH else pytest.mark.full),
        (DeepLabV3Plus, dict(output_stride=16)),
        pytest.param(DeepLabV3Plus, dict(norm="group", dropout=0.0, depth=4), marks=() if ON_TORCH else pytest.mark.full),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_learns_and_is_kept(builder, settings, tmp_path):
    # The mean of the map has one pixel: in groups of one channel it is normalized to nothing.
    check_learns_and_is_kept(
        lambda **form: small(builder, size=40, **settings, **form), tmp_path, still=("_whole",) if settings.get("norm") == "group" else ()
    )


@quick_on_torch
def test_the_pyramids_maps_have_heads():
    """Each moves with the loss, and the network for inference is the one without them."""
    model = small(FPN, deep_supervision=True, dropout=0.0)
    assert model.get_layer("aux4").input.shape[-1] == NARROW["FPN"]["pyramid_width"]
    before, images = values(model), normal(2, 40, 33, 3)
    outputs = run(model, images)
    assert sorted(outputs) == ["aux1", "aux2", "aux3", "aux4", "out"]
    assert {tuple(y.shape) for y in outputs.values()} == {(2, 40, 33, 3)}
    model.compile("sgd", **deep_supervision(model, keras.losses.SparseCategoricalCrossentropy(from_logits=True)))
    model.fit(images, np.arange(2 * 40 * 33).reshape(2, 40, 33) % 3, verbose=0)
    assert [path for path, value in values(model).items() if "aux" in path and (value == before[path]).all()] == []
    assert count(inference_model(model)) == count(small(FPN))


def test_deeplab_dilates_its_encoder():
    assert {layer.dilation_rate for layer in DeepLabV3Plus("resnet18").layers if layer.name.startswith("stage4")} == {2}
    assert {layer.dilation_rate for layer in DeepLabV3Plus("resnet18", output_stride=32).layers if layer.name.startswith("stage4")} == {1}
    # The first block of the dilated stage as those behind it, segmentation_models.pytorch's way; an encoder of one's own is as it is.
    assert DeepLabV3Plus("resnet18").get_layer("stage4_block1").dilations == (2, 2)
    own = keras_resnet.ResNet18(weights=None, include_top=False, output_stride=16)
    assert DeepLabV3Plus(own).get_layer("stage4_block1").dilations == (1, 2)
    with pytest.raises(ValueError, match="`dilates_first`"):
        keras_resnet.ResNet18(weights=None, include_top=False, dilates_first=1)
    assert DeepLabV3Plus("densenet121", input_shape=(64, 64, 3)).output_shape == (None, 64, 64, 1)  # which has one stride only


@pytest.mark.parametrize(("builder", "activation"), [(FPN, "softmax"), (UNet, "softmax"), (UNet, "log_softmax")])
def test_an_activation_is_over_the_classes(builder, activation):
    for form, axis in (({}, -1), (dict(data_format="channels_first"), 1)):
        images = normal(2, 3, 33, 40) if form else normal(2, 33, 40, 3)
        y = as_numpy(run(small(builder, classifier_activation=activation, **form), images))
        assert y.shape[axis] == 3
        assert abs((np.exp(y) if activation == "log_softmax" else y).sum(axis) - 1).max() < 1e-5


@pytest.mark.parametrize(
    ("builder", "settings", "says"),
    [
        (FPN, dict(depth=2), "from 3 to the 5 maps"),
        (FPN, dict(pyramid_width=0), "`pyramid_width`"),
        (FPN, dict(dropout=1.0), "`dropout`"),
        (FPN, dict(upsampling="bicubic"), "`upsampling`"),
        (DeepLabV3Plus, dict(upsampling="transpose"), "`upsampling`"),
        (DeepLabV3Plus, dict(rates=()), "`rates`"),
        (DeepLabV3Plus, dict(norm="layers"), "`norm`"),
        (DeepLabV3Plus, dict(early_width=-1), "`early_width`"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_wrong_arguments(builder, settings, says):
    with pytest.raises(ValueError, match=says):
        small(builder, **settings)
