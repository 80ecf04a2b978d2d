"""Every published checkpoint against the zoo, against timm and torchvision where they are installed, and what `find` says."""

import dataclasses
import importlib.util
import inspect
import json
import re
import subprocess
import sys
import urllib.parse

import keras
import pytest

from keras_resnet.models.vit import VITS
from keras_resnet.weights import catalogue
from keras_resnet.weights.catalogue import CATALOGUE, DEFAULTS, find
from keras_resnet.zoo import ZOO
from tests import checkpoints_table

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="a table is the same on every backend")

# ImageNet-1k, -12k and -21k, Bamboo; none.
CLASSES = {1000, 11821, 21843, 115217, 0}
LICENCES = {"apache-2.0", "bsd-3-clause", "cc-by-nc-4.0", "mit", "unknown"}


def test_enough_rows_and_one_name_each():
    lines = catalogue._PATH.read_text(encoding="utf-8").splitlines()
    assert len(CATALOGUE) == len(lines) - 1 >= 150, "two lines have the same name"
    assert {row.source for row in CATALOGUE.values()} == {"timm", "torchvision", "keras", "bit"}
    assert len({(row.location, row.file) for row in CATALOGUE.values()}) == len(CATALOGUE)


@pytest.mark.parametrize("name", CATALOGUE)
def test_row(name):
    row = CATALOGUE[name]
    assert row.name == name == f"{row.model}.{row.tag}"
    builder = inspect.signature(ZOO[row.model].builder).parameters
    assert builder["classes"].default == 1000
    assert row.classes in CLASSES
    if row.model in VITS:
        assert (row.input_size, row.test_input_size) == (224, 224)  # the position embedding of the file is of that many patches
    assert 32 <= row.input_size <= row.test_input_size <= 512
    assert 0.8 <= row.crop <= row.test_crop <= 1
    assert row.crop_mode in ("center", "squash", "border")
    assert row.interpolation in ("bilinear", "bicubic")
    assert row.licence in LICENCES
    assert row.noncommercial == (row.licence == "cc-by-nc-4.0")
    assert (row.top1 is None) == (row.top1_source == "")
    assert row.top1 is None or (55 < row.top1 < 90 and row.classes == 1000)


@pytest.mark.parametrize("name", CATALOGUE)
def test_file_and_digest(name):
    row = CATALOGUE[name]
    if row.source == "timm":
        assert (row.location, row.file, row.digest, row.revision) == (f"timm/{name}", "model.safetensors", "", "")
        return
    url = urllib.parse.urlsplit(row.location)
    assert (url.scheme, url.query, url.path.rsplit("/", 1)[-1]) == ("https", "", row.file)
    if row.source == "torchvision":
        assert row.digest == "sha256:" + re.fullmatch(r".+-([0-9a-f]{8})\.pth", row.file)[1]
        assert row.file.startswith(row.model)
    if row.source == "keras":
        assert re.fullmatch(r"md5:[0-9a-f]{32}", row.digest)
        assert re.fullmatch(r"md5:[0-9a-f]{32}", row.headless_digest)
        assert row.digest != row.headless_digest
        assert row.headless_file == row.file.replace(".h5", "_notop.h5")
    else:
        assert row.headless_file == row.headless_digest == ""
    if row.source == "bit":
        assert row.file.endswith(".npz")
        assert row.digest == ""


@pytest.mark.parametrize("name", CATALOGUE)
def test_values_of_pixels(name):
    """In every mode `(x / 255 - mean) / std` is right, up to the order of colours in "caffe"."""
    row = CATALOGUE[name]
    for pixel in (0, 255):
        found = [(pixel / 255 - mean) / std for mean, std in zip(row.mean, row.std, strict=True)]
        if row.mode == "tf":
            assert found == [pixel / 127.5 - 1] * 3
        elif row.mode == "caffe":
            assert found == pytest.approx([pixel - 123.68, pixel - 116.779, pixel - 103.939], abs=1e-3)
        else:
            assert row.mode == "torch"
            assert 1.5 < max(map(abs, found)) < 3


def test_defaults():
    for model, tag in DEFAULTS.items():
        row = find(model, "imagenet")
        assert (row.model, row.tag, row.classes) == (model, tag, 1000)
    without = {row.model for row in CATALOGUE.values()} - DEFAULTS.keys()
    assert all(row.classes != 1000 for row in CATALOGUE.values() if row.model in without)
    assert find("resnet50", "imagenet").name == "resnet50.a1_in1k"
    assert find("resnet50v2", "imagenet").name == "resnet50v2.keras_in1k"


@pytest.mark.parametrize(
    ("model", "weights", "name"),
    [
        ("resnet50", "a1_in1k", "resnet50.a1_in1k"),
        ("resnet50", "timm/a1_in1k", "resnet50.a1_in1k"),
        ("resnet50", "resnet50.a1_in1k", "resnet50.a1_in1k"),
        ("resnet50", "torchvision/IMAGENET1K_V2", "resnet50.IMAGENET1K_V2"),
        ("densenet121", "keras/imagenet", "densenet121.keras_in1k"),
    ],
)
def test_find(model, weights, name):
    assert find(model, weights).name == name


@pytest.mark.parametrize(
    ("model", "weights", "says"),
    [
        ("resnet50", "a1", r"of 'resnet50': a1_in1k, a1h_in1k.*Received: weights='a1'"),
        ("resnet50", "imagenet21k", r"one of the published ones of 'resnet50'"),
        ("resnet50", "torchvision/a1_in1k", r"Received: weights='torchvision/a1_in1k'"),
        ("resnet50", "keras/imagenet", r"From keras there are resnet50v1\.keras_in1k, resnet50v2\.keras_in1k"),
        ("vit_large_patch32_224", "imagenet", r"orig_in21k\. None of them has the 1,000 classes"),
        ("resnet20", "imagenet", r"None or a file for 'resnet20': none are published"),
    ],
)
def test_find_says_what_there_is(model, weights, says):
    with pytest.raises(ValueError, match=says):
        find(model, weights)


def test_rows_are_plain_data():
    for row in CATALOGUE.values():
        plain = json.loads(json.dumps(dataclasses.asdict(row)))
        assert catalogue.Checkpoint(**{**plain, "mean": tuple(plain["mean"]), "std": tuple(plain["std"])}) == row


def test_reading_it_needs_the_standard_library_alone():
    program = (
        "import importlib.util, sys\n"
        "spec = importlib.util.spec_from_file_location('catalogue', sys.argv[1])\n"
        "sys.modules['catalogue'] = module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "print(len(module.CATALOGUE))"
    )
    found = subprocess.run([sys.executable, "-I", "-S", "-c", program, catalogue.__file__], capture_output=True, text=True, check=True)
    assert int(found.stdout) == len(CATALOGUE)


# They are no dependencies: `make test` skips these, and `make test-parity` installs both first.
INSTALLED = all(importlib.util.find_spec(name) for name in ("torch", "timm", "torchvision"))
PEERS = """
import json, torch
torch.library.define("torchvision::nms", "(Tensor a, Tensor b, float c) -> Tensor")
torch.library.define("torchvision::roi_align", "(Tensor a, Tensor b, float c, SymInt d, SymInt e, SymInt f, bool g) -> Tensor")
import timm, torchvision
from timm.models import get_pretrained_cfg
timm_rows = {name: get_pretrained_cfg(name).to_dict() for name in timm.list_models(pretrained=True)}
defaults = {name: getattr(get_pretrained_cfg(name), "tag", None) for name in timm.list_models()}
tv_rows = {}
for name in torchvision.models.list_models(module=torchvision.models):
    for row in torchvision.models.get_model_weights(name):
        transform = row.transforms()
        tv_rows[f"{name}.{row.name}"] = (row.url, row.meta["_metrics"]["ImageNet-1K"]["acc@1"], transform.crop_size, transform.resize_size,
                                         transform.interpolation.value, transform.mean, transform.std)
print(json.dumps([timm_rows, defaults, tv_rows, timm.__version__, torchvision.__version__], default=str))
"""


@pytest.mark.skipif(not INSTALLED, reason="timm or torchvision is not installed")
def test_rows_say_what_timm_and_torchvision_say():
    found = subprocess.run([sys.executable, "-c", PEERS], capture_output=True, text=True, check=True, timeout=300)
    timm_rows, defaults, tv_rows, timm_version, _ = json.loads(found.stdout.splitlines()[-1])
    if not timm_version.startswith("1.0.31"):
        pytest.skip(f"the table was made from timm 1.0.31; installed is {timm_version}")
    ours = {name for name in timm_rows if name.partition(".")[0] in ZOO}
    assert ours == {name for name, row in CATALOGUE.items() if row.source == "timm"}
    for name in ours:
        row, theirs = CATALOGUE[name], timm_rows[name]
        size, crop = theirs["input_size"][1], theirs["crop_pct"]
        assert theirs["hf_hub_id"] == row.location
        assert (theirs.get("license") or "unknown") == row.licence
        assert (size, (theirs.get("test_input_size") or [0, size])[1]) == (row.input_size, row.test_input_size), name
        assert (crop, theirs.get("test_crop_pct") or crop) == (row.crop, row.test_crop), name
        assert [theirs[key] for key in ("crop_mode", "interpolation", "num_classes")] == [row.crop_mode, row.interpolation, row.classes]
        assert (tuple(theirs["mean"]), tuple(theirs["std"])) == (row.mean, row.std), name
        if row.classes == 1000 and DEFAULTS[row.model] == row.tag:
            assert defaults[row.model] == row.tag
    assert {name for name in tv_rows if name.partition(".")[0] in ZOO} == {n for n, row in CATALOGUE.items() if row.source == "torchvision"}
    for name, row in CATALOGUE.items():
        if row.source == "torchvision":
            url, top1, size, resized, interpolation, mean, std = tv_rows[name]
            assert (row.location, row.top1, [row.input_size], row.interpolation) == (url, top1, size, interpolation)
            assert ([int(row.input_size / row.crop)], list(row.mean), list(row.std)) == (resized, mean, std)


def test_documentation_is_up_to_date():
    assert checkpoints_table.PATH.read_text(encoding="utf-8") == checkpoints_table.render(), "run `make docs`"


def test_class_names():
    lines = catalogue._PATH.with_name("imagenet1k.csv").read_text(encoding="ascii").splitlines()
    ids, names = zip(*(line.split(",") for line in lines), strict=True)
    assert len(set(ids)) == 1000
    assert list(ids) == sorted(ids)  # the outputs stand in the order of the WordNet ids
    assert all(re.fullmatch(r"n\d{8}", one) for one in ids)
    assert all(re.fullmatch(r"[A-Za-z'.\-_]+", one) for one in names), set(names)
    assert (names[0], names[281], names[999]) == ("tench", "tabby", "toilet_tissue")
