"""Pictures in one folder a class: each is found or named, split once, and changed only to learn from."""

import shutil
import zlib

import numpy as np
import pytest
from PIL import Image

import keras_resnet
from applications import labelled_pictures


def test_the_split_is_stratified_and_fixed(pictures):
    found, unread = labelled_pictures.find(pictures)
    assert len(unread) == 1
    learnt, held = labelled_pictures.split(found, 0.25, 3)
    assert np.bincount(held.labels).tolist() == [6, 6, 6, 6]
    assert sorted([*learnt.paths, *held.paths]) == sorted(found.paths)
    assert labelled_pictures.split(found, 0.25, 3)[1].paths == held.paths
    assert labelled_pictures.split(found, 0.25, 4)[1].paths != held.paths
    few = labelled_pictures.Labelled(list("abcd"), np.array([0, 0, 1, 1]), ["a", "b"])
    assert np.bincount(labelled_pictures.split(few, 0.9, 0)[1].labels).tolist() == [1, 1]


def test_batches_change_pictures_only_to_learn_from(pictures):
    found, _ = labelled_pictures.find(pictures)
    prepare = keras_resnet.preprocessing("resnet18", size=32)
    plain = labelled_pictures.Batches(found, prepare, 10, (32, 32))
    assert len(plain) == 10
    images, labels = plain[9]
    assert images.shape == (6, 32, 32, 3)
    assert labels.tolist() == found.labels[90:].tolist()
    assert (plain[0][0] == plain[0][0]).all()
    train = labelled_pictures.Batches(found, keras_resnet.preprocessing("resnet18", size=37), 10, (32, 32), seed=0)
    seen = [train[i][1] for i in range(len(train))]
    assert len(train) == 9
    assert train[0][0].shape == (10, 32, 32, 3)
    assert (train[0][0] != train[0][0]).any()
    train.on_epoch_end()
    assert [train[i][1].tolist() for i in range(len(train))] != [one.tolist() for one in seen]


def png(width: int, height: int) -> bytes:
    """A picture that says it has this size and holds nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_a_bomb_is_left_out(pictures, tmp_path):
    shutil.copytree(pictures, tmp_path / "pictures")
    (tmp_path / "pictures" / "cup" / "bomb.png").write_bytes(png(100_000, 100_000))
    _, unread = labelled_pictures.find(tmp_path / "pictures")
    assert sum("bomb.png" in line and "pixels" in line for line in unread) == 1
    assert all("\n" not in line for line in unread)


def test_a_set_of_tfds(pictures, tmp_path, monkeypatch):
    tfds = pytest.importorskip("tensorflow_datasets")

    class FinetunePhotographs(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = tfds.features.FeaturesDict(
                {"image": tfds.features.Image(), "label": tfds.features.ClassLabel(names=["cup", "woman"])}
            )
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, manager):
            return {"train": self._generate_examples(range(3, 6)), "test": self._generate_examples(range(6, 8))}

        def _generate_examples(self, numbers):
            for name in ("cup", "woman"):
                for number in numbers:
                    yield f"{name}{number}", {"image": str(pictures / name / f"{number:02d}.png"), "label": name}

    builder = FinetunePhotographs(data_dir=tmp_path / "data")
    builder.download_and_prepare()
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "pictures").mkdir()
    found, unread = labelled_pictures.find(labelled_pictures.from_tfds("finetune_photographs", tmp_path / "pictures"))
    assert unread == []
    assert found.classes == ["cup", "woman"]
    assert np.bincount(found.labels).tolist() == [5, 5]
    theirs = {np.asarray(Image.open(path)).tobytes() for path in found.paths}
    assert {np.asarray(Image.open(pictures / name / f"{i:02d}.png")).tobytes() for name in found.classes for i in range(3, 8)} == theirs
    (tmp_path / "none").mkdir()
    with pytest.raises(SystemExit, match=r"^error: tfds:there_is_none cannot be read"):
        labelled_pictures.from_tfds("there_is_none", tmp_path / "none")
