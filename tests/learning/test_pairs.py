"""Pictures with masks as batches: from memory and from files, the same whoever loads them, and the pair named that is wrong."""

import functools

import keras
import numpy as np
import pytest
from PIL import Image

from keras_resnet.learning.mask_mixing import cut_mix, mix_up
from keras_resnet.learning.pair_augmentation import PairAugmentation
from keras_resnet.learning.pairs import Pairs
from tests.arrays import as_numpy, normal


def data(n: int = 5, height: int = 16, width: int = 12):
    images = (128 + 40 * normal(n, height, width, 3)).clip(0, 255).astype("uint8")
    return images, (images[..., 0] > 128).astype("uint8") + (images[..., 0] > 160)


@pytest.fixture
def files(tmp_path):
    """Pictures and masks as files: red, green and blue; grey; a palette; black and white."""
    images, masks = data()
    paths = []
    for i, (image, mask) in enumerate(zip(images, masks)):
        paths.append((tmp_path / f"image{i}.png", tmp_path / f"mask{i}.png"))
        Image.fromarray(image).save(paths[-1][0])
        picture = Image.fromarray(mask)
        if i % 2:
            picture.putpalette([7, 7, 7, 200, 0, 0, 0, 200, 0])
        picture.save(paths[-1][1])
    return [list(one) for one in zip(*paths)]


def everything(pairs):
    batches = [pairs[i] for i in range(len(pairs))]
    return [np.concatenate(one) for one in zip(*batches)]


def test_batches_hold_each_pair_once():
    images, masks = data()
    pairs = Pairs(images, masks, batch_size=2, shuffle=False)
    assert len(pairs) == 3
    assert [len(pairs[i][0]) for i in range(3)] == [2, 2, 1]
    assert all(np.array_equal(one, other) for one, other in zip(everything(pairs), (images, masks)))
    shuffled = Pairs(list(images), list(masks), batch_size=2, repeats=3)
    new, new_masks = everything(shuffled)
    assert len(new) == 15
    places = [int(np.flatnonzero((images == one).all(axis=(1, 2, 3)))[0]) for one in new]
    assert np.bincount(places).tolist() == [3] * 5
    assert np.array_equal(new_masks, masks[places])
    shuffled.go_to(1)
    assert not np.array_equal(everything(shuffled)[0], new)
    with pytest.raises(IndexError):
        pairs[3]


def test_files_are_read_as_arrays_are(files):
    images, masks = data()
    from_files = everything(Pairs(*files, shuffle=False))
    assert all(np.array_equal(one, other) for one, other in zip(from_files, (images, masks)))
    assert [one.dtype for one in from_files] == ["uint8", "uint8"]
    assert np.array_equal(everything(Pairs(list(map(str, files[0])), masks, shuffle=False))[0], images)


def test_kinds_of_files(tmp_path):
    grey, deep, bits = data(1)[0][0, ..., 0], np.arange(192, dtype="uint16").reshape(16, 12) * 300, data(1)[1][0] > 0
    for name, picture in {"grey": grey, "deep": deep, "bits": bits}.items():
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    Image.fromarray(np.dstack([grey] * 4)).save(tmp_path / "alpha.png")
    for name, expected in {"grey": grey[..., None], "deep": deep[..., None].astype("int32"), "alpha": np.dstack([grey] * 3)}.items():
        image, mask = Pairs([tmp_path / f"{name}.png"], [tmp_path / "bits.png"])[0]
        assert np.array_equal(image[0], expected)
        assert image.dtype == expected.dtype
        assert np.array_equal(mask[0], bits.astype("uint8"))
        assert mask.dtype == "uint8"


def test_augmentation_depends_on_seed_epoch_and_pair_alone():
    images, masks = data()
    augment = PairAugmentation(crop=8, foreground=0.5, flip=True, scale=(0.7, 1.4), noise=0.1)
    first, second = (Pairs(images, masks, augment, 2, shuffle=False, seed=1) for _ in range(2))
    expected = [augment(image, mask, seed=(1, 0, i)) for i, (image, mask) in enumerate(zip(images, masks))]
    assert np.array_equal(everything(first)[0], np.stack([image for image, _ in expected]))
    assert np.array_equal(first[2][0], second[2][0])  # in another order
    second.go_to(1)
    assert not np.array_equal(everything(first)[0], everything(second)[0])
    assert not np.array_equal(everything(first)[0], everything(Pairs(images, masks, augment, 2, shuffle=False, seed=2))[0])


def test_pictures_of_several_sizes_need_a_crop():
    pairs = [data(1, 16, 12), data(1, 20, 30)]
    images, masks = ([pair[part][0] for pair in pairs] for part in (0, 1))
    with pytest.raises(ValueError, match=r"images of a batch.*crop.*\(16, 12, 3\) of pair 0, \(20, 30, 3\) of pair 1"):
        Pairs(images, masks, shuffle=False)[0]
    assert Pairs(images, masks, PairAugmentation(crop=16))[0][0].shape == (2, 16, 16, 3)


@pytest.mark.parametrize("mix", [None, cut_mix, functools.partial(mix_up, classes=3, alpha=1.0)])
@pytest.mark.parametrize("workers", [1, 2])
def test_fit(mix, workers):
    images, masks = data(8)
    soft = isinstance(mix, functools.partial)
    x = image = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(x)
    model = keras.Model(image, keras.layers.Conv2D(3, 1)(x))
    # From logits: of probabilities with their channels last, Keras 3.15's sparse one has no gradient on PyTorch.
    losses = keras.losses.SparseCategoricalCrossentropy(True, ignore_class=255), keras.losses.CategoricalCrossentropy(True)
    loss = losses[soft]
    model.compile(keras.optimizers.Adam(0.05), loss)
    augment = PairAugmentation(crop=12, flip=True, scale=(0.8, 1.2), chance=1)
    training = Pairs(images, masks, augment, batch_size=4, mix=mix, repeats=5, classes=3, workers=workers)
    history = model.fit(training, epochs=4, verbose=0).history["loss"]
    assert min(history[1:]) < history[0] < 5
    assert training.epoch >= 4  # Keras went on to other augmentations, some ways of it once more for the first batch
    assert as_numpy(model(images)).shape == (8, 16, 12, 3)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (dict(images=[], masks=[]), "at least one. Received: 0 images, 0 masks"),
        (dict(masks=data(4)[1]), "5 images, 4 masks"),
        (dict(images="folder"), "list of arrays or of paths"),
        (dict(images=[3] * 5), "int as number 0"),
        (dict(batch_size=0), "batch_size"),
        (dict(repeats=1.5), "repeats"),
        (dict(shuffle=1), "shuffle"),
        (dict(augment="flip"), "augment"),
        (dict(mix=3), "mix"),
        (dict(seed=-1), "seed"),
        (dict(classes=0), "classes"),
        (dict(masks=[*data(4)[1], np.zeros((16, 13), int)]), r"image \(16, 12, 3\), mask \(16, 13\) of pair 4"),
    ],
)
def test_errors_at_once(arguments, says):
    images, masks = data()
    with pytest.raises(ValueError, match=says):
        Pairs(**dict(images=images, masks=masks) | arguments)


@pytest.mark.parametrize(
    ("masks", "says"),
    [
        (data()[1].astype("float32"), "astype.*float32 of pair 0"),
        (np.eye(3, dtype="uint8")[data()[1]], "of pair 0.*argmax"),
        (data()[1] + 2, r"from 0 to 2.*\[3, 4\] of pair 0"),
    ],
)
def test_errors_of_masks_name_the_pair(masks, says):
    with pytest.raises(ValueError, match=says):
        Pairs(data()[0], masks, shuffle=False, classes=3)[0]


def test_errors_of_files_name_them(files, tmp_path):
    images, masks = files
    wrong = tmp_path / "wrong.png"
    with pytest.raises(ValueError, match=r"file of pair 1 is no picture.*wrong\.png"):
        Pairs(images, [masks[0], wrong, *masks[2:]])
    whole = masks[1].read_bytes()
    for content in (b"", b"no picture", whole[: len(whole) // 2]):
        wrong.write_bytes(content)
        with pytest.raises(ValueError, match=r"file of pair 1 is no picture.*wrong\.png"):
            Pairs(images, [masks[0], wrong, *masks[2:]], shuffle=False)[0]
    Image.new("L", (13, 16)).save(wrong)
    with pytest.raises(ValueError, match=r"image \(16, 12\), mask \(16, 13\) of pair 1 .*image1.png.*wrong.png"):
        Pairs(images, [masks[0], wrong, *masks[2:]])
    with pytest.raises(ValueError, match=r"colours.*|of pair 0.*colours"):
        Pairs(images, images)[0]


@pytest.mark.parametrize("workers", [1, 3])
def test_an_epoch_counts_only_when_it_is_over(workers):
    """Keras takes a batch before the first one, of which it sees the shapes, and with several workers fills their queue."""
    images, masks = data(40)
    pairs, seen = Pairs(images, masks, batch_size=2, workers=workers, max_queue_size=4), []
    chain = keras.Sequential([keras.Input((16, 12, 3)), keras.layers.Conv2D(3, 1)])
    chain.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    look = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(pairs.epoch))
    chain.fit(pairs, epochs=3, shuffle=False, verbose=0, callbacks=[look])
    assert (seen, pairs.epoch) == ([0, 1, 2], 3)
