"""What is done to batches on the device."""

import numpy as np

from keras_resnet.learning import Batches
from tests.arrays import as_numpy
from tests.quick import quick_on_torch
from training.data.prepared import Prepared, Targets, changes
from training.recipe import Augmentation, Data, Loss, Recipe
from training.recipes import recipe

DATA = Data(classes=4, size=6, channels=3, mean=(10.0, 20.0, 30.0), deviation=(2.0, 4.0, 8.0))


def kinds(recipe: Recipe, on_device: bool = True) -> list[str]:
    return [type(one).__name__ for one in changes(recipe, on_device)]


def test_normalized():
    images = np.random.default_rng(0).integers(0, 256, (2, 6, 6, 3), "uint8")
    layer = Prepared.from_config(Prepared(6, DATA.mean, DATA.deviation).get_config())
    expected = (images - np.array(DATA.mean)) / np.array(DATA.deviation)
    for training in (True, False):
        np.testing.assert_allclose(as_numpy(layer(images, training=training)), expected, rtol=1e-6)
    assert layer.compute_output_shape((2, 9, 9, 3)) == as_numpy(layer(np.zeros((2, 9, 9, 3), "uint8"))).shape == (2, 6, 6, 3)


def test_padding_is_the_mean():
    images = np.full((8, 6, 6, 3), 200, "uint8")
    batches = Batches(images, np.zeros(8), changes(Recipe("mine", data=DATA, augmentation=Augmentation(pad=3)), True), 8)
    values = np.unique(as_numpy(batches[0][0])[..., 0])
    np.testing.assert_allclose(values, [0, 95])


def test_padding_by_reflection():
    images = np.arange(6, dtype="uint8")[None, None, :, None] * np.ones((8, 6, 1, 3), "uint8")
    augmentation = Augmentation(pad=3, pad_mode="reflect", flip=False)
    batches = Batches(images, np.zeros(8), changes(Recipe("mine", data=DATA, augmentation=augmentation), True), 8)
    steps = np.abs(np.diff(as_numpy(batches[0][0])[..., 0], axis=2))
    np.testing.assert_allclose(steps, 0.5)  # each pixel's neighbour is one more or one less


def test_strengths_of_operations():
    wanted = Augmentation(rand_magnitude=10, rand_increasing=False)
    assert [one.increasing for one in changes(Recipe("mine", data=DATA, augmentation=wanted), False)[:1]] == [False]
    black = np.full((64, 6, 6, 3), 200, "uint8")
    layer = changes(recipe("imagenet_resnetrs50"), False)[0]
    assert [layer.translate * 160, layer.cutout * 160] == [100, 40]  # pixels
    found = as_numpy(layer.change(black, layer.draws_of(0)))
    assert (found.max(axis=(1, 2, 3)) > 0).mean() > 0.9  # posterized to four bits, not to none


def test_which_and_in_which_order():
    everything = Augmentation((0.2, 1.0), rand_magnitude=7, pad=1, erasing=0.5, mixup=0.2)
    order = ["RandomResizedCrop", "RandAugment", "Prepared", "PadAndCrop", "RandomErasing", "Mix"]
    assert kinds(Recipe("mine", data=DATA, augmentation=everything)) == order
    assert kinds(Recipe("mine", data=DATA, augmentation=everything), False) == order[1:]  # cropped while it was decoded
    assert kinds(Recipe("mine", data=DATA, augmentation=Augmentation(trivial=True))) == ["RandomResizedCrop", "TrivialAugment", "Prepared"]
    assert kinds(Recipe("mine", data=DATA)) == ["RandomResizedCrop", "Prepared"]  # a flip alone
    assert kinds(Recipe("mine", data=DATA, augmentation=Augmentation(flip=False))) == ["Prepared"]
    found = changes(Recipe("mine", data=DATA, loss=Loss(smoothing=0.1), augmentation=everything), True)
    assert (found[-1].smoothing, found[-1].mixup, found[-1].cutmix) == (0.1, 0.2, 0.0)
    assert (found[0].flip, found[3].flip) == (True, False)  # mirrored once


@quick_on_torch
def test_a_flip_alone_changes_no_value():
    images = np.random.default_rng(0).integers(0, 256, (8, 6, 6, 3), "uint8")
    [flip, _] = changes(Recipe("mine", data=DATA), True)
    found = as_numpy(flip.change(images, flip.draws_of(0)))
    same, mirrored = ((found == other).all(axis=(1, 2, 3)) for other in (images, images[:, :, ::-1]))
    assert same.any()
    assert mirrored.any()
    assert (same | mirrored).all()


def test_targets():
    found = Targets(np.array([2, 0, 1]), 4, smoothing=0.2)[np.array([0, 2])]
    np.testing.assert_allclose(found, [[0.05, 0.05, 0.85, 0.05], [0.05, 0.85, 0.05, 0.05]])
