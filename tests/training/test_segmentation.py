"""Masks are learnt of pictures as they lie in folders: of any sizes, grey or in colours, with pixels that do not count."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

import keras_resnet
from keras_resnet import learning, metrics
from tests.quick import quick_on_torch
from training import callbacks, recipes
from training.__main__ import main
from training.data import masks
from training.recipe import Data
from training.tasks import segmentation


def written(folder, channels: int) -> None:
    """Pictures of many sizes, and masks with 255 in them."""
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for number in range(20):
        height, width = rng.integers(40, 90, 2)
        image, mask = rng.integers(0, 80, (height, width, channels)), np.zeros((height, width), "uint8")
        image[5:25, 8:30] += 120
        mask[5:25, 8:30], mask[:3] = 1, 255
        Image.fromarray(image.squeeze().astype("uint8")).save(folder / "images" / f"{number}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")


@pytest.mark.parametrize(("channels", "words"), [(1, []), (3, ["channels=3", "mean=120,110,100", "deviation=60,60,60"])])
def test_a_folder_of_pictures_of_many_sizes(channels, words, tmp_path, capsys):
    written(tmp_path / "data", channels)
    settings = [word for one in words for word in ("--set", f"data.{one}")]
    assert main(["segmentation_nnunet2d", "--quick", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "run"), *settings]) == 0
    log = callbacks.rows(tmp_path / "run" / "log.csv")
    assert len(log) == 2
    for row in log:
        assert all(np.isfinite(value) for value in row.values()), row
        assert 0 <= row["val_out_iou"] <= 1
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["iou"] == pytest.approx(log[-1]["val_out_iou"], abs=1e-6)
    assert f"Mean IoU {100 * result['iou']:.2f} % of the test pictures" in capsys.readouterr().out
    assert result["iou_by_class"] == pytest.approx(overlaps(tmp_path / "run" / "model.keras", tmp_path / "data"), abs=1e-3)


def overlaps(model, folder) -> list[float]:
    """Of the saved model, for the pictures that were held back, as they lie in the files."""
    network, data = keras.models.load_model(model), recipes.quick(recipes.recipe("segmentation_nnunet2d")).data
    found = masks.files(data, str(folder))
    both, either = np.zeros(2), np.zeros(2)
    for image, mask in zip(found["test_images"], found["test_labels"], strict=True):
        pixels, labels = (np.asarray(Image.open(path)) for path in (image, mask))
        given = network.predict(pixels.reshape(1, *labels.shape, -1).astype("float32"), verbose=0)
        assert given.sum(-1) == pytest.approx(1, abs=1e-3)
        for label in range(2):
            true, read = labels[labels != 255] == label, given[0].argmax(-1)[labels != 255] == label
            both[label], either[label] = both[label] + (true & read).sum(), either[label] + (true | read).sum()
    return (both / either).tolist()


def each_mask(folder, change) -> None:
    for path in (folder / "masks").iterdir():
        Image.fromarray(change(np.asarray(Image.open(path)))).save(path)


@quick_on_torch
def test_masks_that_teach_nothing_and_those_of_one_bit(tmp_path, capsys):
    data, words = tmp_path / "data", ["segmentation_nnunet2d", "--quick", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "run")]
    written(data, 1)
    each_mask(data, lambda mask: np.where(mask == 1, 255, 0).astype("uint8"))
    assert main(words) == 1
    assert "show the labels [0, 255] alone" in capsys.readouterr().err
    each_mask(data, lambda mask: mask == 255)  # which files keep in one bit a pixel
    (data / "images" / "._1.png").write_bytes(b"of another system")
    last = data / "masks" / "7.png"
    whole = last.read_bytes()
    last.write_bytes(whole[: len(whole) // 2])
    other = data / "images" / "11.png"
    other.write_bytes(b"")
    assert main([*words, "--stop-at-damaged"]) == 1
    said = capsys.readouterr().err
    assert all(name in said for name in ("2 files", str(last), str(other)))
    assert not (tmp_path / "run").exists()
    assert main(words) == 0
    said = capsys.readouterr().out
    assert all(f"passed over: {name}: " in said for name in (last, other))
    assert "could not be read: 2." in said
    assert all(np.isfinite(row["out_iou"]) for row in callbacks.rows(tmp_path / "run" / "log.csv"))


@quick_on_torch
def test_pictures_that_are_not_the_recipes(tmp_path, capsys):
    written(tmp_path / "colours", 3)
    written(tmp_path / "grey", 1)
    words = ["segmentation_nnunet2d", "--quick", "--out", str(tmp_path / "run"), "--data"]
    assert main([*words, str(tmp_path / "colours")]) == 1
    assert "`data.channels` is 1, and there is a picture of 3. Pass --set data.channels=3" in capsys.readouterr().err
    each_mask(tmp_path / "grey", lambda mask: np.full_like(mask, 7))
    assert main([*words, str(tmp_path / "grey")]) == 1
    assert "labels from 0 to 1, and 255 where pixels do not count. Received: [7]" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    (tmp_path / "grey" / "images" / "3.bmp").write_bytes(b"")
    assert main([*words, str(tmp_path / "grey")]) == 1
    said = capsys.readouterr().err
    assert all(word in said for word in ("one of these has to go", "3.bmp", "3.png"))
    for name in ("3.bmp", *(f"{number}.png" for number in range(20))):
        (tmp_path / "grey" / "images" / name).write_bytes(b"")
    (tmp_path / "grey" / "images" / "3.bmp").unlink()
    assert main([*words, str(tmp_path / "grey")]) == 1
    assert "None of the pictures to train on can be read" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    change = segmentation.Changed(Data("masks", channels=3, mean=(1.0, 2.0, 3.0), deviation=(1.0, 1.0, 1.0)))
    assert change.normalized(np.full((1, 1, 1), 5, "uint8")).tolist() == [[[4, 3, 2]]]


@quick_on_torch
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("data.size=128", "map of one pixel in 'stage8' of 'nnunet2d_deep'"),
        ("network.name=nnunet2", "There is no network named 'nnunet2'. Closest: nnunet2d"),
        ("network.settings.depht=2", "network.settings"),
    ],
)
def test_networks_that_do_not_fit_are_refused_before_anything_is_written(change, said, tmp_path, capsys):
    written(tmp_path / "data", 1)
    words = ["segmentation_nnunet2d", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "run"), "--set", change]
    assert main(words) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@quick_on_torch
def test_what_the_network_adds_to_a_picture_is_added_before():
    data = recipes.quick(recipes.recipe("segmentation_nnunet2d")).data
    network = keras_resnet.create_model("nnunet2d", classes=2, widths=(4, 8, 8), deep_supervision=False)
    image = np.random.default_rng(0).integers(0, 256, (37, 42, 1)).astype("uint8")
    change = segmentation.Changed(data, (4, 4))
    whole, labels = change.tested(image, np.ones((37, 42), "uint8"))
    assert whole.shape == (40, 44, 1)
    assert (labels == 255).sum() == 40 * 44 - 37 * 42
    alone = network.predict(change.normalized(image)[None], verbose=0)
    np.testing.assert_allclose(network.predict(whole[None], verbose=0)[:, :37, :42], alone, atol=1e-5)


@quick_on_torch
def test_classes_whose_pairs_no_byte_counts():
    """Labels come in bytes, and 20 x 20 pairs of them do not fit into one; one class is nowhere."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 19, (24, 24)).astype("uint8")
    labels[:2] = 255
    scores = np.eye(20, dtype="float32")[np.where(rng.random((24, 24)) < 0.5, labels % 20, rng.integers(0, 19, (24, 24)))]
    pixels = keras.Input((24, 24, 20))
    network = keras.Model(pixels, keras.layers.Activation("linear")(pixels))
    found = segmentation._tested(network, learning.Pairs(scores[None], labels[None], shuffle=False), 20)
    score = metrics.IoU(classes=20, ignore_index=255)
    score.update_state(labels[None], scores[None])
    assert found["confusion"] == np.asarray(keras.ops.convert_to_numpy(score.confusion_matrix())).astype(int).tolist()
    assert found["iou"] == pytest.approx(float(score.result()), abs=1e-6)
    assert found["iou_by_class"][19] is None
    assert found["iou_by_class"][:19] == pytest.approx(keras.ops.convert_to_numpy(score.per_class())[:19].tolist(), abs=1e-6)


@quick_on_torch
def test_nnunets_plan():
    """Eight stages make 4 x 4 pixels of its patch, and a batch of those is twelve."""
    recipe = recipes.recipe("segmentation_nnunet2d")
    assert (recipe.data.size, recipe.batch, recipe.network.name) == (512, 12, "nnunet2d_deep")
    network = keras_resnet.create_model(recipe.network.name, classes=2, input_shape=(512, 512, 1))
    assert sum(layer.name.startswith("stage") for layer in network.layers) == 8
    assert network.get_layer("stage8").output.shape[1:3] == (4, 4)


@quick_on_torch
def test_nnunets_changes():
    """Of a picture that is as wide as it says, and smaller than the patch: background around it, what does not count stays so."""
    data = recipes.quick(recipes.recipe("segmentation_nnunet2d")).data
    change, rng = segmentation.Changed(data), np.random.default_rng(0)
    image = (127.5 + 60 * rng.normal(size=(16, 16, 1))).clip(0, 255).astype("uint8")
    mask = np.ones((16, 16), "uint8")
    mask[:4] = 255
    pairs = [change(image, mask, seed=seed) for seed in range(200)]
    for new, labels in pairs:
        assert set(np.unique(labels)) <= {0, 1, 255}
        assert (labels == 0).sum() > 100
        assert new.std() < 1.25 * 1.25
    plain = change.normalized(image).astype("float32")
    kept = np.mean([set(np.unique(new[labels != 0])) <= set(np.unique(plain)) for new, labels in pairs])
    # What changes no value: none of scale, rotation, noise, brightness, contrast and the gammas, and of one channel half of the others.
    assert kept == pytest.approx(0.8 * 0.8 * 0.9 * 0.9 * 0.875 * 0.85 * 0.85 * 0.9 * 0.7, abs=0.08)
