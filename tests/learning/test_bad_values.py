"""Values that an argument cannot have: one clear error that names it, when it is passed."""

import math

import keras
import numpy as np
import pytest

from keras_resnet import learning
from tests.arrays import as_numpy
from tests.quick import quick_on_torch

IMAGES, LABELS, MASKS = np.zeros((8, 8, 8, 3), "uint8"), np.arange(8) % 3, np.zeros((8, 8, 8), "uint8")


def network() -> keras.Model:
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])


def layerwise(**settings) -> keras.optimizers.Optimizer:
    return learning.LayerwiseOptimizer(**{"optimizer": "sgd", "factors": {"stem": 0.1}, **settings})


OF_OPTIMIZERS = {
    "learning_rate": [None, math.nan, math.inf, -0.5, -1, "x", [], True],
    "clipnorm": [math.nan, math.inf, -1, "x", [], True],
    "clipvalue": [math.nan, -1, {}],
    "global_clipnorm": [math.nan, -0.5, []],
    "use_ema": [None, 1, "x"],
    "ema_momentum": [None, math.nan, -0.5, 1.5, "x"],
    "ema_overwrite_frequency": [-1, 1.5, math.nan, "x", True],
    "loss_scale_factor": [0, -1, math.inf, "x", []],
    "gradient_accumulation_steps": [0, -1, math.inf, "x", []],
    "undecayed": [None, 1.5, "kernel", [1]],
}
WRONG = {
    learning.SGD: {**OF_OPTIMIZERS, "momentum": [None, math.nan, math.inf, -1, 1.0], "weight_decay": [None, math.nan, -1]},
    learning.Lamb: {**OF_OPTIMIZERS, "beta_1": [1.0, math.nan], "epsilon": [-1, math.inf]},
    layerwise: {"optimizer": [None, {}, 3], "factors": [None, 3, [], "x", {"stem": math.nan}], "undecayed": ["x", 3]},
    learning.WarmUp: {"after": [None, math.nan, -1, "x"], "steps": [0, 1.5], "start": [-1, math.inf], "hold": [None, 1]},
    learning.AveragedWeights: {"momentum": [None, -0.5, 1.0, math.nan], "every": [0, 1.5], "warm_up": [1], "validate": [None]},
    learning.Batches: {"images": [None, 3, "x"], "labels": [None, 3], "augment": [None, [3]]},
    learning.Pairs: {"ignore_label": [None, 1.5, "x", True]},
    learning.Checkpoint: {"monitor": [3, "", [], True], "parts": [3, "x", [], {"sampler": 3}, {3: 3}]},
    learning.save_checkpoint: {"model": [None, "x"], "parts": [3, {"a": 1}], "logs": [3, "x"], "epoch": [-1, 1.5, None]},
    learning.restore_checkpoint: {"model": [None, 3], "parts": [3, {"a": 1}]},
    learning.PadAndCrop: {"padding": [0, 1.5, None], "fill": [None, math.nan, "x", []], "mode": [None, "edge"]},
    learning.RandAugment: {"fill": [-1, 256, 10**12, None]},
    learning.TrivialAugment: {"fill": [-1, 256, 10**12, None]},
    learning.Sampler: {"seed": [-1, None, 0.5, True]},
    learning.mix_up: {"alpha": [0, -1, math.nan, "x"], "ignore_label": [None, 1.5, "x"]},
    learning.distribute: {"kind": [[], {}, None, "x"]},
}


def needed(kind, folder) -> dict:
    """Arguments without which it cannot be called."""
    return {
        learning.WarmUp: dict(after=0.1, steps=3),
        learning.Batches: dict(images=IMAGES, labels=LABELS),
        learning.Pairs: dict(images=IMAGES, masks=MASKS),
        learning.Checkpoint: dict(folder=folder),
        learning.save_checkpoint: dict(folder=folder, model=network()),
        learning.restore_checkpoint: dict(folder=folder, model=network()),
        learning.Sampler: dict(count=4, batch_size=2),
        learning.mix_up: dict(images=IMAGES, masks=MASKS, classes=3),
    }.get(kind, {})


@quick_on_torch
@pytest.mark.parametrize("kind", WRONG, ids=lambda kind: kind.__name__)
def test_wrong_values(kind, tmp_path):
    for name, values in WRONG[kind].items():
        for value in values:
            with pytest.raises(ValueError, match=rf"`{name}.*Received: "):
                kind(**{**needed(kind, tmp_path), name: value})
    assert not list(tmp_path.iterdir())


@quick_on_torch
def test_what_they_can_have():
    assert as_numpy(learning.SGD(1).learning_rate) == 1.0
    assert as_numpy(learning.SGD(np.float32(0.5)).learning_rate) == 0.5
    learning.Lamb(lambda: 0.1, clipnorm=1, ema_overwrite_frequency=3, gradient_accumulation_steps=2)
    order = learning.Sampler(4, 2, repeats=10**12, seed=1).order(0)
    assert (order == order[0]).all()


@quick_on_torch
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (dict(padding=10**12), "`padding` must be at most 8 for pictures of 8 x 8"),
        (dict(fill=-1.0), "`fill` must be from 0 to 255 for pictures in uint8"),
    ],
)
def test_pictures_that_cannot_be_padded_so(settings, said):
    with pytest.raises(ValueError, match=said):
        learning.PadAndCrop(**settings)(IMAGES, training=True)


@quick_on_torch
@pytest.mark.parametrize("place", [-1, 0.0, 1.5, None, True, "x"])
def test_epochs_that_there_are_not(place):
    for data in (learning.Sampler(4, 2), learning.Batches(IMAGES, LABELS), learning.Pairs(IMAGES, MASKS)):
        with pytest.raises(ValueError, match=r"`epoch` must be an integer from 0\. Received: epoch="):
            data.go_to(place)
