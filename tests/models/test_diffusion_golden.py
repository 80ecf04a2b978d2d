"""Diffusion U-Nets beside diffusers' `UNet2DModel`: the same numbers in, the same out."""

import keras
import numpy as np
import pytest

from keras_resnet.models import diffusion_unet
from tests import tolerances
from tests.arrays import as_numpy
from tests.golden import seeded, seeded_diffusion


@pytest.mark.parametrize("name", seeded_diffusion.CASES)
def test_golden(name):
    case = seeded_diffusion.CASES[name]
    levels = len(case.ours["multipliers"])
    with np.load(seeded.FOLDER / f"{name}.npz", allow_pickle=False) as golden:
        lines = [line.split() for line in str(golden["tensors"]).splitlines()]
        expected = golden["output"]
    model = diffusion_unet(input_shape=(*seeded_diffusion.SIZE, 3), **case.ours)
    used: dict = {}
    for variable in model.trainable_variables:
        values, shapes = seeded_diffusion.value(variable.path, tuple(variable.shape), levels)
        variable.assign(values)
        assert not used.keys() & shapes.keys()
        used |= shapes
    assert used == {key: tuple(map(int, shape)) for key, *shape in lines}
    inputs = [seeded_diffusion.images(), np.array(seeded_diffusion.TIMESTEPS, "int32"), np.array(seeded_diffusion.LABELS, "int32")]
    output = model.predict_on_batch(inputs[: len(model.inputs)])
    assert tolerances.difference(as_numpy(keras.ops.convert_to_tensor(output)), expected) < tolerances.GOLDEN
