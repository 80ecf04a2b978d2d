"""Readers of data sets: what they read, and what they say of files that are wrong."""

import dataclasses
import gzip
import os
import re
import sys

import numpy as np
import pytest
from PIL import Image

from keras_resnet import learning
from training.data import cifar, find, idx, made_up
from training.data.dataset import split
from training.data.pictures import Pictures
from training.data.prepared import Targets
from training.recipe import Augmentation, Data, Recipe

RANDOM = np.random.default_rng(0)
GREY = Data("mine", classes=3, size=6, channels=1, mean=(0.0,), deviation=(255.0,))
COLOUR = Data("mine", classes=2, size=8, channels=3, mean=(0.0,) * 3, deviation=(255.0,) * 3)


def recipe(data: Data = GREY, **settings) -> Recipe:
    return Recipe("mine", data=data, augmentation=Augmentation(), **settings)


def idx_bytes(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + b"".join(int(one).to_bytes(4, "big") for one in array.shape) + array.tobytes()


@pytest.fixture
def idx_folder(tmp_path):
    images, labels = RANDOM.integers(0, 256, (12, 6, 6), "uint8"), (np.arange(12) % 3).astype("uint8")
    for name, array in zip(idx.FILES.values(), (images, labels, images[:3], labels[:3])):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(array)))
    return tmp_path, images, labels


def test_idx(idx_folder):
    folder, images, labels = idx_folder
    plain = idx.FILES["test_labels"]
    (folder / plain).write_bytes(gzip.decompress((folder / f"{plain}.gz").read_bytes()))
    (folder / f"{plain}.gz").unlink()
    found = find.dataset(recipe(), str(folder))
    np.testing.assert_array_equal(found.train.images[..., 0], images)
    np.testing.assert_array_equal(found.train.labels, labels)
    assert found.test.images.shape == (3, 6, 6, 1)
    assert found.test.labels.tolist() == [0, 1, 2]


def test_names_of_classes_are_those_of_the_set(idx_folder):
    folder, _, _ = idx_folder
    of_fashion = Data("fashion_mnist", classes=20)  # and this folder is another set
    assert find.dataset(Recipe("mine", data=of_fashion), str(folder)).names == [str(number) for number in range(20)]
    labels = np.resize(find.FASHION_LABELS, 60_000)
    assert find._names({"train_labels": labels}) == find.FASHION_NAMES
    assert find._names({"train_labels": labels[::-1]}) is None


def test_idx_that_is_wrong(idx_folder):
    folder, _, _ = idx_folder
    place = folder / f"{idx.FILES['train_images']}.gz"
    whole = place.read_bytes()
    for other, said in {
        whole[:-30]: "cannot be read",
        gzip.compress(gzip.decompress(whole)[:-1]): "has 431",
        whole[:100] + bytes(60) + whole[160:]: "cannot be read",
        gzip.compress(b"\0\0\x0d\1"): "no IDX file of bytes",
        b"": "no IDX file of bytes",
    }.items():
        place.write_bytes(other)
        with pytest.raises(ValueError, match=said):
            find.dataset(recipe(), str(folder))
    place.unlink()
    with pytest.raises(ValueError, match="lacks train-images-idx3-ubyte"):
        find.dataset(recipe(), str(folder))


def test_cifar(tmp_path):
    for number, name in enumerate(cifar.FILES[10][0] + cifar.FILES[10][1]):
        records = RANDOM.integers(0, 256, (2, 3073), "uint8")
        records[:, 0] = (number % 2, 1)
        records[0, 1:1025], records[0, 2049:] = 7, 9  # red and blue
        records.tofile(tmp_path / name)
    found = find.dataset(recipe(COLOUR), str(tmp_path))
    assert found.train.images.shape == (10, 32, 32, 3)
    assert found.train.labels.tolist() == [0, 1, 1, 1] * 2 + [0, 1]
    assert (found.train.images[0, ..., 0] == 7).all()
    assert (found.train.images[0, ..., 2] == 9).all()
    (tmp_path / "test_batch.bin").write_bytes(b"abc")
    with pytest.raises(ValueError, match="no whole number of records"):
        find.dataset(recipe(COLOUR), str(tmp_path))
    (tmp_path / "test_batch.bin").unlink()
    with pytest.raises(ValueError, match=r"lacks test_batch\.bin"):
        find.dataset(recipe(COLOUR), str(tmp_path))


def test_fine_labels_of_cifar100(tmp_path):
    for name in ("train.bin", "test.bin"):
        records = np.zeros((2, 3074), "uint8")
        records[:, :2] = [[9, 0], [9, 1]]
        records.tofile(tmp_path / name)
    assert cifar.folder(tmp_path)["train_labels"].tolist() == [0, 1]


def test_arrays_of_numpy(tmp_path):
    images, labels = RANDOM.integers(0, 256, (30, 6, 6, 1), "uint8"), np.arange(30) % 3
    whole = {"train_images": images, "train_labels": labels}
    path = tmp_path / "mine.npz"

    def load(**other):
        np.savez(path, **{**whole, **other})
        return find.dataset(recipe(), str(path))

    found = load()  # a tenth of each class is held back
    assert np.bincount(found.test.labels).tolist() == [1, 1, 1]
    assert np.bincount(found.train.labels).tolist() == [9, 9, 9]
    assert len(load(test_images=images[:4], test_labels=labels[:4]).train.labels) == 30
    for other, said in [
        ({"train_labels": labels + 1}, "labels from 1 to 3"),
        ({"train_labels": labels - 1}, "labels from -1 to 1"),
        ({"train_labels": labels / 2}, "whole"),
        ({"train_labels": labels * 0}, "one class alone"),
        ({"train_labels": labels[:-1]}, "as many labels as pictures"),
        ({"train_images": images[..., 0].astype("float32")}, "in uint8"),
        ({"train_images": np.repeat(images, 3, -1)}, "has pictures of 3 channels; the recipe is for 1"),
        ({"train_images": images[:0], "train_labels": labels[:0]}, "and some"),
    ]:
        with pytest.raises(ValueError, match=said):
            load(**other)
    np.savez(path, pictures=images)
    with pytest.raises(ValueError, match="lacks train_images, train_labels"):
        find.dataset(recipe(), str(path))
    np.savez(path, train_images=images, train_labels=labels, test_images=images)
    with pytest.raises(ValueError, match="has test_images, and no test_labels to them"):
        find.dataset(recipe(), str(path))
    np.savez(path, train_images=images, train_labels=labels, test_labels=labels)
    with pytest.raises(ValueError, match="has test_labels, and no test_images to them"):
        find.dataset(recipe(), str(path))
    np.savez(path, train_images=images, train_labels=labels * 0)
    assert len(np.unique(find.dataset(recipe(task="diffusion"), str(path)).train.labels)) == 1
    np.savez_compressed(path, train_images=images, train_labels=labels)
    torn, encrypted = bytearray(path.read_bytes()), bytearray(path.read_bytes())
    torn[200:240] = bytes(40)
    for entry in re.finditer(b"PK\x01\x02", encrypted):
        encrypted[entry.start() + 8] |= 1
    for content in (torn, encrypted):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="cannot be read as arrays of NumPy"):
            find.dataset(recipe(), str(path))
    path.write_bytes(b"PK\3\4 torn")
    with pytest.raises(ValueError, match="cannot be read as arrays of NumPy"):
        find.dataset(recipe(), str(path))


@pytest.fixture
def pictures(tmp_path):
    """Two classes, red and blue, of eight pictures each; two of red cannot be read."""
    for name, colour in (("blue", (0, 0, 255)), ("red", (255, 0, 0))):
        (tmp_path / name).mkdir()
        for number in range(8):
            Image.new("RGB", (20 + number, 12), colour).save(tmp_path / name / f"{number}.png")
    whole = (tmp_path / "red" / "3.png").read_bytes()
    (tmp_path / "red" / "3.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "red" / "7.png").write_bytes(b"")  # behind it comes a blue one
    return tmp_path


def test_a_class_whose_name_is_no_text(pictures):
    (pictures / "red").rename(pictures / os.fsdecode(b"r\xff$\\frac$"))
    found = find.dataset(recipe(COLOUR), str(pictures))
    assert found.names == ["blue", r"r\xff$\frac$"]
    assert len(found.train.labels) + len(found.test.labels) == 16


def test_a_folder_of_pictures(pictures):
    found = find.dataset(recipe(COLOUR), str(pictures))
    assert found.names == ["blue", "red"]
    assert len(found.train.labels) + len(found.test.labels) == 16
    indices = np.arange(len(found.train.labels))
    images = found.train.images[indices]
    targets = Targets(found.train.labels, 2, images=found.train.images)[indices]
    assert (images.shape, images.dtype) == ((len(indices), 8, 8, 3), np.uint8)
    # The label is that of the picture that came, where another one stood in.
    np.testing.assert_array_equal(targets.argmax(-1), images[:, 4, 4, 0] > 128)
    unread = {**found.train.images.unread, **found.test.images.unread}
    assert sorted(path[-9:] for path in unread) == ["red/3.png", "red/7.png"]


def test_a_damaged_picture_may_end_the_run(pictures):
    with pytest.raises(ValueError, match="--stop-at-damaged"):
        Pictures(sorted(map(str, pictures.rglob("*.png"))), 8, stop=True)[np.arange(16)]


def test_nothing_damaged_is_tested_on(pictures):
    for name in ("blue", "red"):
        (pictures / "train" / name).mkdir(parents=True)
        for path in (pictures / name).iterdir():
            (pictures / "train" / name / path.name).write_bytes(path.read_bytes())
    for name in ("blue", "red"):
        (pictures / "val").mkdir(exist_ok=True)
        (pictures / name).rename(pictures / "val" / name)
    found = find.dataset(recipe(COLOUR), str(pictures))
    assert len(found.train.labels) == 16
    assert found.test.labels.tolist() == [0] * 8 + [1] * 6
    np.testing.assert_array_equal(found.test.images[np.arange(14)][:, 4, 4, 0] > 128, found.test.labels == 1)


def test_folders_that_do_not_fit(pictures, tmp_path_factory):
    with pytest.raises(ValueError, match=r"holds 2 classes; the recipe is for 10. Set data.classes=2"):
        find.dataset(recipe(Data(classes=10)), str(pictures))
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(ValueError, match="is an empty folder"):
        find.dataset(recipe(COLOUR), str(empty))
    (empty / "one").mkdir()
    with pytest.raises(ValueError, match="2 classes or more; it has 1"):
        find.dataset(recipe(COLOUR), str(empty))
    (empty / "other").mkdir()
    with pytest.raises(ValueError, match=r"The class 'one' .* needs 2 pictures"):
        find.dataset(recipe(COLOUR), str(empty))
    with pytest.raises(ValueError, match=r"is no folder, no .npz file and no name"):
        find.dataset(recipe(COLOUR), str(empty / "none"))


def test_a_picture_a_class_is_enough_where_others_are_tested_on(tmp_path):
    for place in ("train/a", "train/b", "val/a", "val/b"):
        (tmp_path / place).mkdir(parents=True)
        Image.new("RGB", (20, 20)).save(tmp_path / place / "0.png")
    found = find.dataset(recipe(COLOUR), str(tmp_path))
    assert (len(found.train.labels), len(found.test.labels)) == (2, 2)
    with pytest.raises(ValueError, match=r"The class 'a' .* needs 2 pictures or more. It has 1"):
        find.dataset(recipe(COLOUR), str(tmp_path / "train"))
    for place in ("train/b", "val/b"):
        (tmp_path / place / "0.png").unlink()
        (tmp_path / place).rmdir()
    noise = recipe(dataclasses.replace(COLOUR, classes=1), task="diffusion")
    assert len(find.dataset(noise, str(tmp_path)).train.labels) == 1


def test_a_place_is_the_same_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find.placed("tfds_folder:mine") == f"tfds_folder:{tmp_path / 'mine'}"
    assert find.placed("mine/../other") == str(tmp_path / "other")
    assert [find.placed(name) for name in (None, "digits", "tfds:mnist", "made_up")] == [None, "digits", "tfds:mnist", "made_up"]


def test_random_parts(tmp_path):
    ramp = np.broadcast_to(np.arange(64, dtype="uint8") * 4, (48, 64))
    Image.fromarray(np.repeat(ramp[..., None], 3, -1)).save(tmp_path / "ramp.png")
    paths = [str(tmp_path / "ramp.png")] * 2

    def part(epoch=0, seed=1, indices=(0,)):
        images = Pictures(paths, 16, seed=seed, area=(0.2, 0.9), flip=True)
        images.go_to(epoch)
        return images[np.array(indices)]

    np.testing.assert_array_equal(part(), part())
    assert (part() != part(epoch=1)).any()
    assert (part() != part(seed=2)).any()
    both = part(indices=(0, 1))
    assert (both[0] != both[1]).any()
    middle = Pictures(paths, 16, keep=0.5)[np.array([0])][0]
    # 24 of 64 columns around the middle, whose value is 126.
    assert middle[8, 0, 0] == pytest.approx(126 - 4 * 11.25, abs=3)
    assert middle[8, -1, 0] == pytest.approx(126 + 4 * 11.25, abs=3)


def test_interpolation(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 48, 3), "uint8")).save(tmp_path / "noise.png")
    paths = [str(tmp_path / "noise.png")] * 40

    def parts(kind):
        return Pictures(paths, 16, seed=1, area=(0.2, 0.9), flip=True, interpolation=kind)[np.arange(40)]

    bilinear, bicubic, drawn = map(parts, ("bilinear", "bicubic", "random"))
    is_bilinear, is_bicubic = ((drawn == one).all(axis=(1, 2, 3)) for one in (bilinear, bicubic))
    assert (is_bilinear != is_bicubic).all()  # of the same part of the picture
    assert 10 < is_bicubic.sum() < 30
    np.testing.assert_array_equal(drawn, parts("random"))
    with Image.open(paths[0]) as picture:
        for kind, value in (("bilinear", Image.Resampling.BILINEAR), ("bicubic", Image.Resampling.BICUBIC)):
            middles = Pictures(paths, 16, interpolation=kind)
            expected = np.asarray(picture.resize((16, 16), value, (4, 0, 44, 40)))
            np.testing.assert_array_equal(middles[np.array([0])][0], expected)
            np.testing.assert_array_equal(middles.part(np.array([3, 5]))[np.array([1])][0], expected)


def test_interpolation_of_a_folder(pictures):
    data = dataclasses.replace(COLOUR, interpolation="random", test_interpolation="bicubic")
    found = find.dataset(recipe(data), str(pictures))
    assert (found.train.images.interpolation, found.test.images.interpolation) == ("random", "bicubic")


def test_each_repeat_of_a_picture_is_another_part_in_whichever_batch_it_comes(tmp_path):
    paths = [str(tmp_path / f"{number}.png") for number in range(6)]
    for number, path in enumerate(paths):
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (40, 48, 3), "uint8")).save(path)
    images = Pictures(paths, 8, seed=1, area=(0.2, 0.9))
    for size, parts in ((3, 1), (2, 1), (6, 2)):
        read = [
            learning.Batches(images, np.arange(6), (), size, 3, part=(i, parts)).read(j) for j in range(6 // size) for i in range(parts)
        ]
        labels, found = (np.concatenate(one) for one in list(zip(*read))[1::-1])
        assert np.bincount(labels).max() == 3
        assert len(np.unique(found.reshape(6, -1), axis=0)) == 6


def test_digits():
    told = find.told(Recipe("mine", augmentation=Augmentation(pad=4)), "digits")
    assert (told.data.size, told.augmentation.pad) == (8, 1)
    found = find.dataset(told, "digits")
    assert (len(found.train.labels) + len(found.test.labels), found.train.images.max()) == (1797, 255)
    assert find.told(Recipe("mine"), "somewhere") == Recipe("mine")
    big = Recipe("mine", data=Data(size=128, channels=3, mean=(127.5,) * 3, deviation=(127.5,) * 3), augmentation=Augmentation((0.6, 0.6)))
    told = find.told(big, "digits").data
    assert (told.size, told.test_size, told.channels, told.mean) == (128, 128, 1, (127.5,))


def test_tfds_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    for where in ("tfds", "tfds:mnist", None):
        with pytest.raises(ValueError, match="pip install tensorflow-datasets"):
            find.dataset(recipe(), where)


def test_the_same_is_held_back_each_time():
    labels = np.array([0] * 10 + [1] * 2)
    kept, back = split(labels, 0.25)
    assert (np.bincount(labels[back]).tolist(), sorted([*kept, *back])) == ([2, 1], list(range(12)))
    np.testing.assert_array_equal(back, split(labels, 0.25)[1])


def test_what_is_made_up_can_be_learnt():
    found = find.dataset(recipe(), "made_up")
    assert found.train.images.shape == (32, 6, 6, 1)
    assert made_up.masks(GREY)["train_labels"][0].max() <= 2
