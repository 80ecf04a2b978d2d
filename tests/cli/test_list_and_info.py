"""`list` and `info`: what they say, how fast, and that they start no backend."""

import json

import keras
import pytest

import keras_resnet
from keras_resnet.constructors import CONSTRUCTORS
from keras_resnet.weights.catalogue import CATALOGUE, DEFAULTS
from keras_resnet.zoo import NETWORKS, TASKS
from keras_resnet_cli import facts
from tests import checkpoints_table
from tests.cli.run import run, run_fresh

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="no backend is started")

HEAVY = "{'keras', 'keras_resnet', 'torch', 'jax', 'tensorflow', 'numpy', 'h5py', 'PIL'}"


def test_the_table_of_networks_is_up_to_date():
    assert checkpoints_table.NETWORKS.read_text(encoding="utf-8") == checkpoints_table.networks(), "run `make docs`"
    assert list(facts.networks()) == [name for task in TASKS for name in keras_resnet.list_models(task=task)]
    assert facts.tasks() == list(TASKS)
    for name, network in facts.networks().items():
        assert (network.params, network.paper) == (NETWORKS[name].params, NETWORKS[name].paper)
        assert CONSTRUCTORS[network.constructor].__doc__.startswith(f"Builds {name}: {network.builder}(")
        assert name in TASKS[network.task]


@pytest.mark.parametrize("arguments", [["list"], ["list", "*", "--pretrained"], ["info", "unet3plus"], ["info", "resnet50.a1_in1k"]])
def test_no_backend_and_half_a_second(arguments):
    program = (
        "import sys\n"
        "from keras_resnet_cli.program import app\n"
        f"app({arguments!r}, standalone_mode=False)\n"
        f"print(sorted({HEAVY} & set(sys.modules)))"
    )
    runs = [run_fresh(program) for _ in range(3)]
    assert runs[0][0].splitlines()[-1] == "[]"
    assert min(seconds for _, seconds in runs) < 0.5


def test_list_networks():
    status, out, error = run("list")
    assert (status, error) == (0, "")
    named = [line.split()[0] for line in out.splitlines()[2:-1]]
    assert named == list(facts.networks())
    assert out.splitlines()[-1] == f"{len(NETWORKS)} of {len(NETWORKS)} networks."
    line = next(line for line in out.splitlines() if line.split()[0] == "resnet50")
    assert line.split()[1:] == ["50", "25,557,032", "4.089", "224x224", "21", "a1_in1k", "arXiv:1512.03385"]


@pytest.mark.parametrize("task", TASKS)
def test_list_of_a_task(task):
    status, out, error = run("list", "--task", task)
    assert (status, error) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[2:-1]] == keras_resnet.list_models(task=task)
    assert out.splitlines()[-1] == f"{len(TASKS[task])} of {len(NETWORKS)} networks."
    assert ("weights" in out.splitlines()[0]) == (task == "classification")
    status, out, error = run("list", "--task", task, "--pretrained", "--json")
    if task == "classification":
        assert {found["name"] for found in json.loads(out)} == set(CATALOGUE)
    else:
        assert (status, out) == (1, "")
        assert f"No published weights for {task} fit '*'" in error


def test_list_of_a_task_and_a_pattern():
    _, out, _ = run("list", "*unet3d", "--task", "segmentation", "--json")
    found = {network["name"]: network for network in json.loads(out)}
    assert list(found) == ["attention_unet3d", "nnunet3d", "unet3d"]
    one = found["unet3d"]
    assert (one["task"], one["constructor"], one["shape"]) == ("segmentation", "PlainUNet3D", [116, 132, 132, 3])
    assert (one["weights"], one["imagenet"]) == ([], None)


def test_list_of_a_pattern():
    status, out, _ = run("list", "resnet5?d", "--json")
    assert status == 0
    (found,) = json.loads(out)
    assert (found["name"], found["constructor"], found["imagenet"]) == ("resnet50d", "ResNet50d", DEFAULTS["resnet50d"])
    assert found["weights"] == [row.tag for row in CATALOGUE.values() if row.model == "resnet50d"]


def test_list_weights():
    status, out, _ = run("list", "resnet18", "--pretrained")
    assert status == 0
    ours = [name for name, row in CATALOGUE.items() if row.model == "resnet18"]
    lines = out.splitlines()[2:-1]
    assert [line.split()[0] for line in lines] == ours
    assert [line.split()[0] for line in lines if "*" in line.split()] == ["resnet18.a1_in1k"]
    barred = [line.split()[0] for line in lines if line.rstrip().endswith("cc-by-nc-4.0, not commercial")]
    assert barred == [name for name in ours if CATALOGUE[name].noncommercial]
    assert len(barred) == 2


def test_a_dot_means_weights():
    status, out, _ = run("list", "resnet50*.keras_in1k", "--json")
    assert status == 0
    assert [found["name"] for found in json.loads(out)] == ["resnet50v1.keras_in1k", "resnet50v2.keras_in1k"]
    status, out, _ = run("list", "--pretrained", "--json")
    assert {found["name"] for found in json.loads(out)} == set(CATALOGUE)


def test_a_line_stays_a_line_in_a_pipe_and_names_stay_whole_in_a_narrow_window(monkeypatch):
    _, out, _ = run("list", "--pretrained")
    assert len(out.splitlines()) == len(CATALOGUE) + 3
    monkeypatch.setenv("COLUMNS", "90")
    _, out, _ = run("list", "--pretrained")
    assert all(f"{name} " in out for name in CATALOGUE)
    assert max(map(len, out.splitlines())) <= 90


def test_info():
    status, out, _ = run("info", "resnext101_32x8d")
    assert status == 0
    assert all(text in out for text in ("88,791,336", "arxiv.org/abs/1611.05431", "keras_resnet.ResNeXt101_32x8d", "IMAGENET1K_V2"))
    assert "16.414 G for an image of 224 x 224 x 3" in out
    _, out, _ = run("info", "unet3d")
    assert all(text in out for text in ("segmentation", "19,074,627", "a volume of 116 x 132 x 132 x 3", "keras_resnet.PlainUNet3D"))
    _, out, _ = run("info", "resnet20")
    assert "No weights are published" in out
    status, out, _ = run("info", "resnext101_32x8d.fb_wsl_ig1b_ft_in1k")
    assert status == 0
    assert all(text in out for text in ("cc-by-nc-4.0, not commercial", "huggingface.co/timm/resnext101_32x8d.fb_wsl_ig1b_ft_in1k"))
    assert 'keras_resnet.create_model("resnext101_32x8d.fb_wsl_ig1b_ft_in1k")' in out


@pytest.mark.parametrize("name", CATALOGUE)
def test_info_of_all_weights(name):
    status, out, _ = run("info", name)
    assert status == 0
    assert out.startswith(name)
    assert CATALOGUE[name].file in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["info", "resnet5"], "Closest: resnet"),
        (["info", "resnet50.a1"], "of 'resnet50': a1_in1k, a1h_in1k"),
        (["info", "resnet20.a1"], "none are published"),
        (["list", "resnext50_32x4"], "No network fits 'resnext50_32x4'. Closest: resnext50_32x4d"),
        (["list", "--task", "segmantation"], "no task named 'segmantation'. Closest: segmentation."),
        (["list", "--task", "dogs"], "no task named 'dogs'. Tasks are classification, segmentation, diffusion."),
        (["list", "unet3pluss", "--task", "segmentation"], "No network for segmentation fits 'unet3pluss'. Closest: unet3plus"),
        (["info", "UNet3Plus"], "Closest: unet3plus"),
        (["info", "UNet"], 'UNet takes an encoder, one of `keras-resnet list --task classification`: keras_resnet.UNet("resnet34")'),
        (["info", "fpn"], 'keras_resnet.FPN("resnet34")'),
        (["list", "resnet20", "--pretrained"], "No published weights fit 'resnet20'"),
    ],
)
def test_mistakes(arguments, says):
    status, out, error = run(*arguments)
    assert (status, out) == (1, "")
    assert says in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("arguments", [["info"], ["bogus"], ["list", "--bogus"], ["predict", "a.jpg", "--top", "0"], ["convert", "a"]])
def test_usage(arguments):
    status, out, error = run(*arguments)
    assert (status, out) == (2, "")
    assert "Usage: " in error


@pytest.mark.parametrize("command", ["list", "info", "predict", "convert"])
def test_help_shows_examples(command):
    status, out, _ = run(command, "--help")
    assert status == 0
    assert out.count(f" keras-resnet {command} ") >= 2
