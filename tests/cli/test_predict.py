"""`predict`: the library's own answers, for every picture that can be read, and mistakes before anything is started."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

import keras_resnet
from keras_resnet_cli import predicting
from tests.cli.run import ROOT, run, run_fresh


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures, and models of 1,000 and of 7 classes."""
    place = tmp_path_factory.mktemp("predict")
    random = np.random.default_rng(0)
    for i in range(3):
        Image.fromarray(random.integers(0, 256, (90 + 20 * i, 120, 3)).astype("uint8")).save(place / f"picture{i}.png")
    (place / "broken.png").write_bytes((place / "picture0.png").read_bytes()[:500])
    for classes in (1000, 7):
        keras.utils.set_random_seed(classes)
        model = keras_resnet.models.resnet(depths=(1,), widths=(8,), classes=classes, input_shape=(64, 64, 3))
        for variable in model.get_layer("head").weights:
            variable.assign(random.normal(size=variable.shape))
        model.save(place / f"{classes}.keras")
    return place


def expected(folder, name: str, classes: int) -> np.ndarray:
    """What the library itself says of a picture."""
    model = keras.models.load_model(folder / f"{classes}.keras")
    return model.predict(keras_resnet.preprocessing(model)([Image.open(folder / name)]), verbose=0)[0]


def test_says_what_the_library_says(folder):
    paths = [folder / f"picture{i}.png" for i in range(3)]
    status, out, error = run("predict", *paths, "--model", folder / "1000.keras", "--json", "--top", 3)
    assert status == 0, error
    found = json.loads(out)
    assert [one["picture"] for one in found] == [str(path) for path in paths]
    for one, path in zip(found, paths, strict=True):
        scores = expected(folder, path.name, 1000)
        ((best, *_),) = keras_resnet.decode_predictions(scores[None], top=1)
        assert (one["predictions"][0]["id"], one["predictions"][0]["name"]) == tuple(best[:2])
        np.testing.assert_allclose([p["score"] for p in one["predictions"]], np.sort(scores)[:-4:-1], rtol=1e-4)


def test_as_a_table_without_names(folder):
    path = folder / "picture1.png"
    status, out, error = run("predict", path, "--model", folder / "7.keras", "--top", 99)
    assert status == 0, error
    scores = expected(folder, path.name, 7)
    lines = [line.split() for line in out.splitlines()[3:] if line.strip()]
    assert out.splitlines()[0] == str(path)
    assert [line[2:] for line in lines] == [["class", str(i)] for i in np.argsort(-scores)]
    np.testing.assert_allclose([float(line[0]) for line in lines], 100 * np.sort(scores)[::-1], atol=0.011)


def test_a_fine_tuned_network(folder, tmp_path):
    """As `applications.finetune` writes it: preprocessing inside, names of its classes beside."""
    model = keras.models.load_model(folder / "7.keras")
    pictures = keras.Input((None, None, 3), dtype="uint8")
    keras.Model(pictures, model(keras_resnet.preprocessing(model)(pictures))).save(tmp_path / "finetuned.keras")
    names = [f"flower [{i}]" for i in range(7)]
    (tmp_path / "classes.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    paths = [folder / f"picture{i}.png" for i in (2, 0)]
    status, out, error = run("predict", *paths, "--model", tmp_path / "finetuned.keras", "--json", "--top", 7)
    assert status == 0, error
    for one, path in zip(json.loads(out), paths, strict=True):
        scores = expected(folder, path.name, 7)
        assert [p["name"] for p in one["predictions"]] == [names[i] for i in np.argsort(-scores)]
        np.testing.assert_allclose([p["score"] for p in one["predictions"]], -np.sort(-scores), rtol=2e-3)
    (tmp_path / "classes.txt").write_text("one\ntwo\n", encoding="utf-8")
    status, out, error = run("predict", *paths, "--model", tmp_path / "finetuned.keras")
    assert (status, out) == (1, "")
    assert "names 2 classes" in error
    (tmp_path / "classes.txt").unlink()
    status, out, error = run("predict", paths[0], "--model", tmp_path / "finetuned.keras", "--json", "--top", 1)
    assert status == 0, error
    assert json.loads(out)[0]["predictions"][0]["name"] == f"class {expected(folder, paths[0].name, 7).argmax()}"
    whole = (tmp_path / "finetuned.keras").read_bytes()
    (tmp_path / "finetuned.keras").write_bytes(whole[: len(whole) // 2])
    status, out, error = run("predict", *paths, "--model", tmp_path / "finetuned.keras")
    assert (status, out) == (1, "")
    assert "finetuned.keras' cannot be opened as a Keras model" in error


def test_logits_are_shown_as_probabilities(folder, tmp_path):
    keras.utils.set_random_seed(7)
    model = keras_resnet.models.resnet(depths=(1,), widths=(8,), classes=7, input_shape=(64, 64, 3), classifier_activation=None)
    model.set_weights(keras.models.load_model(folder / "7.keras").get_weights())
    model.save(tmp_path / "logits.keras")
    status, out, error = run("predict", folder / "picture0.png", "--model", tmp_path / "logits.keras", "--json", "--top", 7)
    assert status == 0, error
    scores = [p["score"] for p in json.loads(out)[0]["predictions"]]
    np.testing.assert_allclose(scores, np.sort(expected(folder, "picture0.png", 7))[::-1], rtol=1e-3)


def test_broken_pictures_get_a_line_and_the_others_an_answer(folder):
    paths = [folder / "broken.png", folder / "picture2.png", folder, folder / "none.png"]
    status, out, error = run("predict", *paths, "--model", folder / "7.keras", "--json")
    assert status == 1
    assert [one["picture"] for one in json.loads(out)] == [str(paths[1])]
    lines = [line for line in error.splitlines() if line.startswith("keras-resnet: ")]
    assert len(lines) == 3
    assert all(str(path) in line for path, line in zip((paths[0], *paths[2:]), lines, strict=True))


def test_more_pictures_than_a_batch(folder, monkeypatch):
    monkeypatch.setattr(predicting, "BATCH", 2)
    paths = [folder / f"picture{i}.png" for i in (2, 0, 1)]
    status, out, error = run("predict", *paths, "--model", folder / "7.keras", "--json")
    assert status == 0, error
    for one in json.loads(out):
        scores = expected(folder, one["picture"].rpartition("/")[2], 7)
        np.testing.assert_allclose([p["score"] for p in one["predictions"]], np.sort(scores)[:-6:-1], rtol=1e-4)


MISTAKES = [
    (["--model", "resnet5"], "Closest: resnet"),
    (["--model", "resnet50.a1"], "of 'resnet50': a1_in1k"),
    (["--model", "resnet20"], "none are published"),
    (["--model", "resnet50", "--weights", "a1"], "of 'resnet50': a1_in1k"),
    (["--model", "resnet50", "--weights", "none.safetensors"], "no weights file at 'none.safetensors'"),
    (["--model", "resnet50.a1_in1k", "--weights", "a1_in1k"], "give either these or --weights"),
    (["--model", "vit_base_patch16_224.dino"], "vit_base_patch16_224.dino has no head"),
    (["--model", "hf://timm/resnet50.a1_in1k", "--weights", "a1_in1k"], "give either these or --weights"),
    (["--model", "unet3plus"], "unet3plus is a network for segmentation"),
    (["--model", "none.keras"], "no model at 'none.keras'"),
]


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="no backend is started")
@pytest.mark.parametrize(("arguments", "says"), MISTAKES)
def test_mistakes(arguments, says, folder):
    status, out, error = run("predict", folder / "picture0.png", *arguments)
    assert (status, out) == (1, "")
    assert says in error
    assert error.count("\n") == 1


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="no backend is started")
def test_mistakes_start_no_backend(folder):
    program = (
        "import sys, contextlib\n"
        "from keras_resnet_cli.program import app\n"
        f"for arguments in {[arguments for arguments, _ in MISTAKES]!r} + [['--model', 'resnet50']]:\n"
        "    with contextlib.suppress(SystemExit):\n"
        f"        app(['predict', {str(folder / 'broken.png')!r}, *arguments])\n"
        "print(sorted({'keras', 'keras_resnet', 'torch', 'jax', 'tensorflow'} & set(sys.modules)))"
    )
    assert run_fresh(program)[0].splitlines()[-1] == "[]"


def test_a_file_that_is_no_model(folder):
    path = folder / "no.keras"
    path.write_bytes(b"not a zip file")
    status, out, error = run("predict", folder / "picture0.png", "--model", path)
    assert (status, out) == (1, "")
    assert "no.keras' cannot be opened as a Keras model" in error
    assert error.count("\n") == 1


def test_a_model_without_head(folder):
    keras_resnet.models.resnet(depths=(1,), widths=(8,), include_top=False, input_shape=(64, 64, 3)).save(folder / "headless.keras")
    status, out, error = run("predict", folder / "picture0.png", "--model", folder / "headless.keras")
    assert (status, out) == (1, "")
    assert "has no head" in error


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("unet_bn", dict(widths=(2, 3)), "gives classes to each pixel"),
        ("nested_unet_ds", dict(widths=(2, 3), input_shape=(32, 32, 3)), "gives classes to each pixel"),
        ("ddpm_28", dict(width=4, multipliers=(1,), depth=1, attention_strides=(), norm=None), "takes images, timesteps, and not"),
    ],
)
def test_models_of_other_tasks(name, settings, says, folder, tmp_path):
    keras_resnet.create_model(name, **settings).save(tmp_path / "other.keras")
    status, out, error = run("predict", folder / "picture0.png", "--model", tmp_path / "other.keras")
    assert (status, out) == (1, "")
    assert "other.keras' cannot say what is in a picture" in error
    assert says in error


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="no backend is started")
def test_a_misspelt_backend(folder):
    arguments = [sys.executable, "-m", "keras_resnet_cli", "predict", folder / "picture0.png"]
    done = subprocess.run(arguments, cwd=ROOT, env={**os.environ, "KERAS_BACKEND": "pytorch"}, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (1, "")
    assert "KERAS_BACKEND is 'pytorch', which is no Keras backend. Did you mean 'torch'?" in done.stderr
    assert done.stderr.count("\n") == 1
