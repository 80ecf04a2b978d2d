"""Norms of a single number a channel: what DeepLab makes of one image, and what instance normalization says of maps of one pixel."""

import keras
import numpy as np
import pytest

from keras_resnet import layers, models
from tests.arrays import as_numpy, normal
from tests.check_layer import run


def test_a_batch_of_one_image_leaves_the_statistics_of_the_whole():
    """And is normalized by them; also where a data set does not know how many images its batches hold."""
    image = keras.Input((None, None, 3))
    pyramid = layers.AtrousPyramid(4, (1,), dropout=0.0, norm_momentum=0.5)
    model = keras.Model(image, pyramid(image))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x, y = normal(3, 5, 6, 3), normal(3, 5, 6, 4) + 3
    whole = [pyramid.norm_whole.moving_mean, pyramid.norm_whole.moving_variance]
    watched = [*whole, pyramid.norm_near.moving_variance]
    seen = [[as_numpy(variable).copy() for variable in watched]]
    for part in (slice(0, 2), slice(2, 3)):
        model.fit(x[part], y[part], batch_size=2, verbose=0)
        seen.append([as_numpy(variable).copy() for variable in watched])
    start, two, one = seen
    assert all((before != after).all() for before, after in zip(start, two, strict=True))
    assert all((before == after).all() for before, after in zip(two[:2], one[:2], strict=True))
    assert (two[2] != one[2]).all()
    mean = keras.ops.ones((1, 3, 1, 1) if pyramid.inner_channel_axis == 1 else (1, 1, 1, 3))
    alone, inferred = (as_numpy(pyramid._seen_whole(mean, training)) for training in (True, False))
    assert (alone == inferred).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.ConvStack((4, 4), pool=2, norm="instance"),
        lambda: layers.ClimbingConvs(4, norm="instance"),
        lambda: layers.BasicBlock(4, strides=2, norm="instance", remat=True),
        lambda: layers.BasicBlock(4, strides=2, norm="instance"),
    ],
)
def test_instance_normalization_of_one_pixel(make):
    """An error in training, from which nothing could be learned; in inference what it is: beta."""
    layer = make()
    climbs = isinstance(layer, layers.ClimbingConvs)
    x = keras.ops.convert_to_tensor(normal(1, *((1, 1) if climbs else (2, 2)), 3))
    inputs = [x] if climbs else x
    assert np.isfinite(as_numpy(layer(inputs))).all()
    with pytest.raises(ValueError, match=r"map of one pixel leaves nothing .*norm='group'"):
        layer(inputs, training=True)


def test_a_network_trained_with_larger_images_takes_any():
    model = models.plain_unet((4, 6, 8), norm="instance", input_shape=(None, None, 3))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert run(model, normal(1, 3, 4, 3)).shape == (1, 3, 4, 2)
    with pytest.raises(ValueError, match="'down3'"):
        model.fit(normal(2, 3, 4, 3), np.zeros((2, 3, 4), int), verbose=0)
