"""KerasHub's networks, which read a file that we write, and whose numbers we read. Skipped where it is not installed."""

import importlib.util
import json
import re
import warnings

import keras
import numpy as np
import pytest
import safetensors.numpy

import keras_resnet
from keras_resnet.weights import rename
from tests import tolerances
from tests.arrays import as_numpy
from tests.golden import seeded
from tests.weights.parity import LEAST_SPREAD, LOGITS_SEED, answer, assert_same, built, cases, moved


def numbered(model: keras.Model) -> keras.Model:
    """The model with numbers drawn from timm's names; means around 0, variances around 1."""
    for key, slot in rename.torch_layout(model).slots.items():
        slot.variable.assign(slot.to_ours(seeded.weight(key.replace("running_mean", "mean.bias"), slot.shape)))
    return model


LEAVES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
# Whether the full run alone takes them. Its DenseNets pad to the right and below alone, and so give other logits for timm's weights than
# timm: 4 % for densenet121.
KERAS_HUB = {"resnet18": False, "resnet50": True, "resnet101": True, "resnetv2_50": True}


def timm_module(layer: str, preactivation: bool) -> str:
    """timm's name of what KerasHub calls `layer`."""
    block = re.fullmatch(r"stack(\d)_block(\d+)_(?:pre_activation|(\d))_(conv|bn)", layer)
    if block is None:
        return {"conv1_conv": "stem.conv" if preactivation else "conv1", "conv1_bn": "bn1", "post_bn": "norm"}[layer]
    stage, number, place, kind = int(block[1]), block[2], int(block[3] or 0), block[4]
    if preactivation:
        return f"stages.{stage}.blocks.{number}." + (f"norm{place + 1}" if kind == "bn" else f"conv{place}" if place else "downsample.conv")
    return f"layer{stage + 1}.{number}." + (f"{kind}{place}" if place else f"downsample.{0 if kind == 'conv' else 1}")


def of_keras_hub(theirs: keras.Model, preactivation: bool) -> dict[str, np.ndarray]:
    """The numbers of KerasHub's network under timm's names, in PyTorch's layout."""
    state = {
        f"{timm_module(layer.name, preactivation)}.{LEAVES[variable.name]}": as_numpy(variable)
        for layer in theirs.backbone.layers
        for variable in layer.weights
    }
    head = theirs.output_dense
    state |= {f"{'head.fc' if preactivation else 'fc'}.{LEAVES[variable.name]}": as_numpy(variable) for variable in head.weights}
    order = {4: (3, 2, 0, 1), 2: (1, 0)}
    state = {key: np.ascontiguousarray(value.transpose(order.get(value.ndim, range(value.ndim)))) for key, value in state.items()}
    if preactivation:
        state["head.fc.weight"] = state["head.fc.weight"][..., None, None]
    return state


@pytest.fixture
def keras_hub():
    if importlib.util.find_spec("keras_hub") is None:
        pytest.skip("not installed: keras_hub")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it says when it is imported is not ours to mend
        return pytest.importorskip("keras_hub", exc_type=ImportError)


@pytest.mark.parametrize("name", cases(KERAS_HUB))
def test_keras_hub_both_ways(keras_hub, name, tmp_path):
    """It reads a file in timm's layout that we write, with the configuration that lies beside it on the hub.

    Its own files number their variables by kind of layer, and are not among those that `weights=` takes; what a network of it holds
    comes to us under timm's names.
    """
    model = numbered(built(name, None, 64))
    keras_resnet.save_weights(model, tmp_path / "model.safetensors", layout="timm")
    config = {"architecture": name, "num_classes": 1000, "num_features": 2048, "pretrained_cfg": {}}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = keras_hub.models.ImageClassifier.from_preset(str(tmp_path), preprocessor=None)
    images = seeded.images(LOGITS_SEED, 2, 64)
    ours = answer(model, images)
    assert seeded.spread(ours) > LEAST_SPREAD
    assert_same(answer(theirs, images), ours, f"keras_hub {name} .safetensors back")

    expected = answer(moved(theirs), images)
    assert tolerances.difference(expected, ours) > 10 * tolerances.GOLDEN
    safetensors.numpy.save_file(of_keras_hub(theirs, "v2" in name), tmp_path / "theirs.safetensors")
    keras_resnet.load_weights(model, tmp_path / "theirs.safetensors")
    assert_same(answer(model, images), expected, f"keras_hub {name} .safetensors")

    before = [as_numpy(variable).tobytes() for variable in model.weights]
    theirs.backbone.save_weights(tmp_path / "own.weights.h5")
    with pytest.raises(ValueError, match="do not fit the model"):
        keras_resnet.load_weights(model, tmp_path / "own.weights.h5")
    assert [as_numpy(variable).tobytes() for variable in model.weights] == before
