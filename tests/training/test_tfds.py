"""Sets of tensorflow-datasets: by a stand-in of its interface, and by the package itself where it is installed."""

import dataclasses
import io
import pathlib
import sys
import threading
import time
import types

import filelock
import numpy as np
import pytest
from PIL import Image

from training.data import find
from training.data.prepared import Targets
from training.recipe import Augmentation, Data, Recipe

COLOUR = Data("mine", classes=2, size=8, channels=3, mean=(0.0,) * 3, deviation=(255.0,) * 3)
RECIPE = Recipe("mine", data=COLOUR, augmentation=Augmentation())


def encoded(number: int) -> bytes:
    """Light if the number is odd, dark else, each of another size."""
    file = io.BytesIO()
    Image.new("RGB", (20, 16 + number), (200 * (number % 2) + number,) * 3).save(file, "PNG")
    return file.getvalue()


class Builder:
    """What of a builder of TFDS is used."""

    name = "mine"

    def __init__(self, shape: tuple = (None, None, 3), labels: int = 2, readable: bool = True):
        named = types.SimpleNamespace(names=["dark", "light"])
        splits = {"train": types.SimpleNamespace(num_examples=12), "validation": types.SimpleNamespace(num_examples=6)}
        self.info = types.SimpleNamespace(features={"image": types.SimpleNamespace(shape=shape), "label": named}, splits=splits)
        self.labels, self.readable, self.asked = labels, readable, []

    def as_data_source(self, part, decoders):
        if not self.readable:
            raise NotImplementedError("Random access data source for file format tfrecord is not supported")
        self.asked.append(part)
        rows = [{"image": encoded(i), "label": i % self.labels} for i in range(self.info.splits[part].num_examples)]
        if self.labels == 2 or part == "train":
            rows[3]["image"] = b"no picture"
        return rows

    def as_dataset(self, batch_size):
        images = np.stack([np.full((8, 8, 3), 200 * (i % 2), "uint8") for i in range(12)])
        return {part: {"image": images, "label": np.arange(12) % 2} for part in ("train", "validation")}


@pytest.fixture
def stand_in(monkeypatch):
    def put(builder: Builder) -> None:
        module = types.ModuleType("tensorflow_datasets")
        module.builder = lambda name: builder
        module.as_numpy = lambda one: one
        module.decode = types.SimpleNamespace(SkipDecoding=lambda: None)
        monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)

    return put


def labelled_as_they_look(found) -> None:
    images = found.train.images[np.arange(12)]
    targets = Targets(found.train.labels, 2, images=found.train.images)[np.arange(12)]
    assert images.shape == (12, 8, 8, 3)
    np.testing.assert_array_equal(targets.argmax(-1), images[:, 4, 4, 0] > 100)
    tested = found.test.images[np.arange(len(found.test.labels))]
    np.testing.assert_array_equal(found.test.labels, tested[:, 4, 4, 0] > 100)


def test_pictures_of_many_sizes_are_opened_one_by_one(stand_in):
    builder = Builder()
    stand_in(builder)
    data = dataclasses.replace(COLOUR, interpolation="bicubic", test_interpolation="bicubic")
    found = find.dataset(dataclasses.replace(RECIPE, data=data), "tfds")
    assert builder.asked == ["train", "validation"]
    assert found.train.images.interpolation == found.test.images.interpolation == "bicubic"
    labelled_as_they_look(found)
    assert len(found.test.labels) == 5  # one cannot be read
    assert found.train.images.unread.keys() == {"tfds:mine/train[3]"}
    assert found.test.images.unread.keys() == {"tfds:mine/validation[3]"}


def test_pictures_of_one_size_are_arrays(stand_in):
    stand_in(Builder((8, 8, 3)))
    found = find.dataset(RECIPE, "tfds:mine")
    assert isinstance(found.train.images, np.ndarray)
    labelled_as_they_look(found)


def test_a_set_is_prepared_by_one_process(stand_in, tmp_path, capsys, monkeypatch):
    prepared, asked = threading.Event(), []

    class Unprepared(Builder):
        def __init__(self):
            super().__init__()
            self.info.full_name, self.data_path = "mine/1.0.0", tmp_path / "mine" / "1.0.0"
            if not prepared.is_set():
                self.info.splits = {}

        def download_and_prepare(self, file_format):
            asked.append(file_format)
            prepared.set()
            self.__init__()

    stand_in(Builder())
    module = sys.modules["tensorflow_datasets"]
    monkeypatch.setattr(module, "builder", lambda name: Unprepared())
    labelled_as_they_look(find.dataset(RECIPE, "tfds"))
    assert asked == ["array_record"]
    # Another process has it in hand: this one waits, and does not do it again.
    prepared.clear()
    held = threading.Event()

    def other():
        with filelock.FileLock(tmp_path / ".mine-1.0.0.lock"):
            held.set()
            time.sleep(1.5)
            prepared.set()

    thread = threading.Thread(target=other)
    thread.start()
    assert held.wait(10)
    labelled_as_they_look(find.dataset(RECIPE, "tfds"))
    thread.join()
    assert asked == ["array_record"]
    assert "Waiting for another process that prepares 'mine'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("builder", "data", "said"),
    [
        (Builder(readable=False), COLOUR, r"without access by number.*download_and_prepare\(file_format='array_record'\)"),
        (Builder(), Data(classes=10), "holds 2 classes; the recipe is for 10"),
        (Builder((8, 8, 3)), Data(classes=10, mean=(0.0,) * 3, deviation=(1.0,) * 3), "has pictures of 3 channels"),
    ],
)
def test_what_does_not_fit(builder, data, said, stand_in):
    stand_in(builder)
    with pytest.raises(ValueError, match=said):
        find.dataset(Recipe("mine", data=data), "tfds:mine")


def test_labels_out_of_range(stand_in):
    """As those of sets without labels to test on: passed over like a damaged picture, or the end of the run."""
    stand_in(Builder(labels=3))
    images = find.dataset(RECIPE, "tfds:mine").train.images
    images[np.array([2])]
    assert images.places(np.array([2])).tolist() == [4]  # of those behind it 3 is damaged
    assert "has the label 2; those of 2 classes are from 0 to 1" in images.unread["tfds:mine/train[2]"]
    with pytest.raises(ValueError, match=r"has the label 2.*--stop-at-damaged"):
        find.dataset(RECIPE, "tfds:mine", stop=True)


@pytest.mark.filterwarnings("default")  # the package's own
def test_the_package_itself(tmp_path, monkeypatch):
    tfds = pytest.importorskip("tensorflow_datasets")

    class ManySizes(tfds.core.GeneratorBasedBuilder):
        """Twelve and six pictures."""

        VERSION = tfds.core.Version("1.0.0")
        pkg_dir_path = pathlib.Path(__file__).parent

        def _info(self):
            image, label = tfds.features.Image(shape=(None, None, 3)), tfds.features.ClassLabel(names=["dark", "light"])
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({"image": image, "label": label}))

        def _split_generators(self, _):
            return {"train": self._generate_examples(12), "validation": self._generate_examples(6)}

        def _generate_examples(self, count):
            for number in range(count):
                yield number, {"image": np.array(Image.open(io.BytesIO(encoded(number)))), "label": number % 2}

    ManySizes(data_dir=tmp_path / "sets", file_format="array_record").download_and_prepare()
    builder = tfds.builder
    monkeypatch.setattr(tfds, "builder", lambda name: builder(name, data_dir=tmp_path / "sets"))
    found = find.dataset(RECIPE, "tfds:many_sizes")
    labelled_as_they_look(found)
    assert (len(found.train.labels), len(found.test.labels), found.train.images.unread) == (12, 6, {})
    for part, count in (("train", 12), ("test", 6)):
        for number in range(count):
            place = tmp_path / "folder" / part / ("dark", "light")[number % 2] / f"{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(encoded(number))
    found = find.dataset(RECIPE, f"tfds_folder:{tmp_path / 'folder'}")
    assert found.names == ["dark", "light"]
    labelled_as_they_look(found)
    with pytest.raises(ValueError, match="tensorflow-datasets cannot give"):
        find.dataset(RECIPE, f"tfds_folder:{tmp_path / 'nowhere'}")
