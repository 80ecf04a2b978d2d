"""`convert`: the same numbers there and back, and nothing written at a mistake."""

import keras
import numpy as np
import pytest

import keras_resnet
from keras_resnet.weights import save
from keras_resnet_cli import converting
from tests.cli.run import run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A ResNet-18 of 7 classes as a .keras file."""
    place = tmp_path_factory.mktemp("convert")
    keras.utils.set_random_seed(3)
    model = keras_resnet.create_model("resnet18", classes=7, weights=None)
    random = np.random.default_rng(0)
    for variable in model.weights:
        if "norm" in variable.path:
            variable.assign(random.uniform(0.5, 2, variable.shape))
    model.save(place / "my.keras")
    return place


LAYOUTS = [("timm", ".safetensors"), ("torchvision", ".safetensors")]
LAYOUTS += [("torchvision", ".pth")] if keras.backend.backend() == "torch" else []


def test_suffixes_are_the_librarys():
    """Which the program says again, since to check a name it starts no backend."""
    assert converting.LAYOUTS == save.SUFFIXES


@pytest.mark.parametrize(("layout", "suffix"), LAYOUTS)
def test_there_and_back(layout, suffix, folder):
    there, back = folder / f"{layout}{suffix}", folder / f"{layout}{suffix}.keras"
    status, out, error = run("convert", folder / "my.keras", there, "--to", layout)
    assert (status, out) == (0, ""), error
    status, out, error = run("convert", there, back, "--model", "resnet18", "--classes", 7)
    assert (status, out) == (0, ""), error
    ours, theirs = keras.models.load_model(folder / "my.keras"), keras.models.load_model(back)
    assert [v.path.rpartition("/")[2] for v in ours.weights] == [v.path.rpartition("/")[2] for v in theirs.weights]
    for one, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other))


def test_to_weights_alone(folder):
    status, out, error = run("convert", folder / "my.keras", folder / "my.weights.h5")
    assert (status, out) == (0, ""), error
    model = keras_resnet.create_model("resnet18", classes=7, weights=None)
    keras_resnet.load_weights(model, folder / "my.weights.h5")


def test_what_does_not_fit_writes_nothing(folder):
    run("convert", folder / "my.keras", folder / "fits.safetensors", "--to", "timm")
    for arguments in (["--model", "resnet18"], ["--model", "resnet34", "--classes", 7]):
        status, out, error = run("convert", folder / "fits.safetensors", folder / "no.keras", *arguments)
        assert (status, out) == (1, "")
        assert "do not fit the model" in error
        assert "Traceback" not in error
    before = sorted(path.name for path in folder.iterdir())
    assert "no.keras" not in before
    assert not [name for name in before if name.startswith(".")]


HINT = "for a file of N classes say --classes N, for one without a head --no-top"


@pytest.mark.parametrize(("layout", "suffix"), LAYOUTS)
def test_without_a_head(layout, suffix, folder):
    """There and back for a file that has none; of one that has, the head stays behind."""
    whole = keras.models.load_model(folder / "my.keras")
    headless = keras_resnet.create_model("resnet18", weights=None, include_top=False)
    headless.set_weights(whole.get_weights()[:-2])
    headless.save(folder / "headless.keras")
    there = folder / f"headless-{layout}{suffix}"
    assert run("convert", folder / "headless.keras", there, "--to", layout, "--force")[0] == 0
    status, out, error = run("convert", there, folder / "no.keras", "--model", "resnet18")
    assert (status, out) == (1, "")
    assert "2 missing in the file" in error
    assert HINT in error
    assert not (folder / "no.keras").exists()
    assert run("convert", folder / "my.keras", folder / f"whole{suffix}", "--to", layout, "--force")[0] == 0
    for source in (there, folder / f"whole{suffix}"):
        status, out, error = run("convert", source, folder / "back.keras", "--model", "resnet18", "--no-top", "--force")
        assert (status, out) == (0, ""), error
        back = keras.models.load_model(folder / "back.keras")
        assert back.output_shape == headless.output_shape
        for one, other in zip(back.get_weights(), headless.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_hint_is_for_heads_alone(folder):
    run("convert", folder / "my.keras", folder / "seven.safetensors", "--to", "timm", "--force")
    for arguments, helps in (
        (["--model", "resnet18"], True),
        (["--model", "resnet18", "--classes", 6], True),
        (["--model", "resnet34"], False),
        (["--model", "resnet34", "--no-top"], False),
    ):
        status, _, error = run("convert", folder / "seven.safetensors", folder / "no.keras", *arguments)
        assert status == 1
        assert (HINT in error) == helps


def test_a_file_that_is_there_stays(folder):
    there = folder / "there.safetensors"
    there.write_bytes(b"precious")
    status, _, error = run("convert", folder / "my.keras", there, "--to", "timm")
    assert status == 1
    assert "exists already. Give another name, or --force" in error
    assert there.read_bytes() == b"precious"
    assert run("convert", folder / "my.keras", there, "--to", "timm", "--force")[0] == 0
    assert there.read_bytes() != b"precious"


def test_networks_of_other_tasks(folder, monkeypatch):
    """Between our own formats as all; other libraries have no names for them."""
    small = dict(depths=(1, 1, 1), growth_rate=2, stem_width=3)
    model = keras_resnet.FCDenseNet56(classes=4, **small)
    model.save(folder / "segmenter.keras")
    status, out, error = run("convert", folder / "segmenter.keras", folder / "segmenter.weights.h5")
    assert (status, out) == (0, ""), error
    create = keras_resnet.create_model
    monkeypatch.setattr(keras_resnet, "create_model", lambda name, **settings: create(name, **{**settings, **small}))
    arguments = ["convert", folder / "segmenter.weights.h5", folder / "again.keras", "--model", "fc_densenet56"]
    status, _, error = run(*arguments)
    assert status == 1
    assert "2 of another shape" in error
    status, out, error = run(*arguments, "--classes", 4)
    assert (status, out) == (0, ""), error
    for one, other in zip(model.get_weights(), keras.models.load_model(folder / "again.keras").get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    status, out, error = run("convert", folder / "segmenter.keras", folder / "no.safetensors", "--to", "timm")
    assert (status, out) == (1, "")
    assert "timm cannot take the weights" in error


@pytest.mark.parametrize(
    ("source", "target", "arguments", "says"),
    [
        ("none.keras", "out.safetensors", ["--to", "timm"], "no file to convert at"),
        ("my.keras", "out.h5", ["--to", "timm"], "A file for timm ends in .safetensors or .pth"),
        ("my.keras", "out.weights.h5", ["--to", "keras"], "A file for keras ends in .h5"),
        ("my.keras", "out.safetensors", [], "say which: --to timm, torchvision or keras"),
        ("my.keras", "nowhere/out.pth", ["--to", "timm"], "There is no folder"),
        ("my.keras", "my.keras", ["--force"], "is the file to convert"),
        ("plain.safetensors", "out.keras", [], "Say --model, such as --model resnet50"),
        ("my.keras", "out.pth", ["--to", "timm", "--classes", 3], "--classes goes with --model"),
        ("my.keras", "out.pth", ["--to", "timm", "--no-top"], "--no-top goes with --model"),
        ("plain.safetensors", "out.keras", ["--model", "resnet18", "--classes", 3, "--no-top"], "give --no-top, or --classes 3"),
        ("plain.safetensors", "out.keras", ["--model", "resnet5"], "Closest: resnet"),
        ("plain.safetensors", "out.keras", ["--model", "unet3plus", "--no-top"], "unet3plus is a network for segmentation"),
        ("plain.safetensors", "out.keras", ["--model", "resnet50.a1_in1k"], "--model names the network alone"),
    ],
)
def test_mistakes(source, target, arguments, says, folder):
    (folder / "plain.safetensors").write_bytes(b"")
    status, out, error = run("convert", folder / source, folder / target, *arguments)
    assert (status, out) == (1, "")
    assert says in error
    assert error.count("\n") == 1
    assert not (folder / target).exists() or target == source
